// Scratch memory of one call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "order.h"

namespace batchnorm {

// Hands out arrays that live until it is destroyed. They come from memory that the thread keeps
// from call to call, because fresh pages cost more than what is done with them: statistics of
// (65536, 256) took 4500 us with 400 KB of fresh scratch memory, 2300 with the same again. What is
// beyond the kept memory is allocated for the call.
class Scratch {
 public:
  template <class Number>
  Number* array(std::size_t count) {
    return static_cast<Number*>(take(count * sizeof(Number)));
  }
  double* doubles(std::size_t count) { return array<double>(count); }

  Scratch() : kept_(kept()), begin_(kept_.used) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    kept_.used = begin_;
    while (blocks_) {
      Block* next = blocks_->next;
      ::operator delete(blocks_);
      blocks_ = next;
    }
    if (begin_ == 0) kept_.grow();
  }

 private:
  static constexpr std::size_t line = 64;

  struct Block {
    Block* next;
  };

  // Aligned by hand: operator new with an alignment would ask for the libstdc++ of GCC 7.
  static unsigned char* aligned(void* memory) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    return static_cast<unsigned char*>(memory) + (line - address % line) % line;
  }

  // A thread's own. Calls within calls stack up in it.
  struct Kept {
    static constexpr std::size_t most_bytes = 4 * 1024 * 1024;

    void* memory = nullptr;
    std::size_t bytes = 0;  // from the first cache line in it on
    std::size_t used = 0;
    std::size_t wanted = 0;  // at one time, by a call

    Kept() = default;
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    ~Kept() { ::operator delete(memory); }

    // To what the last calls wanted, where there is memory.
    void grow() {
      const std::size_t size = wanted < most_bytes ? wanted : most_bytes;
      if (size <= bytes) return;
      ::operator delete(memory);
      memory = ::operator new(size + line, std::nothrow);
      bytes = memory ? size : 0;
    }
  };
  static Kept& kept() {
    static thread_local Kept memory;
    return memory;
  }

  void* take(std::size_t bytes) {
    bytes = (bytes + line - 1) / line * line;
    taken_ += bytes;
    if (kept_.wanted < begin_ + taken_) kept_.wanted = begin_ + taken_;
    if (bytes <= kept_.bytes - kept_.used) {
      unsigned char* const memory = aligned(kept_.memory) + kept_.used;
      kept_.used += bytes;
      return memory;
    }
    void* memory = ::operator new(sizeof(Block) + line + bytes);
    blocks_ = new (memory) Block{blocks_};
    return aligned(blocks_ + 1);
  }

  Kept& kept_;
  std::size_t begin_;
  std::size_t taken_ = 0;  // bytes that this one has handed out
  Block* blocks_ = nullptr;
};

}  // namespace batchnorm
