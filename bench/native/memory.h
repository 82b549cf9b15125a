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
  // Calls share(begin, end) on every thread, for its part of [0, count) in whole cache lines of
  // floats, and returns when all are done.
  void run(std::size_t count, const std::function<void(std::size_t, std::size_t)>& share);

 private:
  void part(unsigned index) const;

  unsigned threads_;
  std::size_t count_ = 0;
  const std::function<void(std::size_t, std::size_t)>* share_ = nullptr;
  alignas(64) std::atomic<unsigned> round_{0};
  alignas(64) std::atomic<unsigned> busy_{0};
  std::atomic<bool> over_{false};
  std::vector<std::thread> workers_;
};

// Reads all of x, one load for each vector.
void read(Team& team, const Floats& x);

// Copies x to y with the C library's memcpy.
void copy(Team& team, const Floats& x, const Floats& y);

// Copies x to y with stores that go past the caches.
void stream(Team& team, const Floats& x, const Floats& y);

}  // namespace bench
