#include "batchnorm/batchnorm.h"
#include "dispatch.h"
#include "gradient_sums.h"
#include "preconditions.h"
#include "shares.h"
#include "wide.h"

namespace batchnorm {
namespace {

// The second half of backward, elementwise: what it writes and keeps; the arrays by channel are
// [extent.channels].
template <class Value>
struct InputGradient {
  using Real = batchnorm::Real<Value>;

  const BackwardInputs<Value>& from;
  const Plan& plan;
  const Real* weight;
  Value* input;
  Value* residual;  // nullptr: not wanted
  GradientTransform<Real> transform;
  bool* wide;  // which channels the range of Real is too small for

  InputGradient(const BackwardInputs<Value>& inputs, const Plan& p, const Real* w, Value* to,
                Value* to_residual, Scratch& scratch)
      : from(inputs), plan(p), weight(w), input(to), residual(to_residual) {
    assert(is_apart_or_input(input) && is_apart_or_input(residual) && is_aligned(weight));
    assert(!residual ||
           (residual != input && are_one_or_apart(residual, input, values(from.extent))));
    const std::size_t channels = from.extent.channels;
    transform = {scratch.array<Real>(channels), scratch.array<Real>(channels),
                 scratch.array<Real>(channels), scratch.array<Real>(channels),
                 scratch.array<Real>(channels)};
    wide = scratch.array<bool>(channels);
  }

  GradientTransform<Real> transform_from(std::size_t channel) const {
    return {transform.mean + channel, transform.slope + channel, transform.offset + channel,
            transform.scale + channel, transform.shift + channel};
  }
  TileGradients<Value> to(const Share& share) const {
    return {{share.in(input, from.extent), from.stride()},
            {share.in(residual, from.extent), from.stride()}};
  }
  bool is_apart_or_input(const Value* output) const {
    const std::size_t length = values(from.extent);
    return is_aligned(output) && are_one_or_apart(output, from.grad_output, length) &&
           are_one_or_apart(output, from.x, length) &&
           (!from.has_activation() || are_one_or_apart(output, from.activated.output, length));
  }
  bool is_apart(const Value* output) const {
    return output != from.grad_output && output != from.x && output != from.activated.output;
  }
  bool streams() const {
    return plan.stream && is_apart(input) && (!residual || is_apart(residual));
  }
  double weight_of(std::size_t channel) const { return weight ? weight[channel] : 1; }

  template <class Narrow, class Single>
  void run_shares_of_channels(bool is_narrow, const Narrow& narrow, const Single& single) const {
    run_shares(plan.shared, plan.elementwise_shares, [&](std::size_t index) {
      for_channels(plan.elementwise_share(from.extent, index), is_narrow ? nullptr : wide, narrow,
                   single);
    });
  }

  void run(GradientMeans means) const {
    const std::size_t channels = from.extent.channels;
    const bool is_narrow = kernels().of_parameters<Real>().gradient_transform(
        channels, from.statistics, weight, means, transform);
    for (std::size_t c = 0; !is_narrow && c < channels; ++c) {
      const double invstd = from.statistics.invstd[c];
      wide[c] = is_wide(limits_of<Real>(), from.statistics.mean[c], means.offset[c],
                        means.product[c], invstd * means.product[c], weight_of(c) * invstd);
    }
    run_shares_of_channels(
        is_narrow,
        [&](const Share& share) {
          kernels().of_values<Value>().training_gradient(
              from.gradient(share), from.of(from.x, share), share.extent(from.extent.inner),
              transform_from(share.channel_begin), to(share), streams());
        },
        [&](const Share& share) {
          const std::size_t channel = share.channel_begin;
          gradient_widely(from, share,
                          {weight_of(channel), means.offset[channel], means.product[channel]}, true,
                          input, residual);
        });
  }

  // Where the statistics are constants: times `scale`.
  void run_eval() const {
    const std::size_t channels = from.extent.channels;
    bool is_narrow = true;
    for (std::size_t c = 0; c < channels; ++c) {
      const double scale = weight_of(c) * from.statistics.invstd[c];
      transform.scale[c] = static_cast<Real>(scale);
      wide[c] = is_wide(limits_of<Real>(), 0, scale, 0);
      is_narrow &= !wide[c];
    }
    run_eval(is_narrow);
  }
  // grad_z alone, as the gradient of an input whose scale is one.
  void run_alone() const {
    for (std::size_t c = 0; c < from.extent.channels; ++c) transform.scale[c] = 1;
    run_eval(true);
  }

 private:
  void run_eval(bool is_narrow) const {
    run_shares_of_channels(
        is_narrow,
        [&](const Share& share) {
          kernels().of_values<Value>().eval_gradient(
              from.gradient(share), share.extent(from.extent.inner),
              transform.scale + share.channel_begin, to(share), streams());
        },
        [&](const Share& share) {
          gradient_widely(from, share, {weight_of(share.channel_begin), 0, 0}, false, input,
                          residual);
        });
  }
};

template <class Real>
void round_sums(std::size_t channels, const double* sums, Real* to) {
  for (std::size_t c = 0; to && c < channels; ++c) to[c] = static_cast<Real>(sums[c]);
}

template <class Value>
bool are_inputs(const BackwardInputs<Value>& from) {
  return is_extent(from.extent) && is_array(from.grad_output) && is_array(from.x) &&
         are_statistics(from.statistics) && is_activated(from.activated);
}

GradientMeans scratch_means(Scratch& scratch, std::size_t channels) {
  return {scratch.doubles(channels), scratch.doubles(channels), scratch.doubles(channels)};
}

}  // namespace

template <class Value>
void backward(const Value* grad_output, const Value* x, Extent extent, Statistics statistics,
              const Real<Value>* weight, bool training, Gradients<Value> gradients,
              Activated<Value> activated) {
  const BackwardInputs<Value> from{grad_output, x, extent, statistics, activated};
  assert(are_inputs(from) && is_aligned(gradients.weight) && is_aligned(gradients.bias));
  const Plan plan(extent, sizeof(Value));
  const std::size_t channels = extent.channels;
  Value* const residual = from.has_activation() ? gradients.residual : nullptr;
  Scratch scratch;
  // Without a gradient of the input, that of the residual stands alone in its place.
  const bool alone = !gradients.input;
  const InputGradient<Value> second(from, plan, weight, alone ? residual : gradients.input,
                                    alone ? nullptr : residual, scratch);
  const GradientMeans means = scratch_means(scratch, channels);

  if (training || gradients.weight || gradients.bias) {
    const Sums sums{scratch.doubles(channels), scratch.doubles(channels)};
    sum_gradients(from, plan, training, sums, means);
    round_sums(channels, sums.product, gradients.weight);
    round_sums(channels, sums.gradient, gradients.bias);
  }
  if (alone) {
    if (residual) second.run_alone();
  } else if (training) {
    second.run(means);
  } else {
    second.run_eval();
  }
}

template <class Value>
void gradient_sums(const Value* grad_output, const Value* x, Extent extent, Statistics statistics,
                   Sums sums, Activated<Value> activated) {
  const BackwardInputs<Value> from{grad_output, x, extent, statistics, activated};
  assert(are_inputs(from) && is_array(sums.gradient) && is_array(sums.product));
  Scratch scratch;
  sum_gradients(from, Plan(extent, sizeof(Value)), false, sums,
                scratch_means(scratch, extent.channels));
}

template <class Value>
void input_gradient(const Value* grad_output, const Value* x, Extent extent, Statistics statistics,
                    const Real<Value>* weight, ConstSums sums, double count, Value* grad_input,
                    Activated<Value> activated, Value* grad_residual) {
  const BackwardInputs<Value> from{grad_output, x, extent, statistics, activated};
  assert(are_inputs(from) && is_array(sums.gradient) && is_array(sums.product) && count >= 1);
  const Plan plan(extent, sizeof(Value));
  Value* const residual = from.has_activation() ? grad_residual : nullptr;
  Scratch scratch;
  if (!grad_input) {
    if (residual) InputGradient<Value>(from, plan, nullptr, residual, nullptr, scratch).run_alone();
    return;
  }
  const GradientMeans means = scratch_means(scratch, extent.channels);
  for (std::size_t c = 0; c < extent.channels; ++c) {
    means.offset[c] = sums.gradient[c] / count;
    means.offset_low[c] = 0;
    means.product[c] = sums.product[c] / count;
  }
  InputGradient<Value>(from, plan, weight, grad_input, residual, scratch).run(means);
}

#define BATCHNORM_INSTANTIATE(Value)                                                               \
  template void backward(const Value*, const Value*, Extent, Statistics, const Real<Value>*, bool, \
                         Gradients<Value>, Activated<Value>);                                      \
  template void gradient_sums(const Value*, const Value*, Extent, Statistics, Sums,                \
                              Activated<Value>);                                                   \
  template void input_gradient(const Value*, const Value*, Extent, Statistics, const Real<Value>*, \
                               ConstSums, double, Value*, Activated<Value>, Value*);
BATCHNORM_FOR_EACH_VALUE(BATCHNORM_INSTANTIATE)

}  // namespace batchnorm
