#include "batchnorm/batchnorm.h"
#include "dispatch.h"
#include "gradient_sums.h"
#include "shares.h"

namespace batchnorm {
namespace {

// The second half of backward, elementwise: what it writes and keeps.
template <class Value>
struct InputGradient {
  const BackwardInputs<Value>& from;
  const Real<Value>* weight;
  Value* input;
  Value* residual;                           // nullptr: not wanted
  GradientTransform<Real<Value>> transform;  // [channels] each

  InputGradient(const BackwardInputs<Value>& inputs, const Real<Value>* w, Value* to,
                Value* to_residual, Scratch& scratch)
      : from(inputs), weight(w), input(to), residual(to_residual) {
    using Real = batchnorm::Real<Value>;
    const std::size_t channels = from.extent.channels;
    transform = {scratch.array<Real>(channels), scratch.array<Real>(channels),
                 scratch.array<Real>(channels), scratch.array<Real>(channels)};
  }

  GradientTransform<Real<Value>> transform_from(std::size_t channel) const {
    return {transform.mean + channel, transform.slope + channel, transform.offset + channel,
            transform.scale + channel};
  }
  TileGradients<Value> to(const Share& share) const {
    return {{share.in(input, from.extent), from.stride()},
            {share.in(residual, from.extent), from.stride()}};
  }
  bool is_apart(const Value* output) const {
    return output != from.grad_output && output != from.x && output != from.activated.output;
  }
  bool streams(const Plan& plan) const {
    return plan.stream && is_apart(input) && (!residual || is_apart(residual));
  }

  // What the gradient of channels [begin, end) needs in training.
  void prepare(std::size_t begin, std::size_t end, ConstSums sums, double count) const {
    kernels().of_parameters<Real<Value>>().gradient_transform(
        end - begin, count, from.statistics_from(begin), from_channel(weight, begin),
        {sums.gradient + begin, sums.product + begin}, transform_from(begin));
  }
  // And in eval mode: the scale alone.
  void prepare_eval() const {
    kernels().of_parameters<Real<Value>>().transform(
        from.extent.channels, from.statistics, {weight, nullptr},
        {transform.mean, transform.scale, transform.offset});
  }

  void run(const Plan& plan, const Share& share) const {
    kernels().of_values<Value>().training_gradient(
        from.gradient(share), from.of(from.x, share), share.extent(from.extent.inner),
        transform_from(share.channel_begin), to(share), streams(plan));
  }
  void run_all(const Plan& plan) const {
    run_shares(plan.shared, plan.elementwise_shares,
               [&](std::size_t index) { run(plan, plan.elementwise_share(from.extent, index)); });
  }
  void run_all_eval(const Plan& plan) const {
    run_shares(plan.shared, plan.elementwise_shares, [&](std::size_t index) {
      const Share share = plan.elementwise_share(from.extent, index);
      kernels().of_values<Value>().eval_gradient(
          from.gradient(share), share.extent(from.extent.inner),
          transform.scale + share.channel_begin, to(share), streams(plan));
    });
  }
};

// grad_z alone: its gradient of the input where the scale is one.
template <class Value>
void residual_gradient(const BackwardInputs<Value>& from, Value* residual, const Plan& plan) {
  Scratch scratch;
  const InputGradient<Value> call(from, nullptr, residual, nullptr, scratch);
  for (std::size_t c = 0; c < from.extent.channels; ++c) call.transform.scale[c] = 1;
  call.run_all_eval(plan);
}

// Channels [begin, end) of sums, rounded; `to` is nullptr where they are not wanted.
template <class Real>
void round_sums(const double* sums, Real* to, std::size_t begin, std::size_t end) {
  if (!to) return;
  for (std::size_t c = begin; c < end; ++c) to[c] = static_cast<Real>(sums[c]);
}

template <class Value>
void round_sums(ConstSums sums, const Gradients<Value>& gradients, std::size_t begin,
                std::size_t end) {
  round_sums(sums.product, gradients.weight, begin, end);
  round_sums(sums.gradient, gradients.bias, begin, end);
}

double values_of_channel(Extent extent) { return static_cast<double>(extent.outer * extent.inner); }

}  // namespace

template <class Value>
void backward(const Value* grad_output, const Value* x, Extent extent, Statistics statistics,
              const Real<Value>* weight, bool training, Gradients<Value> gradients,
              Activated<Value> activated) {
  const BackwardInputs<Value> from{grad_output, x, extent, statistics, activated};
  const Plan plan = from.plan();
  const double count = values_of_channel(extent);
  Value* const residual = from.has_activation() ? gradients.residual : nullptr;
  Scratch scratch;
  const Sums room{scratch.doubles(extent.channels), scratch.doubles(extent.channels)};
  const GradientSums<Value> sums(from, room, scratch);
  const InputGradient<Value> second(from, weight, gradients.input, residual, scratch);

  if (training && gradients.input && plan.local) {
    run_shares(plan.shared, plan.tiles, [&](std::size_t index) {
      const Share share = plan.tile_share(extent, index);
      sums.of_tile(plan, share);
      round_sums<Value>(room, gradients, share.channel_begin, share.channel_end);
      second.prepare(share.channel_begin, share.channel_end, room, count);
      second.run(plan, share);
    });
    return;
  }
  if (training || gradients.weight || gradients.bias) {
    sums.of_all(plan);
    round_sums<Value>(room, gradients, 0, extent.channels);
  }
  if (!gradients.input) {
    if (residual) residual_gradient(from, residual, plan);
  } else if (training) {
    second.prepare(0, extent.channels, room, count);
    second.run_all(plan);
  } else {
    second.prepare_eval();
    second.run_all_eval(plan);
  }
}

template <class Value>
void gradient_sums(const Value* grad_output, const Value* x, Extent extent, Statistics statistics,
                   Sums sums, Activated<Value> activated) {
  const BackwardInputs<Value> from{grad_output, x, extent, statistics, activated};
  Scratch scratch;
  GradientSums<Value>(from, sums, scratch).of_all(from.plan());
}

template <class Value>
void input_gradient(const Value* grad_output, const Value* x, Extent extent, Statistics statistics,
                    const Real<Value>* weight, ConstSums sums, double count, Value* grad_input,
                    Activated<Value> activated, Value* grad_residual) {
  const BackwardInputs<Value> from{grad_output, x, extent, statistics, activated};
  const Plan plan = from.plan();
  Value* const residual = from.has_activation() ? grad_residual : nullptr;
  if (!grad_input) {
    if (residual) residual_gradient(from, residual, plan);
    return;
  }
  Scratch scratch;
  const InputGradient<Value> call(from, weight, grad_input, residual, scratch);
  call.prepare(0, extent.channels, sums, count);
  call.run_all(plan);
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
