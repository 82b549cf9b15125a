// AVX-512 F: 16 lanes. Intel servers since Skylake (2017), AMD since Zen 4 (2022).
#include "../kernels.h"
#ifdef BATCHNORM_X86
#include <immintrin.h>
#include <math.h>

#include "cpu.h"
#include "target.h"

BATCHNORM_BEGIN_TARGET("avx512f")
namespace batchnorm {
namespace avx512 {
namespace {

struct Vec {
  static constexpr std::size_t width = 16;
  __m512 value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(float value) { return {_mm512_set1_ps(value)}; }

struct Whole {
  BATCHNORM_INLINE Vec load(const float* from) const { return {_mm512_loadu_ps(from)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm512_storeu_ps(to, a.value); }
};
struct Stream : Whole {
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm512_stream_ps(to, a.value); }
};
BATCHNORM_INLINE void end_of_stream() { _mm_sfence(); }
struct Part {
  __mmask16 mask;
  BATCHNORM_INLINE explicit Part(std::size_t count)
      : mask(static_cast<__mmask16>((1u << count) - 1)) {}
  BATCHNORM_INLINE Vec load(const float* from) const { return {_mm512_maskz_loadu_ps(mask, from)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm512_mask_storeu_ps(to, mask, a.value); }
};

bool supported() { return cpu_has_avx512(); }
#include "../kernels/all.inc"

}  // namespace
}  // namespace avx512

const Kernels avx512_kernels = avx512::kernels("avx512");

}  // namespace batchnorm
BATCHNORM_END_TARGET
#endif
