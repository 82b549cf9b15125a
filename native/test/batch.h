// Seeded inputs. known-answers.ts makes the same ones, to the last bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "aligned.h"
#include "batchnorm/batchnorm.h"

namespace batchnorm::test {

// xorshift32 (Marsaglia 2003).
class Random {
 public:
  explicit Random(std::uint32_t seed) : state_(seed) {}

  std::uint32_t integer() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }
  // Over [-1, 1).
  double uniform() { return static_cast<std::int32_t>(integer()) * 0x1p-31; }

 private:
  std::uint32_t state_;
};

// What values an array holds: offset + scale * uniform; and instead, in about one of special_every
// places (none: 0), any 32 bits, so NaN and Inf, subnormal, huge and tiny numbers.
struct Data {
  double scale = 1;
  double offset = 0;
  std::uint32_t special_every = 0;
};

struct Recipe {
  Extent extent;
  Data data;
  std::uint32_t seed;  // not 0
};

inline double count(Extent extent) { return static_cast<double>(extent.outer * extent.inner); }

// An input array. Its first value is `offset` floats away from a cache line's begin, and its last
// is the last of its memory, so that a sanitizer sees a read behind it.
class Input {
 public:
  Input(std::size_t length, std::size_t offset, Random& random, Data data);
  const float* data() const { return memory_.data() + offset_; }
  float operator[](std::size_t index) const { return data()[index]; }

 private:
  std::size_t offset_;
  AlignedVector<float> memory_;
};

struct Batch {
  Extent extent;
  std::size_t offset;  // of the arrays from a cache line's begin, in floats; below 16
  Random random;
  Input x;  // [outer, channels, inner], as is grad_output
  Input grad_output;
  Input weight;  // [channels], as are the following
  Input bias;
  Input running_mean;
  Input running_variance;

  explicit Batch(Recipe recipe, std::size_t offset = 0);
};

}  // namespace batchnorm::test
