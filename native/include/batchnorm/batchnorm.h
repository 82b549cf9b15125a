// Batch normalization with the same bits on every instruction set and thread count.
//
// Every tensor is seen as (outer, channels, inner): element (o, c, i) lies at
// (o * channels + c) * inner + i. So (N, C) is (N, C, 1), (N, C, L) is itself, (N, C, H, W) is
// (N, C, H * W), and a channels-last (N, L, C) is (N * L, C, 1). n = outer * inner is the number
// of values of a channel.
//
// A Value is float, double, bfloat16 or float16; all tensors of a call have the same. It is
// computed with in float, or in double if it is one: halves are widened, which is exact, computed
// with as floats are, and rounded to nearest even where they are stored.
//
// Nothing here checks its arguments, but for assertions in a build without NDEBUG: pointers are
// valid, lengths are as the comments say, n >= 1, and a tensor has a channel. Nothing throws but
// std::bad_alloc, where scratch memory (at most 100 bytes a channel and 24 for each segment of 2048
// values and more; up to 4 MiB of it stay with the thread) is not to be had; then nothing was
// written. Arrays may have any alignment that their elements have. Calls from several threads at
// once are fine as long as they write to different arrays.
//
// The arithmetic is defined in lib/backend/typescript, line by line; these functions give the
// same bits.
//
// With CMake: add_subdirectory of the project's folder, and link batchnorm_kernels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace batchnorm {

struct Extent {
  std::size_t outer;
  std::size_t channels;
  std::size_t inner;
};

// How many values a tensor has.
inline std::size_t values(Extent extent) { return extent.outer * extent.channels * extent.inner; }

// The upper half of a float: 8 bits of exponent, 7 of fraction.
struct bfloat16 {
  std::uint16_t bits;
};

// IEEE 754's binary16: 5 bits of exponent, 10 of fraction.
struct float16 {
  std::uint16_t bits;
};

// What a Value is computed with, and what parameters and running buffers beside it are.
template <class Value>
struct Computed {
  using Type = float;
};
template <>
struct Computed<double> {
  using Type = double;
};
template <class Value>
using Real = typename Computed<Value>::Type;

struct ConstMoments {
  const double* mean;
  const double* m2;
  const double* mean_low = nullptr;
};

// Of each channel: the mean, and M2, the sum of squared deviations from the mean.
struct Moments {
  double* mean;  // [channels]
  double* m2;    // [channels]
  // The low part of the mean: mean + mean_low has twice the digits; nullptr: not wanted.
  double* mean_low = nullptr;  // [channels]

  operator ConstMoments() const { return {mean, m2, mean_low}; }
};

// What normalizes: the mean, and invstd = 1 / sqrt(variance + eps), of each channel; invstd is 0
// where variance and eps are.
struct Statistics {
  const double* mean;                // [channels]
  const double* invstd;              // [channels]
  const double* mean_low = nullptr;  // [channels], or nullptr for zeros
};

// gamma and beta, [channels] each; nullptr stands for all ones and all zeros.
template <class Real>
struct Affine {
  const Real* weight;
  const Real* bias;
};

// The running buffers, [channels] each. Both or neither are nullptr; then nothing is tracked. The
// variance that moves them is M2 / (count - correction): with 1 the unbiased one, PyTorch's, and
// with 0 the biased one.
template <class Real>
struct Running {
  Real* mean;
  Real* variance;
  double correction = 1;
};

// A function of one value. Both keep a NaN, and relu a -0; otherwise
//   relu(z)       = z > 0 ? z : 0
//   leaky_relu(z) = z > 0 ? z : z * negative_slope.
enum class ActivationName { none, relu, leaky_relu };

struct Activation {
  ActivationName name = ActivationName::none;
  double negative_slope = 0;  // of leaky_relu, at least 0
};

// What follows the normalization in the same pass: y = activation(z), z = normalized + residual.
template <class Value>
struct Epilogue {
  Activation activation = {};
  const Value* residual = nullptr;  // like x; nullptr: none
};

// An activation and what came out of it, which tells what it lets through of the gradient:
//   relu:       grad_z = output <= 0 ? 0 : grad_output
//   leaky_relu: grad_z = output > 0 ? grad_output : grad_output * negative_slope.
template <class Value>
struct Activated {
  Activation activation = {};
  const Value* output = nullptr;  // like x; not read without an activation
};

// Where backward writes (it does not add); nullptr means: not wanted.
template <class Value>
struct Gradients {
  Value* input;         // like x; may be grad_output, x or the activation's output itself
  Real<Value>* weight;  // [channels]
  Real<Value>* bias;    // [channels]
  // grad_z, where an activation followed; like x; may be what input may be, but not input. Without
  // an activation grad_z is grad_output, and nothing is written here.
  Value* residual = nullptr;
};

struct ConstSums {
  const double* gradient;
  const double* product;
};

// The sums that gradients are made of, [channels] each: of grad_z, and of grad_z * xhat.
struct Sums {
  double* gradient;
  double* product;

  operator ConstSums() const { return {gradient, product}; }
};

// What forward does with a batch whose statistics are not finite, or do not fit the type of the
// running buffers.
enum class NonFinite {
  propagate,  // goes on all the same, as PyTorch does
  skip,       // leaves the running buffers alone
  throws,     // leaves the running buffers and y alone
};

struct ForwardSettings {
  double eps;
  double momentum;  // the weight of the new statistic; not read when nothing is tracked
  NonFinite non_finite;
};

// Mean and M2 of each channel of x, [outer, channels, inner].
template <class Value>
void statistics(const Value* x, Extent extent, Moments moments);

// Merges `from`, of from_count values a channel, into `into`, of into_count. Returns the sum of
// the counts. Where `into` keeps the low part of its mean, that takes part. Chan, Golub and LeVeque
// 1979.
double merge(std::size_t channels, double into_count, Moments into, double from_count,
             ConstMoments from);

// running = (1 - momentum) * running + momentum * batch. The count, perhaps the effective number of
// weighted values, is above 1. Real is float or double, here and in eval_statistics.
template <class Real>
void update_running(std::size_t channels, Running<Real> running, double count, ConstMoments moments,
                    double momentum);

// The statistics of eval mode: the running mean, and 1 / sqrt(running variance + eps).
template <class Real>
void eval_statistics(std::size_t channels, const Real* running_mean, const Real* running_variance,
                     double eps, double* mean, double* invstd);

// y = (x - mean) * scale + shift, where scale = weight * invstd, and shift is bias less scale
// times the low part of the mean; then the epilogue. y, like x, may be x or the residual itself. A
// channel for which the type is too narrow is computed in double: y is finite wherever the exact
// value is.
template <class Value>
void normalize(const Value* x, Extent extent, Statistics statistics, Affine<Real<Value>> affine,
               Value* y, Epilogue<Value> epilogue = {});

// Forward in training: statistics, update_running and normalize in one call. Fills moments and
// invstd, [channels]. Returns whether every statistic is finite and fits the running buffers' type;
// if not, settings.non_finite tells what was done.
template <class Value>
bool forward(const Value* x, Extent extent, const ForwardSettings& settings,
             Affine<Real<Value>> affine, Running<Real<Value>> running, Moments moments,
             double* invstd, Value* y, Epilogue<Value> epilogue = {});

// Gradients of normalize, with xhat = (x - mean) * invstd, scale = weight * invstd, and grad_z
// grad_output, or what an activation lets through of it:
//   gradients.bias   = sum(grad_z)
//   gradients.weight = sum(grad_z * xhat)
//   gradients.input  = scale * (grad_z - gradients.bias / n - xhat * gradients.weight / n)
//                      when training: the statistics are those of x;
//   gradients.input  = scale * grad_z when not: they are constants.
// When training, the sum of xhat is taken to be 0, as it is for the statistics of x.
template <class Value>
void backward(const Value* grad_output, const Value* x, Extent extent, Statistics statistics,
              const Real<Value>* weight, bool training, Gradients<Value> gradients,
              Activated<Value> activated = {});

// The two halves of backward in training: the sums, before they are rounded; and the gradient of
// the input (and of the residual; either may be nullptr) by sums over `count` values a channel, of
// which x may be a part.
template <class Value>
void gradient_sums(const Value* grad_output, const Value* x, Extent extent, Statistics statistics,
                   Sums sums, Activated<Value> activated = {});
template <class Value>
void input_gradient(const Value* grad_output, const Value* x, Extent extent, Statistics statistics,
                    const Real<Value>* weight, ConstSums sums, double count, Value* grad_input,
                    Activated<Value> activated = {}, Value* grad_residual = nullptr);

// The instruction sets that this build has and this CPU can run, best first; 'scalar' is last.
// Ends with nullptr.
const char* const* supported_instruction_sets();

// The one in use: the best, unless another was chosen.
const char* instruction_set();

// Chooses one for all later calls of the process. Returns false, and changes nothing, when `name`
// is not among the supported ones.
bool use_instruction_set(const char* name);

// How many threads a call may use, the caller's among them, from 1 to 1024; at first, one for each
// CPU that the process may run on. The result does not depend on it.
unsigned threads();
void set_threads(unsigned count);

}  // namespace batchnorm
