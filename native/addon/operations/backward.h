// Backward, and its two halves.
#pragma once

#include "../arguments.h"

namespace addon {

// What all three read, their first arguments and the last: (type, outer, channels, inner,
// gradOutput, x, mean, invstd, lost, ..., further).
template <class Value>
struct BackwardInputs {
  batchnorm::Extent extent;
  const Value* grad_output;
  const Value* x;
  batchnorm::Statistics statistics;
  batchnorm::Activated<Value> activated;

  explicit BackwardInputs(Arguments& arguments) : extent(arguments.extent()) {
    grad_output = arguments.array<Value>(values(extent));
    x = arguments.array<Value>(values(extent));
    ChannelNumbers numbers(arguments, extent.channels);
    statistics.mean = numbers.mean();
    statistics.invstd = numbers.invstd();
    statistics.lost = numbers.lost();
  }

  // Returns where the gradient of the residual goes; nullptr: not wanted.
  Value* take_further(Arguments& arguments) {
    const Further<Value> further(arguments, extent);
    const bool is_activated = further.activation.name != batchnorm::ActivationName::none;
    if (is_activated && !further.values) arguments.fail("given with what was activated");
    activated = {further.activation, further.values};
    return further.grad_residual;
  }
};

// (..., weight, training, gradInput, gradWeight, gradBias, further)
template <class Value>
struct Backward : Procedure {
  using Real = batchnorm::Real<Value>;

  BackwardInputs<Value> from;
  const Real* weight;
  bool training;
  batchnorm::Gradients<Value> gradients;

  explicit Backward(Arguments& arguments) : from(arguments) {
    weight = arguments.optional_array<Real>(from.extent.channels);
    training = arguments.boolean();
    gradients.input = arguments.optional_array<Value>(values(from.extent));
    gradients.weight = arguments.optional_array<Real>(from.extent.channels);
    gradients.bias = arguments.optional_array<Real>(from.extent.channels);
    gradients.residual = from.take_further(arguments);
  }
  void run() {
    batchnorm::backward(from.grad_output, from.x, from.extent, from.statistics, weight, training,
                        gradients, from.activated);
  }
};

// (..., gradient, product, further)
template <class Value>
struct GradientSums : Procedure {
  BackwardInputs<Value> from;
  batchnorm::Sums sums;

  explicit GradientSums(Arguments& arguments) : from(arguments) {
    sums.gradient = arguments.array<double>(from.extent.channels);
    sums.product = arguments.array<double>(from.extent.channels);
    from.take_further(arguments);
  }
  void run() {
    batchnorm::gradient_sums(from.grad_output, from.x, from.extent, from.statistics, sums,
                             from.activated);
  }
};

// (..., weight, gradient, product, count, gradInput, further)
template <class Value>
struct InputGradient : Procedure {
  using Real = batchnorm::Real<Value>;

  BackwardInputs<Value> from;
  const Real* weight;
  batchnorm::ConstSums sums;
  double count;
  Value* grad_input;
  Value* grad_residual;

  explicit InputGradient(Arguments& arguments) : from(arguments) {
    weight = arguments.optional_array<Real>(from.extent.channels);
    sums.gradient = arguments.array<double>(from.extent.channels);
    sums.product = arguments.array<double>(from.extent.channels);
    count = arguments.number();
    grad_input = arguments.optional_array<Value>(values(from.extent));
    grad_residual = from.take_further(arguments);
  }
  void run() {
    batchnorm::input_gradient(from.grad_output, from.x, from.extent, from.statistics, weight, sums,
                              count, grad_input, from.activated, grad_residual);
  }
};

}  // namespace addon
