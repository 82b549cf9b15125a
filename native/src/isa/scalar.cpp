// Plain C++: every CPU has it, and the SIMD kernels are checked against it.
#include <math.h>
#include <string.h>

#include "../half.h"
#include "../kernels.h"
#include "target.h"

namespace batchnorm {
namespace scalar {
namespace {

BATCHNORM_INLINE void end_of_stream() {}

template <class T>
struct One {
  static constexpr std::size_t width = 1;
  T value;
};
template <class T>
BATCHNORM_INLINE One<T> operator+(One<T> a, One<T> b) {
  return {a.value + b.value};
}
template <class T>
BATCHNORM_INLINE One<T> operator-(One<T> a, One<T> b) {
  return {a.value - b.value};
}
template <class T>
BATCHNORM_INLINE One<T> operator*(One<T> a, One<T> b) {
  return {a.value * b.value};
}
template <class T>
BATCHNORM_INLINE One<T> where_less(One<T> a, One<T> b, One<T> then, One<T> otherwise) {
  return a.value < b.value ? then : otherwise;
}
template <class T>
BATCHNORM_INLINE One<T> where_at_most(One<T> a, One<T> b, One<T> then, One<T> otherwise) {
  return a.value <= b.value ? then : otherwise;
}

template <class T>
struct WholeOf {
  BATCHNORM_INLINE One<T> load(const T* from) const { return {*from}; }
  BATCHNORM_INLINE void store(T* to, One<T> a) const { *to = a.value; }
  BATCHNORM_INLINE void add(double* to, One<T> a) const { *to += a.value; }
};
template <class T>
struct PartOf : WholeOf<T> {  // of one lane, there is no part
  BATCHNORM_INLINE explicit PartOf(std::size_t) {}
};

namespace floats {
using Real = float;
using Vec = One<float>;
BATCHNORM_INLINE Vec broadcast(float value) { return {value}; }
using Whole = WholeOf<float>;
using Stream = Whole;  // no such store in portable C++
using Part = PartOf<float>;
}  // namespace floats

namespace doubles {
using Real = double;
using Vec = One<double>;
BATCHNORM_INLINE Vec broadcast(double value) { return {value}; }
using Whole = WholeOf<double>;
using Stream = Whole;
using Part = PartOf<double>;
}  // namespace doubles

using Words = One<std::uint32_t>;
BATCHNORM_INLINE Words operator&(Words a, Words b) { return {a.value & b.value}; }
BATCHNORM_INLINE Words operator|(Words a, Words b) { return {a.value | b.value}; }
template <int bits>
BATCHNORM_INLINE Words up(Words a) {
  return {a.value << bits};
}
template <int bits>
BATCHNORM_INLINE Words down(Words a) {
  return {a.value >> bits};
}
BATCHNORM_INLINE Words words_of(std::uint32_t word) { return {word}; }
BATCHNORM_INLINE Words where_above(Words a, Words b, Words then, Words otherwise) {
  return a.value > b.value ? then : otherwise;
}
BATCHNORM_INLINE Words as_words(floats::Vec a) {
  Words words;
  memcpy(&words.value, &a.value, sizeof words.value);
  return words;
}
BATCHNORM_INLINE floats::Vec as_floats(Words a) { return {float_of_bits(a.value)}; }

struct WholeHalves {
  BATCHNORM_INLINE Words load(const std::uint16_t* from) const { return {*from}; }
  BATCHNORM_INLINE void store(std::uint16_t* to, Words a) const {
    *to = static_cast<std::uint16_t>(a.value);
  }
};
using StreamHalves = WholeHalves;
struct PartHalves : WholeHalves {
  BATCHNORM_INLINE explicit PartHalves(std::size_t) {}
};

#include "../kernels/rounding.inc"
#include "../kernels/float16.inc"

bool supported() { return true; }
#include "../kernels/all.inc"

}  // namespace
}  // namespace scalar

const Kernels scalar_kernels = scalar::kernels("scalar");

}  // namespace batchnorm
