// The bits of numbers, where one NaN is as good as another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../src/half.h"

namespace batchnorm::test {

inline std::uint32_t bits(float value) {
  if (value != value) return 0x7fc00000;
  std::uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  return word;
}
inline std::uint64_t bits(double value) {
  if (value != value) return 0x7ff8000000000000;
  std::uint64_t words;
  std::memcpy(&words, &value, sizeof words);
  return words;
}
// As floats, which hold every half.
inline std::uint32_t bits(bfloat16 value) { return bits(number(value)); }
inline std::uint32_t bits(float16 value) { return bits(number(value)); }

template <class T>
bool same_bits(const T* a, const T* b, std::size_t length) {
  for (std::size_t i = 0; i < length; ++i) {
    if (bits(a[i]) != bits(b[i])) return false;
  }
  return true;
}

// 64-bit FNV-1a, over words of 32 bits instead of bytes.
class Hash {
 public:
  void add(std::uint32_t word) { value_ = (value_ ^ word) * 0x100000001b3; }
  template <class Value>
  void add(const Value* from, std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) add(bits(from[i]));
  }
  void add(const double* from, std::size_t length) {
    for (std::size_t i = 0; i < length; ++i) {
      add(static_cast<std::uint32_t>(bits(from[i])));
      add(static_cast<std::uint32_t>(bits(from[i]) >> 32));
    }
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace batchnorm::test
