// Scratch memory of one call.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "order.h"

namespace batchnorm {

// Hands out arrays that live until it is destroyed. The first few kilobytes are its own, so that a
// small call allocates nothing.
class Scratch {
 public:
  template <class Number>
  Number* array(std::size_t count) {
    return static_cast<Number*>(take(count * sizeof(Number)));
  }
  double* doubles(std::size_t count) { return array<double>(count); }

  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    while (blocks_) {
      Block* next = blocks_->next;
      ::operator delete(blocks_);
      blocks_ = next;
    }
  }

 private:
  // What a backward of some 200 channels takes.
  static constexpr std::size_t own_bytes = 24 * 1024;

  struct alignas(std::max_align_t) Block {
    Block* next;
  };

  void* take(std::size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    if (bytes <= sizeof(own_) - used_) {
      void* memory = own_ + used_;
      used_ += bytes;
      return memory;
    }
    void* memory = ::operator new(sizeof(Block) + bytes);
    blocks_ = new (memory) Block{blocks_};
    return blocks_ + 1;
  }

  alignas(64) unsigned char own_[own_bytes];
  std::size_t used_ = 0;
  Block* blocks_ = nullptr;
};

}  // namespace batchnorm
