// Statistics, normalize, and forward, which is both.
#pragma once

#include "../arguments.h"

namespace addon {

template <class Value>
struct Statistics {
  static constexpr const char* parameters = "type outer channels inner x mean m2 meanLow";

  batchnorm::Extent extent;
  const Value* x;
  batchnorm::Moments moments;

  explicit Statistics(Arguments& arguments)
      : extent(arguments.extent()), x(arguments.array<Value>(values(extent))) {
    moments = arguments.moments(extent.channels);
  }
  bool run() {
    batchnorm::statistics(x, extent, moments);
    return true;
  }
};

template <class Value>
struct Normalize {
  static constexpr const char* parameters =
      "type outer channels inner x mean invstd meanLow weight bias y epilogue";

  using Real = batchnorm::Real<Value>;

  batchnorm::Extent extent;
  const Value* x;
  batchnorm::Statistics statistics;
  batchnorm::Affine<Real> affine;
  Value* y;
  batchnorm::Epilogue<Value> epilogue;

  explicit Normalize(Arguments& arguments)
      : extent(arguments.extent()), x(arguments.array<Value>(values(extent))) {
    ChannelNumbers numbers(arguments, extent.channels);
    statistics.mean = numbers.mean();
    statistics.invstd = numbers.invstd();
    statistics.mean_low = numbers.mean_low();
    affine.weight = arguments.optional_array<Real>(extent.channels);
    affine.bias = arguments.optional_array<Real>(extent.channels);
    y = arguments.array<Value>(values(extent));
    const EpilogueArguments<Value> epilogue_arguments(arguments, extent);
    epilogue = {epilogue_arguments.activation, epilogue_arguments.values};
  }
  bool run() {
    batchnorm::normalize(x, extent, statistics, affine, y, epilogue);
    return true;
  }
};

// Answers whether all statistics are finite. `policy` is two in one, since an argument costs some
// 5 ns: nonFinite (0 propagate, 1 skip, 2 throws), and 4 where the biased variance is stored.
template <class Value>
struct Forward {
  static constexpr const char* parameters =
      "type outer channels inner x eps momentum policy weight bias runningMean runningVariance "
      "mean m2 meanLow invstd y epilogue";

  using Real = batchnorm::Real<Value>;

  batchnorm::Extent extent;
  const Value* x;
  batchnorm::ForwardSettings settings;
  batchnorm::Affine<Real> affine;
  batchnorm::Running<Real> running;
  batchnorm::Moments moments;
  double* invstd;
  Value* y;
  batchnorm::Epilogue<Value> epilogue;

  explicit Forward(Arguments& arguments)
      : extent(arguments.extent()), x(arguments.array<Value>(values(extent))) {
    settings.eps = arguments.number();
    settings.momentum = arguments.number();
    const std::size_t policy = arguments.size();
    settings.non_finite = static_cast<batchnorm::NonFinite>(policy % 4);
    running.correction = policy < 4 ? 1 : 0;
    affine.weight = arguments.optional_array<Real>(extent.channels);
    affine.bias = arguments.optional_array<Real>(extent.channels);
    running.mean = arguments.optional_array<Real>(extent.channels);
    running.variance = arguments.optional_array<Real>(extent.channels);
    if (!running.mean != !running.variance) arguments.fail("null if the running mean is");
    ChannelNumbers numbers(arguments, extent.channels);
    moments.mean = numbers.mean();
    moments.m2 = numbers.m2();
    moments.mean_low = numbers.mean_low();
    invstd = numbers.invstd();
    y = arguments.array<Value>(values(extent));
    const EpilogueArguments<Value> epilogue_arguments(arguments, extent);
    epilogue = {epilogue_arguments.activation, epilogue_arguments.values};
  }
  bool run() {
    return batchnorm::forward(x, extent, settings, affine, running, moments, invstd, y, epilogue);
  }
};

}  // namespace addon
