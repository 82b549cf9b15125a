// AVX2: 8 lanes. Intel since Haswell (2013), AMD since Excavator (2015).
#include "../half.h"
#include "../kernels.h"
#ifdef BATCHNORM_X86
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "cpu.h"
#include "target.h"

BATCHNORM_BEGIN_TARGET("avx2")
namespace batchnorm {
namespace avx2 {
namespace {

BATCHNORM_INLINE void end_of_stream() { _mm_sfence(); }

namespace floats {
using Real = float;
struct Vec {
  static constexpr std::size_t width = 8;
  __m256 value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(float value) { return {_mm256_set1_ps(value)}; }
BATCHNORM_INLINE Vec where_less(Vec a, Vec b, Vec then, Vec otherwise) {
  const __m256 mask = _mm256_cmp_ps(a.value, b.value, _CMP_LT_OQ);
  return {_mm256_blendv_ps(otherwise.value, then.value, mask)};
}
BATCHNORM_INLINE Vec where_at_most(Vec a, Vec b, Vec then, Vec otherwise) {
  const __m256 mask = _mm256_cmp_ps(a.value, b.value, _CMP_LE_OQ);
  return {_mm256_blendv_ps(otherwise.value, then.value, mask)};
}

struct Whole {
  BATCHNORM_INLINE Vec load(const float* from) const { return {_mm256_loadu_ps(from)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm256_storeu_ps(to, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const {
    add_four(to, _mm256_castps256_ps128(a.value));
    add_four(to + 4, _mm256_extractf128_ps(a.value, 1));
  }
  static BATCHNORM_INLINE void add_four(double* to, __m128 a) {
    _mm256_storeu_pd(to, _mm256_add_pd(_mm256_loadu_pd(to), _mm256_cvtps_pd(a)));
  }
};
struct Stream : Whole {
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm256_stream_ps(to, a.value); }
};
struct Part {
  __m256i mask;
  BATCHNORM_INLINE explicit Part(std::size_t count)
      : mask(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))) {}
  BATCHNORM_INLINE Vec load(const float* from) const { return {_mm256_maskload_ps(from, mask)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm256_maskstore_ps(to, mask, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const {
    add_four(to, _mm256_castps256_ps128(a.value), _mm256_castsi256_si128(mask));
    add_four(to + 4, _mm256_extractf128_ps(a.value, 1), _mm256_extracti128_si256(mask, 1));
  }
  static BATCHNORM_INLINE void add_four(double* to, __m128 a, __m128i lanes) {
    const __m256i wide = _mm256_cvtepi32_epi64(lanes);
    const __m256d before = _mm256_maskload_pd(to, wide);
    _mm256_maskstore_pd(to, wide, _mm256_add_pd(before, _mm256_cvtps_pd(a)));
  }
};
}  // namespace floats

namespace doubles {
using Real = double;
struct Vec {
  static constexpr std::size_t width = 4;
  __m256d value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_pd(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {_mm256_sub_pd(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {_mm256_mul_pd(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(double value) { return {_mm256_set1_pd(value)}; }
BATCHNORM_INLINE Vec where_less(Vec a, Vec b, Vec then, Vec otherwise) {
  const __m256d mask = _mm256_cmp_pd(a.value, b.value, _CMP_LT_OQ);
  return {_mm256_blendv_pd(otherwise.value, then.value, mask)};
}
BATCHNORM_INLINE Vec where_at_most(Vec a, Vec b, Vec then, Vec otherwise) {
  const __m256d mask = _mm256_cmp_pd(a.value, b.value, _CMP_LE_OQ);
  return {_mm256_blendv_pd(otherwise.value, then.value, mask)};
}

struct Whole {
  BATCHNORM_INLINE Vec load(const double* from) const { return {_mm256_loadu_pd(from)}; }
  BATCHNORM_INLINE void store(double* to, Vec a) const { _mm256_storeu_pd(to, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const { store(to, load(to) + a); }
};
struct Stream : Whole {
  BATCHNORM_INLINE void store(double* to, Vec a) const { _mm256_stream_pd(to, a.value); }
};
struct Part {
  __m256i mask;
  BATCHNORM_INLINE explicit Part(std::size_t count)
      : mask(_mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<long long>(count)),
                                _mm256_setr_epi64x(0, 1, 2, 3))) {}
  BATCHNORM_INLINE Vec load(const double* from) const { return {_mm256_maskload_pd(from, mask)}; }
  BATCHNORM_INLINE void store(double* to, Vec a) const { _mm256_maskstore_pd(to, mask, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const { store(to, load(to) + a); }
};
}  // namespace doubles

struct Words {
  static constexpr std::size_t width = 8;
  __m256i value;
};
BATCHNORM_INLINE Words operator+(Words a, Words b) { return {_mm256_add_epi32(a.value, b.value)}; }
BATCHNORM_INLINE Words operator-(Words a, Words b) { return {_mm256_sub_epi32(a.value, b.value)}; }
BATCHNORM_INLINE Words operator&(Words a, Words b) { return {_mm256_and_si256(a.value, b.value)}; }
BATCHNORM_INLINE Words operator|(Words a, Words b) { return {_mm256_or_si256(a.value, b.value)}; }
template <int bits>
BATCHNORM_INLINE Words up(Words a) {
  return {_mm256_slli_epi32(a.value, bits)};
}
template <int bits>
BATCHNORM_INLINE Words down(Words a) {
  return {_mm256_srli_epi32(a.value, bits)};
}
BATCHNORM_INLINE Words words_of(std::uint32_t word) {
  return {_mm256_set1_epi32(static_cast<int>(word))};
}
BATCHNORM_INLINE Words where_above(Words a, Words b, Words then, Words otherwise) {
  const __m256i mask = _mm256_cmpgt_epi32(a.value, b.value);
  return {_mm256_blendv_epi8(otherwise.value, then.value, mask)};
}
BATCHNORM_INLINE Words as_words(floats::Vec a) { return {_mm256_castps_si256(a.value)}; }
BATCHNORM_INLINE floats::Vec as_floats(Words a) { return {_mm256_castsi256_ps(a.value)}; }
// Each is below 2^16. The instruction packs either half of the register by itself.
BATCHNORM_INLINE __m128i packed(Words a) {
  const __m256i pairs = _mm256_packus_epi32(a.value, a.value);
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(pairs, 0b1000));
}

struct WholeHalves {
  BATCHNORM_INLINE Words load(const std::uint16_t* from) const {
    return {_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
  }
  BATCHNORM_INLINE void store(std::uint16_t* to, Words a) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), packed(a));
  }
};
struct StreamHalves : WholeHalves {
  BATCHNORM_INLINE void store(std::uint16_t* to, Words a) const {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), packed(a));
  }
};
// There are no masks for 16 bits: pairs of halves are loaded and stored, and the last half alone.
struct PartHalves {
  std::size_t last;
  BATCHNORM_INLINE explicit PartHalves(std::size_t count) : last(count - 1) {}
  BATCHNORM_INLINE __m128i pairs() const {
    const __m128i count = _mm_set1_epi32(static_cast<int>((last + 1) / 2));
    return _mm_cmpgt_epi32(count, _mm_setr_epi32(0, 1, 2, 3));
  }
  BATCHNORM_INLINE Words load(const std::uint16_t* from) const {
    const __m128i halves = _mm_maskload_epi32(reinterpret_cast<const int*>(from), pairs());
    const __m256i is_last = _mm256_cmpeq_epi32(_mm256_set1_epi32(static_cast<int>(last)),
                                               _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return {
        _mm256_blendv_epi8(_mm256_cvtepu16_epi32(halves), _mm256_set1_epi32(from[last]), is_last)};
  }
  BATCHNORM_INLINE void store(std::uint16_t* to, Words a) const {
    alignas(16) std::uint16_t lanes[8];
    _mm_store_si128(reinterpret_cast<__m128i*>(lanes), packed(a));
    _mm_maskstore_epi32(reinterpret_cast<int*>(to), pairs(), packed(a));
    to[last] = lanes[last];
  }
};

#include "../kernels/rounding.inc"
#include "../kernels/float16.inc"

bool supported() { return cpu_has_avx2(); }
#include "../kernels/all.inc"

}  // namespace
}  // namespace avx2

const Kernels avx2_kernels = avx2::kernels("avx2");

}  // namespace batchnorm
BATCHNORM_END_TARGET
#endif
