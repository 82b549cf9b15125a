// Backward, and its two halves.
#pragma once

#include "../arguments.h"

namespace addon {

// What all three read: their first arguments and the last.
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
    statistics.mean_low = numbers.mean_low();
  }

  // Returns where the gradient of the residual goes; nullptr: not wanted.
  Value* take_epilogue(Arguments& arguments) {
    const EpilogueArguments<Value> epilogue_arguments(arguments, extent);
    const bool is_activated = epilogue_arguments.activation.name != batchnorm::ActivationName::none;
    if (is_activated && !epilogue_arguments.values) arguments.fail("given with what was activated");
    activated = {epilogue_arguments.activation, epilogue_arguments.values};
    return epilogue_arguments.grad_residual;
  }
};

template <class Value>
struct Backward {
  static constexpr const char* parameters =
      "type outer channels inner gradOutput x mean invstd meanLow "
      "weight training gradInput gradWeight gradBias epilogue";

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
    gradients.residual = from.take_epilogue(arguments);
  }
  bool run() {
    batchnorm::backward(from.grad_output, from.x, from.extent, from.statistics, weight, training,
                        gradients, from.activated);
    return true;
  }
};

template <class Value>
struct GradientSums {
  static constexpr const char* parameters =
      "type outer channels inner gradOutput x mean invstd meanLow gradient product epilogue";

  BackwardInputs<Value> from;
  batchnorm::Sums sums;

  explicit GradientSums(Arguments& arguments) : from(arguments) {
    sums.gradient = arguments.array<double>(from.extent.channels);
    sums.product = arguments.array<double>(from.extent.channels);
    from.take_epilogue(arguments);
  }
  bool run() {
    batchnorm::gradient_sums(from.grad_output, from.x, from.extent, from.statistics, sums,
                             from.activated);
    return true;
  }
};

template <class Value>
struct InputGradient {
  static constexpr const char* parameters =
      "type outer channels inner gradOutput x mean invstd meanLow "
      "weight gradient product count gradInput epilogue";

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
    grad_residual = from.take_epilogue(arguments);
  }
  bool run() {
    batchnorm::input_gradient(from.grad_output, from.x, from.extent, from.statistics, weight, sums,
                              count, grad_input, from.activated, grad_residual);
    return true;
  }
};

}  // namespace addon
