// Batch normalization in float32, with the same bits on every instruction set and thread count.
//
// Every tensor is seen as (outer, channels, inner): element (o, c, i) lies at
// (o * channels + c) * inner + i. So (N, C) is (N, C, 1), (N, C, L) is itself, (N, C, H, W) is
// (N, C, H * W), and a channels-last (N, L, C) is (N * L, C, 1). n = outer * inner is the number
// of values of a channel.
//
// Nothing here checks its arguments: pointers are valid, lengths are as the comments say, and
// n >= 1. Nothing throws but std::bad_alloc, where scratch memory (1/128 of x at most) is not to be
// had; then nothing was written. Arrays may have any alignment that a float has. Calls from several
// threads at once are fine as long as they write to different arrays.
//
// The arithmetic is defined in lib/backend/typescript, line by line; these functions give the
// same bits.
#pragma once

#include <cstddef>

namespace batchnorm {

struct Extent {
  std::size_t outer;
  std::size_t channels;
  std::size_t inner;
};

// How many values a tensor has.
inline std::size_t values(Extent extent) { return extent.outer * extent.channels * extent.inner; }

// Of each channel: the mean, and M2, the sum of squared deviations from the mean.
struct Moments {
  double* mean;  // [channels]
  double* m2;    // [channels]
};

struct ConstMoments {
  const double* mean;
  const double* m2;
};

// What normalizes: the mean, and invstd = 1 / sqrt(variance + eps), of each channel.
struct Statistics {
  const double* mean;    // [channels]
  const double* invstd;  // [channels]
};

// gamma and beta, [channels] each; nullptr stands for all ones and all zeros.
struct Affine {
  const float* weight;
  const float* bias;
};

// The running buffers, [channels] each: the mean, and the unbiased variance. Both or neither are
// nullptr; then nothing is tracked.
struct Running {
  float* mean;
  float* variance;
};

// Where backward writes (it does not add); nullptr means: not wanted.
struct Gradients {
  float* input;   // like x; may be gradOutput or x itself
  float* weight;  // [channels]
  float* bias;    // [channels]
};

// What forward does with a batch whose statistics are not finite, or do not fit float32.
enum class NonFinite {
  propagate,  // goes on all the same, as PyTorch does
  skip,       // leaves the running buffers alone
  stop,       // leaves the running buffers and y alone
};

struct ForwardSettings {
  double eps;
  double momentum;  // the weight of the new statistic; not read when nothing is tracked
  NonFinite non_finite;
};

// Mean and M2 of each channel of x, [outer, channels, inner].
void statistics(const float* x, Extent extent, Moments moments);

// Merges `from`, of from_count values a channel, into `into`, of into_count. Returns the sum of
// the counts. Chan, Golub and LeVeque 1979.
double merge(std::size_t channels, double into_count, Moments into, double from_count,
             ConstMoments from);

// running = (1 - momentum) * running + momentum * batch; the variance is M2 / (count - 1), so
// count is at least 2.
void update_running(std::size_t channels, Running running, double count, ConstMoments moments,
                    double momentum);

// The statistics of eval mode: the running mean, and 1 / sqrt(running variance + eps).
void eval_statistics(std::size_t channels, const float* running_mean, const float* running_variance,
                     double eps, double* mean, double* invstd);

// y = (x - mean) * scale + shift, where scale = weight * invstd, and shift is bias less what the
// mean lost when it was rounded to float32. y, like x, may be x itself.
void normalize(const float* x, Extent extent, Statistics statistics, Affine affine, float* y);

// Forward in training: statistics, update_running and normalize in one call. Fills moments and
// invstd, [channels]. Returns whether every statistic is finite and fits float32; if not,
// settings.non_finite tells what was done.
bool forward(const float* x, Extent extent, const ForwardSettings& settings, Affine affine,
             Running running, Moments moments, double* invstd, float* y);

// Gradients of normalize, with xhat = (x - mean) * invstd and scale = weight * invstd:
//   gradients.bias   = sum(grad_output)
//   gradients.weight = sum(grad_output * xhat)
//   gradients.input  = scale * (grad_output - gradients.bias / n - xhat * gradients.weight / n)
//                      when training: the statistics are those of x;
//   gradients.input  = scale * grad_output when not: they are constants.
void backward(const float* grad_output, const float* x, Extent extent, Statistics statistics,
              const float* weight, bool training, Gradients gradients);

// The instruction sets that this build has and this CPU can run, best first; 'scalar' is last.
// Ends with nullptr.
const char* const* supported_instruction_sets();

// The one in use: the best, unless another was chosen.
const char* instruction_set();

// Chooses one for all later calls of the process. Returns false, and changes nothing, when `name`
// is not among the supported ones.
bool use_instruction_set(const char* name);

// How many threads a call may use, the caller's among them; at first, one for each CPU that the
// process may run on. The result does not depend on it.
unsigned threads();
void set_threads(unsigned count);

}  // namespace batchnorm
