// An output array between guards, in or out of alignment.
#pragma once

#include <algorithm>
#include <cstddef>

#include "aligned.h"
#include "bits.h"

namespace batchnorm::test {

// What lies around an array.
template <class T>
inline constexpr T guard = static_cast<T>(-7777.25);
template <>
inline constexpr bfloat16 guard<bfloat16>{0x1234};
template <>
inline constexpr float16 guard<float16>{0x1234};

template <class T>
class Guarded {
 public:
  // `length` values to be written; `offset` of them away from a cache line's begin.
  explicit Guarded(std::size_t length, std::size_t offset = 0)
      : before_(guards + offset), length_(length), memory_(before_ + length + guards, guard<T>) {}

  // The same, with a copy of `from`.
  Guarded(const T* from, std::size_t length, std::size_t offset) : Guarded(length, offset) {
    std::copy(from, from + length, data());
  }

  T* data() { return memory_.data() + before_; }
  const T* data() const { return memory_.data() + before_; }
  std::size_t length() const { return length_; }
  T operator[](std::size_t index) const { return data()[index]; }

  // Whether nothing was written before and after the array.
  bool intact() const {
    return std::all_of(memory_.begin(), memory_.begin() + before_, is_guard) &&
           std::all_of(memory_.begin() + before_ + length_, memory_.end(), is_guard);
  }
  // Whether nothing was written at all.
  bool untouched() const { return std::all_of(memory_.begin(), memory_.end(), is_guard); }

 private:
  static constexpr std::size_t guards = 64;  // a whole number of cache lines
  static bool is_guard(T value) { return bits(value) == bits(guard<T>); }

  std::size_t before_;
  std::size_t length_;
  AlignedVector<T> memory_;
};

}  // namespace batchnorm::test
