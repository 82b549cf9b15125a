// SSE2: 4 lanes. Part of every x86-64 CPU.
#include "../half.h"
#include "../kernels.h"
#ifdef BATCHNORM_X86
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "target.h"

namespace batchnorm {
namespace sse2 {
namespace {

BATCHNORM_INLINE void end_of_stream() { _mm_sfence(); }

namespace floats {
using Real = float;
struct Vec {
  static constexpr std::size_t width = 4;
  __m128 value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {_mm_add_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {_mm_sub_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {_mm_mul_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(float value) { return {_mm_set1_ps(value)}; }
BATCHNORM_INLINE Vec select(__m128 mask, Vec then, Vec otherwise) {
  return {_mm_or_ps(_mm_and_ps(mask, then.value), _mm_andnot_ps(mask, otherwise.value))};
}
BATCHNORM_INLINE Vec where_less(Vec a, Vec b, Vec then, Vec otherwise) {
  return select(_mm_cmplt_ps(a.value, b.value), then, otherwise);
}
BATCHNORM_INLINE Vec where_at_most(Vec a, Vec b, Vec then, Vec otherwise) {
  return select(_mm_cmple_ps(a.value, b.value), then, otherwise);
}

struct Whole {
  BATCHNORM_INLINE Vec load(const float* from) const { return {_mm_loadu_ps(from)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm_storeu_ps(to, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const {
    add_two(to, _mm_cvtps_pd(a.value));
    add_two(to + 2, _mm_cvtps_pd(_mm_movehl_ps(a.value, a.value)));
  }
  static BATCHNORM_INLINE void add_two(double* to, __m128d a) {
    _mm_storeu_pd(to, _mm_add_pd(_mm_loadu_pd(to), a));
  }
};
struct Stream : Whole {
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm_stream_ps(to, a.value); }
};
#include "../kernels/part.inc"
}  // namespace floats

namespace doubles {
using Real = double;
struct Vec {
  static constexpr std::size_t width = 2;
  __m128d value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {_mm_add_pd(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {_mm_sub_pd(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {_mm_mul_pd(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(double value) { return {_mm_set1_pd(value)}; }
BATCHNORM_INLINE Vec select(__m128d mask, Vec then, Vec otherwise) {
  return {_mm_or_pd(_mm_and_pd(mask, then.value), _mm_andnot_pd(mask, otherwise.value))};
}
BATCHNORM_INLINE Vec where_less(Vec a, Vec b, Vec then, Vec otherwise) {
  return select(_mm_cmplt_pd(a.value, b.value), then, otherwise);
}
BATCHNORM_INLINE Vec where_at_most(Vec a, Vec b, Vec then, Vec otherwise) {
  return select(_mm_cmple_pd(a.value, b.value), then, otherwise);
}

struct Whole {
  BATCHNORM_INLINE Vec load(const double* from) const { return {_mm_loadu_pd(from)}; }
  BATCHNORM_INLINE void store(double* to, Vec a) const { _mm_storeu_pd(to, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const { store(to, load(to) + a); }
};
struct Stream : Whole {
  BATCHNORM_INLINE void store(double* to, Vec a) const { _mm_stream_pd(to, a.value); }
};
#include "../kernels/part.inc"
}  // namespace doubles

struct Words {
  static constexpr std::size_t width = 4;
  __m128i value;
};
BATCHNORM_INLINE Words operator+(Words a, Words b) { return {_mm_add_epi32(a.value, b.value)}; }
BATCHNORM_INLINE Words operator-(Words a, Words b) { return {_mm_sub_epi32(a.value, b.value)}; }
BATCHNORM_INLINE Words operator&(Words a, Words b) { return {_mm_and_si128(a.value, b.value)}; }
BATCHNORM_INLINE Words operator|(Words a, Words b) { return {_mm_or_si128(a.value, b.value)}; }
template <int bits>
BATCHNORM_INLINE Words up(Words a) {
  return {_mm_slli_epi32(a.value, bits)};
}
template <int bits>
BATCHNORM_INLINE Words down(Words a) {
  return {_mm_srli_epi32(a.value, bits)};
}
BATCHNORM_INLINE Words words_of(std::uint32_t word) {
  return {_mm_set1_epi32(static_cast<int>(word))};
}
BATCHNORM_INLINE Words where_above(Words a, Words b, Words then, Words otherwise) {
  const __m128i mask = _mm_cmpgt_epi32(a.value, b.value);
  return {_mm_or_si128(_mm_and_si128(mask, then.value), _mm_andnot_si128(mask, otherwise.value))};
}
BATCHNORM_INLINE Words as_words(floats::Vec a) { return {_mm_castps_si128(a.value)}; }
BATCHNORM_INLINE floats::Vec as_floats(Words a) { return {_mm_castsi128_ps(a.value)}; }
// Each is below 2^16. SSE2 packs signed words only, so that is what they are made.
BATCHNORM_INLINE __m128i packed(Words a) {
  const __m128i with_sign = _mm_srai_epi32(_mm_slli_epi32(a.value, 16), 16);
  return _mm_packs_epi32(with_sign, with_sign);
}

struct WholeHalves {
  BATCHNORM_INLINE Words load(const std::uint16_t* from) const {
    const __m128i halves = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return {_mm_unpacklo_epi16(halves, _mm_setzero_si128())};
  }
  BATCHNORM_INLINE void store(std::uint16_t* to, Words a) const {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), packed(a));
  }
};
struct StreamHalves : WholeHalves {
  BATCHNORM_INLINE void store(std::uint16_t* to, Words a) const {
    _mm_stream_si64(reinterpret_cast<long long*>(to), _mm_cvtsi128_si64(packed(a)));
  }
};
#include "../kernels/part_halves.inc"
#include "../kernels/rounding.inc"
#include "../kernels/float16.inc"

bool supported() { return true; }
#include "../kernels/all.inc"

}  // namespace
}  // namespace sse2

const Kernels sse2_kernels = sse2::kernels("sse2");

}  // namespace batchnorm
#endif
