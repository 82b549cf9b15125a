// Every operation of batchnorm.h held against the floor: what reading and writing its arrays alone
// takes, measured beside it, round by round.
//
//   bench_native --shape 64,128,784 [--shape ...] [--types float32,bfloat16] [--operations forward]
//     [--threads 1,2] [--instruction-set avx2] [--seconds 1.5] [--processor 1]
//
// A line of JSON for each operation and number of threads; main.ts of this folder runs the program
// and makes tables of the lines. Each line:
//
//   shape, type, operation, threads   what was timed
//   microseconds                      the median of the rounds
//   floor, stores                     with one thread: the floor's, and how it writes best
//   inFloors                          the median of the rounds' ratios
//   gain                              with more: times as fast as one, the median of the ratios
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <stdexcept>
#include <string>

#include "batch.h"
#include "turns.h"

namespace {

using Names = std::vector<std::string>;

struct Shape {
  std::string name;  // as JSON
  batchnorm::Extent extent;
};

struct Options {
  Names shapes;
  Names types{"float32"};
  Names operations{"statistics", "gradient sums", "forward", "backward", "eval"};
  std::vector<unsigned> threads{1, 2};
  double seconds = 1.5;  // of the rounds of a shape and a type
  int processor = bench::last_processor();
};

template <class Value>
struct Operation {
  const char* name;
  void (bench::Batch<Value>::*call)();
  bench::Traffic floor;
  // What only reads is done in one way.
  std::size_t ways() const { return floor.sources > 0 ? std::size(bench::all_stores) : 1; }
};

template <class Value>
const Operation<Value> all_operations[] = {
    {"statistics", &bench::Batch<Value>::statistics, bench::statistics_floor},
    {"gradient sums", &bench::Batch<Value>::gradient_sums, bench::gradient_sums_floor},
    {"forward", &bench::Batch<Value>::forward, bench::forward_floor},
    {"backward", &bench::Batch<Value>::backward, bench::backward_floor},
    {"eval", &bench::Batch<Value>::eval, bench::eval_floor},
    {"forward relu", &bench::Batch<Value>::forward_relu, bench::forward_floor},
    {"forward residual relu", &bench::Batch<Value>::forward_residual_relu, {1, 2}},
    {"backward eval", &bench::Batch<Value>::backward_eval, {0, 2}},
};

bool contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Names parts_of(const std::string& text) {
  Names parts;
  for (std::size_t at = 0;;) {
    const std::size_t comma = text.find(',', at);
    parts.push_back(text.substr(at, comma - at));
    if (comma == std::string::npos) return parts;
    at = comma + 1;
  }
}

Shape shape_of(const std::string& text) {
  const Names parts = parts_of(text);
  std::vector<std::size_t> sizes;
  for (const std::string& part : parts) sizes.push_back(std::stoul(part));
  if (sizes.size() < 2 || sizes.size() > 3) {
    throw std::invalid_argument("expected a shape N,C or N,C,L but received " + text);
  }
  sizes.resize(3, 1);
  return {"[" + text + "]", {sizes[0], sizes[1], sizes[2]}};
}

bench::Times ratios(const bench::Times& of, const bench::Times& to) {
  bench::Times quotients;
  for (std::size_t round = 0; round < of.size(); ++round) {
    quotients.push_back(of[round] / to[round]);
  }
  return quotients;
}

// The ways of an operation's floor first, in the order of all_stores, then the operation with each
// number of threads.
template <class Value>
std::vector<bench::Call> calls_of(const Operation<Value>& operation, bench::Batch<Value>& batch,
                                  bench::Team& alone, const std::vector<unsigned>& threads) {
  std::vector<bench::Call> calls;
  for (std::size_t way = 0; way < operation.ways(); ++way) {
    calls.push_back({[&batch, &alone, way, floor = operation.floor] {
                       bench::move(alone, floor, bench::all_stores[way], batch.x(),
                                   batch.grad_output(), batch.y(), batch.bytes());
                     },
                     1});
  }
  for (const unsigned count : threads) {
    calls.push_back({[&batch, count, call = operation.call] {
                       batchnorm::set_threads(count);
                       (batch.*call)();
                     },
                     count});
  }
  return calls;
}

// `times` is of the calls of calls_of.
template <class Value>
void print(const std::string& shape, const std::string& type, const Operation<Value>& operation,
           const std::vector<unsigned>& threads, const std::vector<bench::Times>& times) {
  const auto calls = times.begin() + static_cast<std::ptrdiff_t>(operation.ways());
  const auto floor = std::min_element(times.begin(), calls, [](const auto& a, const auto& b) {
    return bench::median(a) < bench::median(b);
  });
  for (std::size_t index = 0; index < threads.size(); ++index) {
    std::printf(R"({"shape":%s,"type":"%s","operation":"%s","threads":%u,"microseconds":%.5g)",
                shape.c_str(), type.c_str(), operation.name, threads[index],
                bench::median(calls[index]));
    if (threads[index] == 1) {
      std::printf(R"(,"floor":%.5g,"inFloors":%.4g)", bench::median(*floor),
                  bench::median(ratios(calls[index], *floor)));
      if (operation.floor.sources > 0) {
        std::printf(R"(,"stores":"%s")", bench::name_of(bench::all_stores[floor - times.begin()]));
      }
    } else if (threads.front() == 1) {
      std::printf(R"(,"gain":%.4g)", bench::median(ratios(calls[0], calls[index])));
    }
    std::printf("}\n");
  }
  std::fflush(stdout);
}

template <class Value>
void measure(const Shape& shape, const std::string& type, const Options& options) {
  std::vector<Operation<Value>> operations;
  for (const Operation<Value>& operation : all_operations<Value>) {
    if (contains(options.operations, operation.name)) operations.push_back(operation);
  }
  bench::Batch<Value> batch(shape.extent);
  bench::Team alone(1);
  std::vector<std::vector<bench::Call>> groups;
  for (const Operation<Value>& operation : operations) {
    groups.push_back(calls_of(operation, batch, alone, options.threads));
  }
  const auto times = bench::time_rounds(groups, options.seconds, options.processor);
  for (std::size_t index = 0; index < operations.size(); ++index) {
    print(shape.name, type, operations[index], options.threads, times[index]);
  }
}

void choose_instruction_set(const std::string& name) {
  if (!batchnorm::use_instruction_set(name.c_str())) {
    throw std::invalid_argument("this processor or build has no instruction set " + name);
  }
}

Options read_options(int count, char** words) {
  Options options;
  for (int index = 1; index < count; index += 2) {
    const std::string name = words[index];
    if (index + 1 == count) throw std::invalid_argument(name + " is not known, or has no value");
    const std::string value = words[index + 1];
    if (name == "--shape") {
      options.shapes.push_back(value);
    } else if (name == "--types") {
      options.types = parts_of(value);
    } else if (name == "--operations") {
      options.operations = parts_of(value);
    } else if (name == "--threads") {
      options.threads.clear();
      for (const std::string& part : parts_of(value)) {
        options.threads.push_back(static_cast<unsigned>(std::stoul(part)));
      }
      std::sort(options.threads.begin(), options.threads.end());
    } else if (name == "--seconds") {
      options.seconds = std::stod(value);
    } else if (name == "--processor") {
      options.processor = std::stoi(value);
    } else if (name == "--instruction-set") {
      choose_instruction_set(value);
    } else {
      throw std::invalid_argument(name + " is not known");
    }
  }
  return options;
}

void measure_all(const Options& options) {
  for (const std::string& text : options.shapes) {
    const Shape shape = shape_of(text);
    for (const std::string& type : options.types) {
      if (type == "float32") {
        measure<float>(shape, type, options);
      } else if (type == "float64") {
        measure<double>(shape, type, options);
      } else if (type == "bfloat16") {
        measure<batchnorm::bfloat16>(shape, type, options);
      } else if (type == "float16") {
        measure<batchnorm::float16>(shape, type, options);
      } else {
        throw std::invalid_argument(type + " is not known");
      }
    }
  }
}

}  // namespace

int main(int count, char** words) {
  try {
    const Options options = read_options(count, words);
    std::printf("{\"instructionSet\":\"%s\",\"processor\":%d}\n", batchnorm::instruction_set(),
                options.processor);
    measure_all(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
