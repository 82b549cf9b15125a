// The machine's own speed: what a program that only reads, or only copies, reaches. A batch
// normalization that was free of arithmetic would still take as long as its reads and writes.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <thread>
#include <vector>

namespace bench {

// Values, aligned to a cache line, never initialized to anything of interest.
template <class Value>
class Array {
 public:
  explicit Array(std::size_t count)
      : count_(count), memory_(static_cast<Value*>(::operator new(count * sizeof(Value), line))) {}
  Value* data() const { return memory_.get(); }
  std::size_t size() const { return count_; }

 private:
  static constexpr std::align_val_t line{64};
  struct Free {
    void operator()(Value* memory) const { ::operator delete(memory, line); }
  };
  std::size_t count_;
  std::unique_ptr<Value, Free> memory_;
};
using Floats = Array<float>;

// Threads that spin while they wait, so that sharing work costs a fraction of a microsecond: a
// floor must not hold the cost of waking a thread. They run as long as the team lives.
class Team {
 public:
  explicit Team(unsigned threads);
  ~Team();
  // Calls share(begin, end) on every thread, for its part of [0, bytes) in whole cache lines, and
  // returns when all are done.
  void run(std::size_t bytes, const std::function<void(std::size_t, std::size_t)>& share);

 private:
  void part(unsigned index) const;

  unsigned threads_;
  std::size_t bytes_ = 0;
  const std::function<void(std::size_t, std::size_t)>* share_ = nullptr;
  alignas(64) std::atomic<unsigned> round_{0};
  alignas(64) std::atomic<unsigned> busy_{0};
  std::atomic<bool> over_{false};
  std::vector<std::thread> workers_;
};

// What an operation cannot do without. First `read` arrays are read whole, one after the other;
// then one is written, from `sources` arrays that are read beside it; 0: nothing is written.
struct Traffic {
  unsigned read;
  unsigned sources;
};

constexpr Traffic statistics_floor{1, 0};
constexpr Traffic gradient_sums_floor{2, 0};
constexpr Traffic forward_floor{1, 1};
constexpr Traffic backward_floor{2, 2};
constexpr Traffic eval_floor{0, 1};

// How an array is written. None is the fastest everywhere: streaming stores write 54 GB/s from
// memory to memory on a Zen 4 where plain ones write 21 to 28, and lose within the caches.
enum class Stores { memcpy, plain, streaming };
constexpr Stores all_stores[] = {Stores::memcpy, Stores::plain, Stores::streaming};
const char* name_of(Stores stores);

// Moves `bytes` of each array so. Arrays lie on cache lines. With two sources x is the one that
// memcpy reads beside its copy of gradOutput.
void move(Team& team, Traffic traffic, Stores stores, const void* x, const void* grad_output,
          void* y, std::size_t bytes);

}  // namespace bench
