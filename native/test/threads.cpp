#include "../src/threads.h"

#include <doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "answers.h"
#include "configurations.h"

namespace batchnorm::test {
namespace {

// How often each task of one call ran.
class Tally {
 public:
  explicit Tally(std::size_t count) : runs_(count) {}

  void run() {
    parallel_for(runs_.size(), [this](std::size_t index) { ++runs_[index]; });
  }
  bool each_ran(unsigned times) const {
    return std::all_of(runs_.begin(), runs_.end(),
                       [times](const std::atomic<unsigned>& runs) { return runs == times; });
  }

 private:
  std::vector<std::atomic<unsigned>> runs_;
};

// Calls body(caller) on `callers` threads at once.
template <class Body>
void on_threads(unsigned callers, const Body& body) {
  std::vector<std::thread> threads;
  for (unsigned caller = 0; caller < callers; ++caller) {
    threads.emplace_back([&body, caller] { body(caller); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("every task runs exactly once, whatever the counts of tasks and threads") {
  const Restored restored;
  for (const unsigned count : {1u, 2u, 4u, 9u, 3u, 1u, 16u, 2u}) {
    set_threads(count);
    for (const std::size_t tasks : {0, 1, 2, 3, 7, 1000}) {
      for (unsigned round = 0; round < 20; ++round) {
        Tally tally(tasks);
        tally.run();
        REQUIRE(tally.each_ran(1));
      }
    }
  }
}

TEST_CASE("there is at least one thread, and no more than a machine has") {
  const Restored restored;
  set_threads(0);
  CHECK(threads() == 1);
  set_threads(1000000000);
  CHECK(threads() == 1024);
}

TEST_CASE("what a task wrote is there when the call returns") {
  const Restored restored;
  set_threads(4);
  std::vector<std::size_t> written(257);
  for (std::size_t round = 0; round < 500; ++round) {
    parallel_for(written.size(), [&](std::size_t index) { written[index] += index; });
  }
  for (std::size_t index = 0; index < written.size(); ++index) {
    REQUIRE(written[index] == 500 * index);
  }
}

TEST_CASE("a call that comes after a long pause wakes the threads that sleep") {
  const Restored restored;
  set_threads(3);
  for (unsigned round = 0; round < 10; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    Tally tally(50);
    tally.run();
    REQUIRE(tally.each_ran(1));
  }
}

TEST_CASE("several callers at once, and threads set up and down meanwhile: every task once") {
  const Restored restored;
  std::vector<char> right(4, true);
  on_threads(5, [&](unsigned caller) {
    if (caller == 4) {
      for (unsigned round = 0; round < 2000; ++round) set_threads(1 + round % 5);
      return;
    }
    for (unsigned round = 0; round < 300; ++round) {
      Tally tally(100);
      tally.run();
      if (!tally.each_ran(1)) right[caller] = false;
    }
  });
  for (const char each : right) CHECK(each);
}

TEST_CASE("a call within a task works alone, and every task of it runs once") {
  const Restored restored;
  set_threads(4);
  std::vector<char> right(64);
  parallel_for(right.size(), [&](std::size_t index) {
    Tally inner(10);
    inner.run();
    right[index] = inner.each_ran(1);
  });
  for (const char each : right) CHECK(each);
}

TEST_CASE(
    "operations from several threads at once give the bits of one, whatever is set meanwhile") {
  const Restored restored;
  // Large enough to be shared out; more shares than samples in the second.
  for (const Extent extent : {Extent{1100, 65, 1}, Extent{2, 90, 700}}) {
    const Batch batch({extent, {}, 31});
    const Answers expected = answers(batch);
    std::vector<Answers> found(4);
    std::atomic<unsigned> working{4};
    on_threads(5, [&](unsigned caller) {
      if (caller == 4) {
        for (unsigned round = 0; working > 0; ++round) set_threads(1 + round % 7);
        return;
      }
      for (unsigned round = 0; round < 20; ++round) found[caller] = answers(batch);
      --working;
    });
    for (const Answers& each : found) check_equal(each, expected);
  }
}

TEST_CASE("no threads means one") {
  const Restored restored;
  set_threads(0);
  CHECK(threads() == 1);
}

}  // namespace batchnorm::test
