#include "protocol.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <stdexcept>

namespace bench {
namespace {

double microseconds(const std::function<void()>& call, std::size_t calls) {
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t index = 0; index < calls; ++index) call();
  const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - begin;
  return time.count() / static_cast<double>(calls);
}

void answer_time(Worker& worker, std::istream& words, std::ostream& answer) {
  std::string operation;
  unsigned threads;
  std::size_t calls, samples;
  words >> operation >> threads >> calls >> samples;
  const std::function<void()> call = worker.call(operation, threads);
  // One sample in four more, first, to fill the caches again and to wake the threads.
  for (std::size_t sample = 0; sample < (samples + 3) / 4; ++sample) microseconds(call, calls);
  for (std::size_t sample = 0; sample < samples; ++sample) {
    answer << microseconds(call, calls) << ' ';
  }
  const std::string note = worker.note(operation, threads);
  if (!note.empty()) answer << "# " << note;
}

void answer_values(Worker& worker, std::istream& words, std::ostream& answer) {
  std::string operation;
  unsigned threads;
  std::size_t stride;
  words >> operation >> threads >> stride;
  worker.call(operation, threads)();
  const std::vector<View> results = worker.results(operation);
  answer << std::setprecision(9);
  for (std::size_t index = 0; index < results.size(); ++index) {
    const std::size_t step = index == 0 ? stride : 1;
    for (std::size_t at = 0; at < results[index].size; at += step) {
      answer << results[index].data[at] << ' ';
    }
  }
}

void answer_load(Worker& worker, std::istream& words, std::ostream& answer) {
  std::string folder;
  Extent extent;
  words >> folder >> extent.outer >> extent.channels >> extent.inner;
  worker.load(folder, extent);
  answer << "ok";
}

}  // namespace

Floats load_floats(const std::string& folder, const std::string& name, std::size_t count) {
  Floats floats(count);
  std::ifstream file(folder + "/" + name + ".f32", std::ios::binary);
  file.read(reinterpret_cast<char*>(floats.data()),
            static_cast<std::streamsize>(count * sizeof(float)));
  if (!file) throw std::runtime_error("cannot read " + name + " of " + folder);
  return floats;
}

double least_time(const std::function<void()>& call) {
  double least = microseconds(call, 1);
  double passed = least;
  for (int count = 1; count < 7 && passed < 1e5; ++count) {
    const double time = microseconds(call, 1);
    least = std::min(least, time);
    passed += time;
  }
  return least;
}

int serve(Worker& worker) {
  std::cout << worker.title() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::ostringstream answer;
    std::string request;
    words >> request;
    try {
      if (request == "load") {
        answer_load(worker, words, answer);
      } else if (request == "time") {
        answer_time(worker, words, answer);
      } else if (request == "values") {
        answer_values(worker, words, answer);
      } else {
        answer << "error unknown request " << request;
      }
      std::cout << answer.str() << std::endl;
    } catch (const std::exception& error) {
      std::cout << "error " << error.what() << std::endl;
    }
  }
  return 0;
}

}  // namespace bench
