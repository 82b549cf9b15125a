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
// places (none: 0), any bits, so NaN and Inf, subnormal, huge and tiny numbers. Halves heed only
// the latter: their values are from 2^-3 to 2^3, of either sign.
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

// An input array. Its first value is `offset` values away from a cache line's begin, and its last
// is the last of its memory, so that a sanitizer sees a read behind it.
template <class Value>
class InputOf {
 public:
  InputOf(std::size_t length, std::size_t offset, Random& random, Data data);
  const Value* data() const { return memory_.data() + offset_; }
  Value operator[](std::size_t index) const { return data()[index]; }

 private:
  std::size_t offset_;
  AlignedVector<Value> memory_;
};

template <class Value>
struct BatchOf {
  using Real = batchnorm::Real<Value>;

  Extent extent;
  std::size_t offset;  // of the arrays from a cache line's begin, in values; below 16
  Random random;
  InputOf<Value> x;  // [outer, channels, inner], as is grad_output
  InputOf<Value> grad_output;
  InputOf<Real> weight;  // [channels], as are the following
  InputOf<Real> bias;
  InputOf<Real> running_mean;
  InputOf<Real> running_variance;
  InputOf<Value> residual;  // like x

  explicit BatchOf(Recipe recipe, std::size_t offset = 0);
};

using Batch = BatchOf<float>;

}  // namespace batchnorm::test
