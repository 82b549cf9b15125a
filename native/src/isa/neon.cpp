// NEON: 4 lanes. Part of every 64-bit ARM CPU.
#include "../half.h"
#include "../kernels.h"
#ifdef BATCHNORM_ARM
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "target.h"

namespace batchnorm {
namespace neon {
namespace {

BATCHNORM_INLINE void end_of_stream() {}

namespace floats {
using Real = float;
struct Vec {
  static constexpr std::size_t width = 4;
  float32x4_t value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {vaddq_f32(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {vsubq_f32(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {vmulq_f32(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(float value) { return {vdupq_n_f32(value)}; }
BATCHNORM_INLINE Vec where_less(Vec a, Vec b, Vec then, Vec otherwise) {
  return {vbslq_f32(vcltq_f32(a.value, b.value), then.value, otherwise.value)};
}
BATCHNORM_INLINE Vec where_at_most(Vec a, Vec b, Vec then, Vec otherwise) {
  return {vbslq_f32(vcleq_f32(a.value, b.value), then.value, otherwise.value)};
}

struct Whole {
  BATCHNORM_INLINE Vec load(const float* from) const { return {vld1q_f32(from)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { vst1q_f32(to, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const {
    add_two(to, vcvt_f64_f32(vget_low_f32(a.value)));
    add_two(to + 2, vcvt_high_f64_f32(a.value));
  }
  static BATCHNORM_INLINE void add_two(double* to, float64x2_t a) {
    vst1q_f64(to, vaddq_f64(vld1q_f64(to), a));
  }
};
using Stream = Whole;  // no such store in portable NEON intrinsics
#include "../kernels/part.inc"
}  // namespace floats

namespace doubles {
using Real = double;
struct Vec {
  static constexpr std::size_t width = 2;
  float64x2_t value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {vaddq_f64(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {vsubq_f64(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {vmulq_f64(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(double value) { return {vdupq_n_f64(value)}; }
BATCHNORM_INLINE Vec where_less(Vec a, Vec b, Vec then, Vec otherwise) {
  return {vbslq_f64(vcltq_f64(a.value, b.value), then.value, otherwise.value)};
}
BATCHNORM_INLINE Vec where_at_most(Vec a, Vec b, Vec then, Vec otherwise) {
  return {vbslq_f64(vcleq_f64(a.value, b.value), then.value, otherwise.value)};
}

struct Whole {
  BATCHNORM_INLINE Vec load(const double* from) const { return {vld1q_f64(from)}; }
  BATCHNORM_INLINE void store(double* to, Vec a) const { vst1q_f64(to, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const { store(to, load(to) + a); }
};
using Stream = Whole;
#include "../kernels/part.inc"
}  // namespace doubles

struct Words {
  static constexpr std::size_t width = 4;
  uint32x4_t value;
};
BATCHNORM_INLINE Words operator+(Words a, Words b) { return {vaddq_u32(a.value, b.value)}; }
BATCHNORM_INLINE Words operator-(Words a, Words b) { return {vsubq_u32(a.value, b.value)}; }
BATCHNORM_INLINE Words operator&(Words a, Words b) { return {vandq_u32(a.value, b.value)}; }
BATCHNORM_INLINE Words operator|(Words a, Words b) { return {vorrq_u32(a.value, b.value)}; }
template <int bits>
BATCHNORM_INLINE Words up(Words a) {
  return {vshlq_n_u32(a.value, bits)};
}
template <int bits>
BATCHNORM_INLINE Words down(Words a) {
  return {vshrq_n_u32(a.value, bits)};
}
BATCHNORM_INLINE Words words_of(std::uint32_t word) { return {vdupq_n_u32(word)}; }
BATCHNORM_INLINE Words where_above(Words a, Words b, Words then, Words otherwise) {
  return {vbslq_u32(vcgtq_u32(a.value, b.value), then.value, otherwise.value)};
}
BATCHNORM_INLINE Words as_words(floats::Vec a) { return {vreinterpretq_u32_f32(a.value)}; }
BATCHNORM_INLINE floats::Vec as_floats(Words a) { return {vreinterpretq_f32_u32(a.value)}; }

struct WholeHalves {
  BATCHNORM_INLINE Words load(const std::uint16_t* from) const {
    return {vmovl_u16(vld1_u16(from))};
  }
  BATCHNORM_INLINE void store(std::uint16_t* to, Words a) const {
    vst1_u16(to, vmovn_u32(a.value));
  }
};
using StreamHalves = WholeHalves;
#include "../kernels/part_halves.inc"
#include "../kernels/rounding.inc"
#include "../kernels/float16.inc"

bool supported() { return true; }
#include "../kernels/all.inc"

}  // namespace
}  // namespace neon

const Kernels neon_kernels = neon::kernels("neon");

}  // namespace batchnorm
#endif
