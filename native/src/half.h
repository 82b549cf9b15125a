// Single halves, for what is done value by value; the kernels convert vectors of them, in
// halves.inc. Also: any Value as the number that is computed with. Only inline functions without
// symbols, since code of every instruction set includes this.
#pragma once

#include <cstring>

#include "batchnorm/batchnorm.h"
#include "isa/target.h"

namespace batchnorm {

BATCHNORM_INLINE float float_of_bits(std::uint32_t word) {
  float value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

BATCHNORM_INLINE float number(float value) { return value; }
BATCHNORM_INLINE double number(double value) { return value; }
BATCHNORM_INLINE float number(bfloat16 value) {
  return float_of_bits(static_cast<std::uint32_t>(value.bits) << 16);
}
// A float16's exponent and fraction are those of a float 2^112 times smaller.
BATCHNORM_INLINE float number(float16 value) {
  const std::uint32_t sign = (value.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = value.bits & 0x7fffu;
  if (magnitude >= 0x7c00) return float_of_bits(sign | 0x7f800000 | magnitude << 13);
  const float finite = float_of_bits(magnitude << 13) * 0x1p112f;
  return sign ? -finite : finite;
}

}  // namespace batchnorm
