// AVX2: 8 lanes. Intel since Haswell (2013), AMD since Excavator (2015).
#include "../kernels.h"
#ifdef BATCHNORM_X86
#include <immintrin.h>
#include <math.h>

#include "cpu.h"
#include "target.h"

BATCHNORM_BEGIN_TARGET("avx2")
namespace batchnorm {
namespace avx2 {
namespace {

struct Vec {
  static constexpr std::size_t width = 8;
  __m256 value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(float value) { return {_mm256_set1_ps(value)}; }

struct Whole {
  BATCHNORM_INLINE Vec load(const float* from) const { return {_mm256_loadu_ps(from)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm256_storeu_ps(to, a.value); }
};
struct Stream : Whole {
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm256_stream_ps(to, a.value); }
};
BATCHNORM_INLINE void end_of_stream() { _mm_sfence(); }
struct Part {
  __m256i mask;
  BATCHNORM_INLINE explicit Part(std::size_t count)
      : mask(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))) {}
  BATCHNORM_INLINE Vec load(const float* from) const { return {_mm256_maskload_ps(from, mask)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm256_maskstore_ps(to, mask, a.value); }
};

bool supported() { return cpu_has_avx2(); }
#include "../kernels/all.inc"

}  // namespace
}  // namespace avx2

const Kernels avx2_kernels = avx2::kernels("avx2");

}  // namespace batchnorm
BATCHNORM_END_TARGET
#endif
