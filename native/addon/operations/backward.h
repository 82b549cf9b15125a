// Backward, and its two halves.
#pragma once

#include "../arguments.h"

namespace addon {

// (type, outer, channels, inner, gradOutput, x, mean, invstd, weight, training, gradInput,
// gradWeight,
//  gradBias, further)
template <class Value>
struct Backward : Procedure {
  using Real = batchnorm::Real<Value>;

  batchnorm::Extent extent;
  const Value* grad_output;
  const Value* x;
  batchnorm::Statistics statistics;
  const Real* weight;
  bool training;
  batchnorm::Gradients<Value> gradients;
  batchnorm::Activated<Value> activated;

  explicit Backward(Arguments& arguments) : extent(arguments.extent()) {
    grad_output = arguments.array<Value>(values(extent));
    x = arguments.array<Value>(values(extent));
    statistics.mean = arguments.array<double>(extent.channels);
    statistics.invstd = arguments.array<double>(extent.channels);
    weight = arguments.optional_array<Real>(extent.channels);
    training = arguments.boolean();
    gradients.input = arguments.optional_array<Value>(values(extent));
    gradients.weight = arguments.optional_array<Real>(extent.channels);
    gradients.bias = arguments.optional_array<Real>(extent.channels);
    const Further<Value> further(arguments, extent);
    statistics.lost = further.lost;
    activated = {further.activation, further.values};
    gradients.residual = further.grad_residual;
  }
  void run() {
    batchnorm::backward(grad_output, x, extent, statistics, weight, training, gradients, activated);
  }
};

// (type, outer, channels, inner, gradOutput, x, mean, invstd, gradient, product, further)
template <class Value>
struct GradientSums : Procedure {
  batchnorm::Extent extent;
  const Value* grad_output;
  const Value* x;
  batchnorm::Statistics statistics;
  batchnorm::Sums sums;
  batchnorm::Activated<Value> activated;

  explicit GradientSums(Arguments& arguments) : extent(arguments.extent()) {
    grad_output = arguments.array<Value>(values(extent));
    x = arguments.array<Value>(values(extent));
    statistics.mean = arguments.array<double>(extent.channels);
    statistics.invstd = arguments.array<double>(extent.channels);
    sums.gradient = arguments.array<double>(extent.channels);
    sums.product = arguments.array<double>(extent.channels);
    const Further<Value> further(arguments, extent);
    statistics.lost = further.lost;
    activated = {further.activation, further.values};
  }
  void run() { batchnorm::gradient_sums(grad_output, x, extent, statistics, sums, activated); }
};

// (type, outer, channels, inner, gradOutput, x, mean, invstd, weight, gradient, product, count,
//  gradInput, further)
template <class Value>
struct InputGradient : Procedure {
  using Real = batchnorm::Real<Value>;

  batchnorm::Extent extent;
  const Value* grad_output;
  const Value* x;
  batchnorm::Statistics statistics;
  const Real* weight;
  batchnorm::ConstSums sums;
  double count;
  Value* grad_input;
  batchnorm::Activated<Value> activated;
  Value* grad_residual;

  explicit InputGradient(Arguments& arguments) : extent(arguments.extent()) {
    grad_output = arguments.array<Value>(values(extent));
    x = arguments.array<Value>(values(extent));
    statistics.mean = arguments.array<double>(extent.channels);
    statistics.invstd = arguments.array<double>(extent.channels);
    weight = arguments.optional_array<Real>(extent.channels);
    sums.gradient = arguments.array<double>(extent.channels);
    sums.product = arguments.array<double>(extent.channels);
    count = arguments.number();
    grad_input = arguments.optional_array<Value>(values(extent));
    const Further<Value> further(arguments, extent);
    statistics.lost = further.lost;
    activated = {further.activation, further.values};
    grad_residual = further.grad_residual;
  }
  void run() {
    batchnorm::input_gradient(grad_output, x, extent, statistics, weight, sums, count, grad_input,
                              activated, grad_residual);
  }
};

}  // namespace addon
