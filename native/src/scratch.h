// Scratch memory of one call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "order.h"

#if !defined(NDEBUG) && __has_include(<sanitizer/asan_interface.h>)
#define BATCHNORM_FENCED_SCRATCH
#include <sanitizer/asan_interface.h>
#endif

namespace batchnorm {

// Hands out arrays that live until it is destroyed. They come from memory that the thread keeps
// from call to call, because fresh pages cost more than what is done with them: statistics of
// (65536, 256) took 4500 us with 400 KB of fresh scratch memory, 2300 with the same again. What is
// beyond the kept memory is allocated for the call.
class Scratch {
 public:
  template <class Number>
  Number* array(std::size_t count) {
    const std::size_t bytes = count * sizeof(Number);
    assert(bytes / sizeof(Number) == count);
    const std::size_t taken = (bytes + line - 1) / line * line + fence;
    unsigned char* const memory = take(taken);
    fence_off(memory, bytes, taken);
    return reinterpret_cast<Number*>(memory);
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

  // With assertions nobody may touch the line behind an array: AddressSanitizer, if it is there,
  // does not see where one ends in memory that is kept.
#ifdef BATCHNORM_FENCED_SCRATCH
  static constexpr std::size_t fence = line;
  static void fence_off(unsigned char* array, std::size_t bytes, std::size_t taken) {
    ASAN_UNPOISON_MEMORY_REGION(array, bytes);
    ASAN_POISON_MEMORY_REGION(array + bytes, taken - bytes);
  }
#else
  static constexpr std::size_t fence = 0;
  static void fence_off(unsigned char*, std::size_t, std::size_t) {}
#endif

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

  unsigned char* take(std::size_t bytes) {
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
