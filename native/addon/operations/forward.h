// Statistics, normalize, and forward, which is both.
#pragma once

#include "../arguments.h"

namespace addon {

// (type, outer, channels, inner, x, mean, m2, lost)
template <class Value>
struct Statistics : Procedure {
  batchnorm::Extent extent;
  const Value* x;
  batchnorm::Moments moments;

  explicit Statistics(Arguments& arguments)
      : extent(arguments.extent()), x(arguments.array<Value>(values(extent))) {
    moments = arguments.moments(extent.channels);
  }
  void run() { batchnorm::statistics(x, extent, moments); }
};

// (type, outer, channels, inner, x, mean, invstd, lost, weight, bias, y, further)
template <class Value>
struct Normalize : Procedure {
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
    statistics.lost = numbers.lost();
    affine.weight = arguments.optional_array<Real>(extent.channels);
    affine.bias = arguments.optional_array<Real>(extent.channels);
    y = arguments.array<Value>(values(extent));
    const Further<Value> further(arguments, extent);
    epilogue = {further.activation, further.values};
  }
  void run() { batchnorm::normalize(x, extent, statistics, affine, y, epilogue); }
};

// (type, outer, channels, inner, x, eps, momentum, nonFinite, weight, bias, runningMean,
//  runningVariance, mean, m2, lost, invstd, y, further), a boolean; nonFinite: 0 propagate, 1 skip,
//  2 stop
template <class Value>
struct Forward {
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
  bool fit = false;

  explicit Forward(Arguments& arguments)
      : extent(arguments.extent()), x(arguments.array<Value>(values(extent))) {
    settings.eps = arguments.number();
    settings.momentum = arguments.number();
    settings.non_finite = static_cast<batchnorm::NonFinite>(arguments.size());
    affine.weight = arguments.optional_array<Real>(extent.channels);
    affine.bias = arguments.optional_array<Real>(extent.channels);
    running.mean = arguments.optional_array<Real>(extent.channels);
    running.variance = arguments.optional_array<Real>(extent.channels);
    if (!running.mean != !running.variance) arguments.fail("null if the running mean is");
    ChannelNumbers numbers(arguments, extent.channels);
    moments.mean = numbers.mean();
    moments.m2 = numbers.m2();
    moments.lost = numbers.lost();
    invstd = numbers.invstd();
    y = arguments.array<Value>(values(extent));
    const Further<Value> further(arguments, extent);
    epilogue = {further.activation, further.values};
  }
  void run() {
    fit = batchnorm::forward(x, extent, settings, affine, running, moments, invstd, y, epilogue);
  }
  napi_status result(napi_env env, napi_value* value) const {
    return napi_get_boolean(env, fit, value);
  }
};

}  // namespace addon
