// The kernels that every instruction set has, and the table that dispatch.cpp chooses from. A
// kernel does one task's share of an operation on the calling thread; forward.cpp and backward.cpp
// deal out the shares. No kernel allocates, throws or reads the environment.
#pragma once

#include "order.h"

namespace batchnorm {

// Where values lie: those of sample s begin at data + s * stride, and a channel's positions are
// neighbours. A tile of channels is such a view of the whole tensor.
struct Input {
  const float* data;
  std::size_t stride;
};
struct Output {
  float* data;
  std::size_t stride;
};

// What normalize needs of each channel, in float32.
struct Transform {
  float* mean;
  float* scale;
  float* shift;
};

// What the gradient of the input needs of each channel, in float32:
// ((grad_output - offset) - (x - mean) * slope) * scale.
struct GradientTransform {
  float* mean;
  float* slope;
  float* offset;
  float* scale;
};

// The sums of backward, by channel: of grad_output, and of grad_output * xhat.
struct Sums {
  double* gradient;
  double* product;
};

struct Kernels {
  const char* name;
  bool (*supported)();

  // The moments of one segment of a tile; `order` is that of the whole tensor.
  void (*segment_moments)(Input x, Extent tile, const Order& order, std::size_t segment,
                          Moments moments);
  // The sums of one segment of a tile, likewise.
  void (*segment_sums)(Input grad_output, Input x, Extent tile, const Order& order,
                       std::size_t segment, const float* mean, const float* invstd, Sums sums);

  // The elementwise parts of a tile. With `stream`, results bypass the caches.
  void (*normalize)(Input x, Extent tile, Transform transform, Output y, bool stream);
  void (*training_gradient)(Input grad_output, Input x, Extent tile, GradientTransform transform,
                            Output grad_input, bool stream);
  void (*eval_gradient)(Input grad_output, Extent tile, const float* scale, Output grad_input,
                        bool stream);

  // The parts in float64, once a channel.
  void (*merge)(std::size_t channels, double into_count, Moments into, double from_count,
                ConstMoments from);
  void (*add_sums)(std::size_t channels, Sums into, Sums from);
  void (*settle_sums)(std::size_t channels, Statistics statistics, Sums sums);
  void (*update_running)(std::size_t channels, Running running, double count, ConstMoments moments,
                         double momentum);
  void (*eval_statistics)(std::size_t channels, const float* running_mean,
                          const float* running_variance, double eps, double* mean, double* invstd);
  void (*invstd)(std::size_t channels, double count, const double* m2, double eps, double* invstd);
  void (*transform)(std::size_t channels, Statistics statistics, Affine affine,
                    Transform transform);
  void (*gradient_transform)(std::size_t channels, double count, Statistics statistics,
                             const float* weight, Sums sums, GradientTransform transform);
};

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
