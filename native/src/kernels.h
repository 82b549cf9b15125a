// The kernels that every instruction set has, and the table that dispatch.cpp chooses from. A
// kernel does one task's share of an operation on the calling thread; forward.cpp and backward.cpp
// deal out the shares. No kernel allocates, throws or reads the environment.
#pragma once

#include "isa/target.h"
#include "order.h"

namespace batchnorm {

// Where values lie: those of sample s begin at data + s * stride, and a channel's positions are
// neighbours. A tile of channels is such a view of the whole tensor.
template <class Value>
struct Input {
  const Value* data;
  std::size_t stride;
};
template <class Value>
struct Output {
  Value* data;
  std::size_t stride;
};

// What normalize needs of each channel, in the type that is computed in.
template <class Real>
struct Transform {
  Real* mean;
  Real* scale;
  Real* shift;
};

// What the sums of gradients need of each channel, likewise: of gradient - pivot, and of that times
// (x - mean) * unit.
template <class Real>
struct GradientCentre {
  Real* pivot;
  Real* mean;
  Real* unit;  // a power of two near invstd
};

// The means of grad_z and of grad_z * xhat of each channel, with the low part of the first.
struct GradientMeans {
  double* offset;
  double* offset_low;
  double* product;
};

// What the gradient of the input needs of each channel, likewise:
// ((gradient - offset) - (x - mean) * slope) * scale + shift.
template <class Real>
struct GradientTransform {
  Real* mean;
  Real* slope;
  Real* offset;
  Real* scale;
  Real* shift;
};

// The limits of a type; wide.h has what is done beyond them.
struct Limits {
  double smallest_normal;
  // A sum or a difference of a value with a number so large cannot overflow: it is less than half a
  // unit in the last place of the largest value.
  double largest;
  // A variance below it has lost digits to the underflow of squares.
  double smallest_variance;
  // Where a pivot is at least so large, the square of a difference from it does not underflow to 0.
  double smallest_pivot;
};
template <class Real>
constexpr Limits limits_of() {
  return sizeof(Real) == sizeof(double) ? Limits{0x1p-1022, 0x1p900, 0x1p-960, 0x1p-400}
                                        : Limits{0x1p-126, 0x1p100, 0x1p-120, 0x1p-40};
}

// Whether a channel is beyond the limits. Without branches, so that a loop over channels becomes
// SIMD; a NaN is not: it stays NaN.
BATCHNORM_INLINE bool is_large(double value, double largest) {
  return (value > largest) | (value < -largest);
}
BATCHNORM_INLINE bool is_small(double value, const Limits& limits) {
  return (value != 0) & (value < limits.smallest_normal) & (value > -limits.smallest_normal);
}
// For normalize:
BATCHNORM_INLINE bool is_wide(const Limits& limits, double mean, double scale, double bias) {
  return is_large(mean, limits.largest) | is_large(bias, limits.largest) |
         is_large(scale, limits.largest) | is_small(scale, limits);
}
// For the gradient of the input. xhat is at most sqrt(n), 2^20 for as many values as there may be.
BATCHNORM_INLINE bool is_wide(const Limits& limits, double mean, double offset, double product,
                              double slope, double scale) {
  return is_large(mean, limits.largest) | is_large(offset, limits.largest) |
         is_large(product, limits.largest * 0x1p-20) | is_large(slope, limits.largest) |
         is_small(slope, limits) | is_large(scale, limits.largest) | is_small(scale, limits);
}

// The residual and the activation of an epilogue, for a tile; without a residual its data is
// nullptr.
template <class Value>
struct TileEpilogue {
  Activation activation;
  Input<Value> residual;
};

// The gradient of a tile's results, and the activation that it goes through first.
template <class Value>
struct TileGradient {
  Input<Value> output;
  Activation activation;
  Input<Value> activated;  // what came out of the activation
};

// Where the elementwise part of backward writes; the residual's data is nullptr where it is not
// wanted.
template <class Value>
struct TileGradients {
  Output<Value> input;
  Output<Value> residual;
};

// What reads or writes values. With `stream`, results bypass the caches.
template <class Value>
struct ValueKernels {
  // The moments of one segment of a tile; `order` is that of the whole tensor.
  void (*segment_moments)(Input<Value> x, Extent tile, const Order& order, std::size_t segment,
                          Moments moments);
  // What is taken off the gradients of each channel, of eight of them, those of channel 0 at
  // `offsets`.
  void (*gradient_pivots)(TileGradient<Value> gradient, Extent extent,
                          const std::size_t (&offsets)[pivot_gradients], Real<Value>* pivots);
  // The sums of one segment of a tile, likewise, around a pivot, and in units that are settled
  // later.
  void (*segment_sums)(TileGradient<Value> gradient, Input<Value> x, Extent tile,
                       const Order& order, std::size_t segment, GradientCentre<Real<Value>> centre,
                       Sums sums);

  void (*normalize)(Input<Value> x, Extent tile, Transform<Real<Value>> transform, Output<Value> y,
                    TileEpilogue<Value> epilogue, bool stream);
  void (*training_gradient)(TileGradient<Value> gradient, Input<Value> x, Extent tile,
                            GradientTransform<Real<Value>> transform, TileGradients<Value> to,
                            bool stream);
  void (*eval_gradient)(TileGradient<Value> gradient, Extent tile, const Real<Value>* scale,
                        TileGradients<Value> to, bool stream);
};

// What is computed in float64 and stored as Real, once a channel. The transforms return whether the
// range of Real is enough for every channel.
template <class Real>
struct ParameterKernels {
  void (*gradient_centre)(std::size_t channels, Statistics statistics, GradientCentre<Real> centre);
  // Whether the sums around the centre of each channel, and of all, are as exact as they should be.
  bool (*are_safe)(std::size_t channels, double count, const Real* pivot, ConstSums sums,
                   bool* safe);
  // Makes of sums around the centre the sums, and their means.
  void (*restore_sums)(std::size_t channels, double count, Statistics statistics,
                       GradientCentre<Real> centre, Sums sums, GradientMeans means);
  void (*update_running)(std::size_t channels, Running<Real> running, double count,
                         ConstMoments moments, double momentum);
  void (*eval_statistics)(std::size_t channels, const Real* running_mean,
                          const Real* running_variance, double eps, double* mean, double* invstd);
  bool (*transform)(std::size_t channels, Statistics statistics, Affine<Real> affine,
                    Transform<Real> transform);
  bool (*gradient_transform)(std::size_t channels, Statistics statistics, const Real* weight,
                             GradientMeans means, GradientTransform<Real> transform);
};

// What is float64 alone, once a channel.
struct ChannelKernels {
  void (*merge)(std::size_t channels, double into_count, Moments into, double from_count,
                ConstMoments from);
  void (*add_sums)(std::size_t channels, Sums into, ConstSums from);
  // Returns whether every M2 fits float64.
  bool (*invstd)(std::size_t channels, double count, const double* m2, double eps, double* invstd);
};

struct Kernels : ValueKernels<float>,
                 ValueKernels<double>,
                 ValueKernels<bfloat16>,
                 ValueKernels<float16>,
                 ParameterKernels<float>,
                 ParameterKernels<double>,
                 ChannelKernels {
  const char* name;
  bool (*supported)();

  template <class Value>
  const ValueKernels<Value>& of_values() const {
    return *this;
  }
  template <class Real>
  const ParameterKernels<Real>& of_parameters() const {
    return *this;
  }
};

// The same from a later channel on.
template <class Number>
Number* from_channel(Number* numbers, std::size_t channel) {
  return numbers ? numbers + channel : nullptr;
}
inline Moments from_channel(Moments moments, std::size_t channel) {
  return {moments.mean + channel, moments.m2 + channel, from_channel(moments.mean_low, channel)};
}

inline Sums from_channel(Sums sums, std::size_t channel) {
  return {sums.gradient + channel, sums.product + channel};
}

// Calls a macro with each type of values.
#define BATCHNORM_FOR_EACH_VALUE(MACRO) MACRO(float) MACRO(double) MACRO(bfloat16) MACRO(float16)

// One for each instruction set that this build has; see isa/.
extern const Kernels scalar_kernels;
#if defined(__x86_64__) || defined(_M_X64)
#define BATCHNORM_X86 1
extern const Kernels sse2_kernels;
extern const Kernels avx2_kernels;
extern const Kernels avx512_kernels;
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
#define BATCHNORM_ARM 1
extern const Kernels neon_kernels;
#endif

}  // namespace batchnorm
