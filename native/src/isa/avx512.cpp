// AVX-512 F: 16 lanes. Intel servers since Skylake (2017), AMD since Zen 4 (2022).
#include "../half.h"
#include "../kernels.h"
#ifdef BATCHNORM_X86
#if defined(__GNUC__) && !defined(__clang__)
// GCC's own header makes undefined vectors of themselves (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "cpu.h"
#include "target.h"

BATCHNORM_BEGIN_TARGET("avx512f")
namespace batchnorm {
namespace avx512 {
namespace {

BATCHNORM_INLINE void end_of_stream() { _mm_sfence(); }

namespace floats {
using Real = float;
struct Vec {
  static constexpr std::size_t width = 16;
  __m512 value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(float value) { return {_mm512_set1_ps(value)}; }
BATCHNORM_INLINE Vec where_less(Vec a, Vec b, Vec then, Vec otherwise) {
  const __mmask16 mask = _mm512_cmp_ps_mask(a.value, b.value, _CMP_LT_OQ);
  return {_mm512_mask_blend_ps(mask, otherwise.value, then.value)};
}
BATCHNORM_INLINE Vec where_at_most(Vec a, Vec b, Vec then, Vec otherwise) {
  const __mmask16 mask = _mm512_cmp_ps_mask(a.value, b.value, _CMP_LE_OQ);
  return {_mm512_mask_blend_ps(mask, otherwise.value, then.value)};
}

BATCHNORM_INLINE __m256 lower(Vec a) { return _mm512_castps512_ps256(a.value); }
BATCHNORM_INLINE __m256 upper(Vec a) {
  return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.value), 1));
}

struct Whole {
  BATCHNORM_INLINE Vec load(const float* from) const { return {_mm512_loadu_ps(from)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm512_storeu_ps(to, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const {
    add_eight(to, lower(a));
    add_eight(to + 8, upper(a));
  }
  BATCHNORM_INLINE void add_folded(double* to, Vec a) const {
    add_eight(to, _mm256_add_ps(lower(a), upper(a)));
  }
  static BATCHNORM_INLINE void add_eight(double* to, __m256 a) {
    _mm512_storeu_pd(to, _mm512_add_pd(_mm512_loadu_pd(to), _mm512_cvtps_pd(a)));
  }
};
struct Stream : Whole {
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm512_stream_ps(to, a.value); }
};
struct Part {
  __mmask16 mask;
  BATCHNORM_INLINE void add(double* to, Vec a) const {
    add_eight(to, lower(a), static_cast<__mmask8>(mask));
    add_eight(to + 8, upper(a), static_cast<__mmask8>(mask >> 8));
  }
  static BATCHNORM_INLINE void add_eight(double* to, __m256 a, __mmask8 lanes) {
    const __m512d before = _mm512_maskz_loadu_pd(lanes, to);
    _mm512_mask_storeu_pd(to, lanes, _mm512_add_pd(before, _mm512_cvtps_pd(a)));
  }
  BATCHNORM_INLINE explicit Part(std::size_t count)
      : mask(static_cast<__mmask16>((1u << count) - 1)) {}
  BATCHNORM_INLINE Vec load(const float* from) const { return {_mm512_maskz_loadu_ps(mask, from)}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { _mm512_mask_storeu_ps(to, mask, a.value); }
};
}  // namespace floats

namespace doubles {
using Real = double;
struct Vec {
  static constexpr std::size_t width = 8;
  __m512d value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_pd(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {_mm512_sub_pd(a.value, b.value)}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {_mm512_mul_pd(a.value, b.value)}; }
BATCHNORM_INLINE Vec broadcast(double value) { return {_mm512_set1_pd(value)}; }
BATCHNORM_INLINE Vec where_less(Vec a, Vec b, Vec then, Vec otherwise) {
  const __mmask8 mask = _mm512_cmp_pd_mask(a.value, b.value, _CMP_LT_OQ);
  return {_mm512_mask_blend_pd(mask, otherwise.value, then.value)};
}
BATCHNORM_INLINE Vec where_at_most(Vec a, Vec b, Vec then, Vec otherwise) {
  const __mmask8 mask = _mm512_cmp_pd_mask(a.value, b.value, _CMP_LE_OQ);
  return {_mm512_mask_blend_pd(mask, otherwise.value, then.value)};
}

struct Whole {
  BATCHNORM_INLINE Vec load(const double* from) const { return {_mm512_loadu_pd(from)}; }
  BATCHNORM_INLINE void store(double* to, Vec a) const { _mm512_storeu_pd(to, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const { store(to, load(to) + a); }
};
struct Stream : Whole {
  BATCHNORM_INLINE void store(double* to, Vec a) const { _mm512_stream_pd(to, a.value); }
};
struct Part {
  __mmask8 mask;
  BATCHNORM_INLINE explicit Part(std::size_t count)
      : mask(static_cast<__mmask8>((1u << count) - 1)) {}
  BATCHNORM_INLINE Vec load(const double* from) const {
    return {_mm512_maskz_loadu_pd(mask, from)};
  }
  BATCHNORM_INLINE void store(double* to, Vec a) const { _mm512_mask_storeu_pd(to, mask, a.value); }
  BATCHNORM_INLINE void add(double* to, Vec a) const { store(to, load(to) + a); }
};
}  // namespace doubles

struct Words {
  static constexpr std::size_t width = 16;
  __m512i value;
};
BATCHNORM_INLINE Words operator+(Words a, Words b) { return {_mm512_add_epi32(a.value, b.value)}; }
BATCHNORM_INLINE Words operator-(Words a, Words b) { return {_mm512_sub_epi32(a.value, b.value)}; }
BATCHNORM_INLINE Words operator&(Words a, Words b) { return {_mm512_and_si512(a.value, b.value)}; }
BATCHNORM_INLINE Words operator|(Words a, Words b) { return {_mm512_or_si512(a.value, b.value)}; }
template <int bits>
BATCHNORM_INLINE Words up(Words a) {
  return {_mm512_slli_epi32(a.value, bits)};
}
template <int bits>
BATCHNORM_INLINE Words down(Words a) {
  return {_mm512_srli_epi32(a.value, bits)};
}
BATCHNORM_INLINE Words words_of(std::uint32_t word) {
  return {_mm512_set1_epi32(static_cast<int>(word))};
}
BATCHNORM_INLINE Words where_above(Words a, Words b, Words then, Words otherwise) {
  const __mmask16 mask = _mm512_cmpgt_epi32_mask(a.value, b.value);
  return {_mm512_mask_blend_epi32(mask, otherwise.value, then.value)};
}
BATCHNORM_INLINE Words as_words(floats::Vec a) { return {_mm512_castps_si512(a.value)}; }
BATCHNORM_INLINE floats::Vec as_floats(Words a) { return {_mm512_castsi512_ps(a.value)}; }

struct WholeHalves {
  BATCHNORM_INLINE Words load(const std::uint16_t* from) const {
    return {_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
  }
  BATCHNORM_INLINE void store(std::uint16_t* to, Words a) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(a.value));
  }
};
struct StreamHalves : WholeHalves {
  BATCHNORM_INLINE void store(std::uint16_t* to, Words a) const {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(a.value));
  }
};
// There are no masks for 16 bits: pairs of halves are loaded, and the last half alone.
struct PartHalves {
  std::size_t last;
  BATCHNORM_INLINE explicit PartHalves(std::size_t count) : last(count - 1) {}
  BATCHNORM_INLINE Words load(const std::uint16_t* from) const {
    const __mmask16 pairs = static_cast<__mmask16>((1u << (last + 1) / 2) - 1);
    const __m512i halves = _mm512_maskz_loadu_epi32(pairs, from);
    const __m512i words = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(halves));
    return {_mm512_mask_set1_epi32(words, static_cast<__mmask16>(1u << last), from[last])};
  }
  BATCHNORM_INLINE void store(std::uint16_t* to, Words a) const {
    const __mmask16 lanes = static_cast<__mmask16>((2u << last) - 1);
    _mm512_mask_cvtepi32_storeu_epi16(to, lanes, a.value);
  }
};

#include "../kernels/rounding.inc"
// Exact for subnormals, whatever the modes of the CPU.
BATCHNORM_INLINE floats::Vec widened(Words bits, float16) {
  return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(bits.value))};
}
BATCHNORM_INLINE Words narrowed(floats::Vec value, float16) {
  return {_mm512_cvtepu16_epi32(_mm512_cvtps_ph(value.value, _MM_FROUND_TO_NEAREST_INT))};
}

bool supported() { return cpu_has_avx512(); }
#include "../kernels/all.inc"

}  // namespace
}  // namespace avx512

const Kernels avx512_kernels = avx512::kernels("avx512");

}  // namespace batchnorm
BATCHNORM_END_TARGET
#endif
