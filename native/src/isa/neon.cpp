// NEON: 4 lanes. Part of every 64-bit ARM CPU.
#include "../kernels.h"
#ifdef BATCHNORM_ARM
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "target.h"

namespace batchnorm {
namespace neon {
namespace {

struct Vec {
  static constexpr std::size_t width = 4;
  float32x4_t value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {vaddq_f32(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {vsubq_f32(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {vmulq_f32(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(float value) { return {vdupq_n_f32(value)}; }

struct Whole {
  BATCHNORM_INLINE Vec load(const float* from) const { return {vld1q_f32(from)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { vst1q_f32(to, a.value); }
};
using Stream = Whole;  // no such store in portable NEON intrinsics
BATCHNORM_INLINE void end_of_stream() {}
struct Part {
  std::size_t count;
  BATCHNORM_INLINE explicit Part(std::size_t lanes) : count(lanes) {}
  BATCHNORM_INLINE Vec load(const float* from) const {
    float lanes[Vec::width] = {};
    memcpy(lanes, from, count * sizeof(float));
    return {vld1q_f32(lanes)};
  }
  BATCHNORM_INLINE void store(float* to, Vec a) const {
    float lanes[Vec::width];
    vst1q_f32(lanes, a.value);
    memcpy(to, lanes, count * sizeof(float));
  }
};

bool supported() { return true; }
#include "../kernels/all.inc"

}  // namespace
}  // namespace neon

const Kernels neon_kernels = neon::kernels("neon");

}  // namespace batchnorm
#endif
