// Channels that the type of their values is too narrow for: where a square, a difference or the
// scale would overflow or lose digits to underflow. They are rare, and computed one value after
// another in float64, those of float64 in units of a power of two, so that the result is finite
// wherever the exact one is. lib/backend/typescript/wide.ts.
#pragma once

#include "gradient_sums.h"

namespace batchnorm {

// The moments of one channel, and M2 once more in units in which it fits float64.
struct WideMoments {
  double mean;
  double mean_low;
  double m2;  // infinite where it does not fit float64
  double unit;
  double m2_in_units;  // M2 / unit^2
};

template <class Value>
WideMoments wide_moments(const Value* x, Extent extent, std::size_t channel);

// 1 / sqrt(M2 / n + eps), and 0 for a constant channel with an eps of 0, as in PyTorch. Where M2 of
// finite values does not fit float64, it is taken from the values.
template <class Value>
double invstd_of(const Value* x, Extent extent, std::size_t channel, double m2, double eps);

// What normalizes one channel.
struct WideTransform {
  double mean;
  double mean_low;
  double invstd;
  double weight;
  double bias;
};

// y = (x - mean) * invstd * weight + bias, and the epilogue, for a share of one channel.
template <class Value>
void normalize_widely(const Value* x, Extent extent, const Share& share,
                      const WideTransform& transform, Value* y, const Epilogue<Value>& epilogue);

// The sums of a channel's grad_z and grad_z * xhat, and their means, which may be finite where a
// sum is not.
struct WideSums {
  double gradient;
  double product;
  double offset;
  double mean_product;
};

template <class Value>
WideSums wide_sums(const BackwardInputs<Value>& from, std::size_t channel);

// What the gradient of one channel's input takes; in eval mode offset and product are not read.
struct WideGradient {
  double weight;
  double offset;   // the mean of grad_z
  double product;  // the mean of grad_z * xhat
};

// grad_input = (grad_z - offset - xhat * product) * weight * invstd in training, grad_z * weight *
// invstd in eval mode, for a share of one channel; and grad_z to `residual`, where it is wanted.
template <class Value>
void gradient_widely(const BackwardInputs<Value>& from, const Share& share,
                     const WideGradient& transform, bool training, Value* input, Value* residual);

// Calls narrow(share) for each run of a share's channels that are not wide, and single(share) for
// each that is; `wide` is nullptr where none is.
template <class Narrow, class Single>
void for_channels(const Share& share, const bool* wide, const Narrow& narrow,
                  const Single& single) {
  if (!wide) {
    narrow(share);
    return;
  }
  const auto part = [&](std::size_t begin, std::size_t end) {
    return Share{share.sample_begin, share.sample_end, begin, end};
  };
  std::size_t begin = share.channel_begin;
  assert(begin <= share.channel_end);
  for (std::size_t channel = begin; channel < share.channel_end; ++channel) {
    if (!wide[channel]) continue;
    if (begin < channel) narrow(part(begin, channel));
    single(part(channel, channel + 1));
    begin = channel + 1;
  }
  if (begin < share.channel_end) narrow(part(begin, share.channel_end));
}

}  // namespace batchnorm
