// Plain C++: every CPU has it, and the SIMD kernels are checked against it.
#include <math.h>

#include "../kernels.h"
#include "target.h"

namespace batchnorm {
namespace scalar {
namespace {

struct Vec {
  static constexpr std::size_t width = 1;
  float value;
};
BATCHNORM_INLINE Vec operator+(Vec a, Vec b) { return {a.value + b.value}; }
BATCHNORM_INLINE Vec operator-(Vec a, Vec b) { return {a.value - b.value}; }
BATCHNORM_INLINE Vec operator*(Vec a, Vec b) { return {a.value * b.value}; }
BATCHNORM_INLINE Vec broadcast(float value) { return {value}; }

struct Whole {
  BATCHNORM_INLINE Vec load(const float* from) const { return {*from}; }
  BATCHNORM_INLINE void store(float* to, Vec a) const { *to = a.value; }
};
using Stream = Whole;  // no such store in portable C++
BATCHNORM_INLINE void end_of_stream() {}
struct Part : Whole {  // of one lane, there is no part
  BATCHNORM_INLINE explicit Part(std::size_t) {}
};

bool supported() { return true; }
#include "../kernels/all.inc"

}  // namespace
}  // namespace scalar

const Kernels scalar_kernels = scalar::kernels("scalar");

}  // namespace batchnorm
