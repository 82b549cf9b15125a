// Every allocation of an operation fails in its turn.
#include <doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "../src/threads.h"
#include "answers.h"
#include "configurations.h"

namespace {

// How many allocations of this thread succeed before one fails; below 0: all do.
thread_local long until_failure = -1;

void* allocate(std::size_t bytes) noexcept {
  if (until_failure == 0) return nullptr;
  if (until_failure > 0) --until_failure;
  return std::malloc(bytes > 0 ? bytes : 1);
}

}  // namespace

void* operator new(std::size_t bytes) {
  if (void* const memory = allocate(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace batchnorm::test {
namespace {

// Calls `work` with no memory after 0, 1, 2 ... allocations, until it needs no more. Each time it
// runs on a thread of its own, which has no scratch memory yet. Returns how often it threw.
template <class Work>
unsigned fail_each_allocation(const Work& work) {
  unsigned thrown = 0;
  for (long allocations = 0;; ++allocations) {
    bool threw = false;
    bool failed = false;
    std::thread([&] {
      until_failure = allocations;
      try {
        work();
      } catch (const std::bad_alloc&) {
        threw = true;
      }
      failed = until_failure == 0;
      until_failure = -1;
    }).join();
    thrown += threw;
    if (!failed) return thrown;
  }
}

}  // namespace

// First in the process, where it runs alone: the pool has no threads yet.
TEST_CASE("without memory for more threads those that run do the work") {
  const Restored restored;
  for (unsigned count = 2; count <= 40; ++count) {
    set_threads(count);
    std::atomic<unsigned> runs{0};
    const auto work = [&] { parallel_for(100, [&](std::size_t) { ++runs; }); };
    until_failure = count % 3;
    work();
    until_failure = -1;
    CHECK(runs == 100);
    work();
    CHECK(runs == 200);
  }
}

TEST_CASE("an operation without memory throws, and the next one gives its bits") {
  const Restored restored;
  set_threads(3);
  for (const Extent extent : {Extent{1100, 65, 1}, Extent{2, 90, 700}}) {
    const Batch batch({extent, {}, 31});
    const Answers expected = answers(batch);
    CHECK(fail_each_allocation([&] { answers(batch); }) > 0);
    check_equal(answers(batch), expected);
  }
}

}  // namespace batchnorm::test
