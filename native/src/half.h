// Single values, for what is done one after another; the kernels convert vectors of halves, in
// halves.inc. Any Value as the number that is computed with, and back; and the power of two below a
// number. Only inline functions without symbols, since code of every instruction set includes this.
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

BATCHNORM_INLINE void store(float& to, float value) { to = value; }
BATCHNORM_INLINE void store(double& to, double value) { to = value; }
BATCHNORM_INLINE std::uint32_t bits_of_float(float value) {
  std::uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  return word;
}
BATCHNORM_INLINE void store(bfloat16& to, float value) {
  const std::uint32_t word = bits_of_float(value);
  const bool is_nan = (word & 0x7fffffffu) > 0x7f800000u;
  const std::uint32_t rounded =
      is_nan ? word >> 16 | 0x40 : (word + 0x7fff + (word >> 16 & 1)) >> 16;
  to.bits = static_cast<std::uint16_t>(rounded);
}
BATCHNORM_INLINE void store(float16& to, float value) {
  const std::uint32_t word = bits_of_float(value);
  const std::uint32_t sign = word >> 16 & 0x8000u;
  const std::uint32_t magnitude = word & 0x7fffffffu;
  std::uint32_t rounded;
  if (magnitude > 0x7f800000u) {
    rounded = 0x7e00 | (magnitude >> 13 & 0x3ff);
  } else if (magnitude >= 0x477ff000u) {  // 65520, halfway to what would follow the largest
    rounded = 0x7c00;
  } else if (magnitude >= (127u - 14) << 23) {
    const std::uint32_t rebiased = magnitude - ((127u - 15) << 23);
    rounded = (rebiased + 0xfff + (rebiased >> 13 & 1)) >> 13;
  } else {
    // The digits of a float from 0.5 to 1 end at 2^-24, as those of a subnormal float16 do.
    rounded = bits_of_float(float_of_bits(magnitude) + 0.5f) - (126u << 23);
  }
  to.bits = static_cast<std::uint16_t>(sign | rounded);
}

// The largest power of two that is not above a number; 1 for 0, infinity for what is not finite.
BATCHNORM_INLINE double power_of_two(double value) {
  if (value == 0) return 1;
  const bool is_subnormal = value < 0x1p-1022;
  const double normal = is_subnormal ? value * 0x1p60 : value;
  std::uint64_t bits;
  std::memcpy(&bits, &normal, sizeof bits);
  bits &= 0x7ff0000000000000u;
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return is_subnormal ? power * 0x1p-60 : power;
}

// What an activation lets through of a gradient, told by its output.
template <class Real>
BATCHNORM_INLINE Real through(Activation activation, Real gradient, Real output) {
  if (activation.name == ActivationName::relu) return output <= 0 ? 0 : gradient;
  if (activation.name == ActivationName::leaky_relu) {
    return output > 0 ? gradient : gradient * static_cast<Real>(activation.negative_slope);
  }
  return gradient;
}

}  // namespace batchnorm
