// SSE2: 4 lanes. Part of every x86-64 CPU.
#include "../kernels.h"
#ifdef BATCHNORM_X86
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "target.h"

namespace batchnorm {
namespace sse2 {
namespace {

struct Vec {
  static constexpr std::size_t width = 4;
  __m128 value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {_mm_add_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {_mm_sub_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {_mm_mul_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(float value) { return {_mm_set1_ps(value)}; }

struct Whole {
  BATCHNORM_INLINE Vec load(const float* from) const { return {_mm_loadu_ps(from)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm_storeu_ps(to, a.value); }
};
struct Stream : Whole {
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm_stream_ps(to, a.value); }
};
BATCHNORM_INLINE void end_of_stream() { _mm_sfence(); }
struct Part {
  std::size_t count;
  BATCHNORM_INLINE explicit Part(std::size_t lanes) : count(lanes) {}
  BATCHNORM_INLINE Vec load(const float* from) const {
    float lanes[Vec::width] = {};
    memcpy(lanes, from, count * sizeof(float));
    return {_mm_loadu_ps(lanes)};
  }
  BATCHNORM_INLINE void store(float* to, Vec a) const {
    float lanes[Vec::width];
    _mm_storeu_ps(lanes, a.value);
    memcpy(to, lanes, count * sizeof(float));
  }
};

bool supported() { return true; }
#include "../kernels/all.inc"

}  // namespace
}  // namespace sse2

const Kernels sse2_kernels = sse2::kernels("sse2");

}  // namespace batchnorm
#endif
