// The operations, each as JavaScript calls it: a constructor that unpacks the arguments in the
// order of the comment, and run, which touches no JavaScript and so may run on any thread.
#pragma once

#include "arguments.h"

namespace addon {

using batchnorm::Extent;

// (outer, channels, inner, x, mean, m2)
struct Statistics {
  Extent extent;
  const float* x;
  double* mean;
  double* m2;

  explicit Statistics(Arguments& arguments)
      : extent(arguments.extent()),
        x(arguments.floats(values(extent))),
        mean(arguments.doubles(extent.channels)),
        m2(arguments.doubles(extent.channels)) {}
  void run() { batchnorm::statistics(x, extent, {mean, m2}); }
  static napi_status result(napi_env env, napi_value* value) {
    return napi_get_undefined(env, value);
  }
};

// (channels, intoCount, intoMean, intoM2, fromCount, fromMean, fromM2)
struct Merge {
  std::size_t channels;
  double into_count;
  double* into_mean;
  double* into_m2;
  double from_count;
  const double* from_mean;
  const double* from_m2;

  explicit Merge(Arguments& arguments)
      : channels(arguments.size()),
        into_count(arguments.number()),
        into_mean(arguments.doubles(channels)),
        into_m2(arguments.doubles(channels)),
        from_count(arguments.number()),
        from_mean(arguments.doubles(channels)),
        from_m2(arguments.doubles(channels)) {}
  void run() {
    batchnorm::merge(channels, into_count, {into_mean, into_m2}, from_count, {from_mean, from_m2});
  }
  static napi_status result(napi_env env, napi_value* value) {
    return napi_get_undefined(env, value);
  }
};

// (channels, runningMean, runningVariance, count, mean, m2, momentum)
struct UpdateRunning {
  std::size_t channels;
  float* running_mean;
  float* running_variance;
  double count;
  const double* mean;
  const double* m2;
  double momentum;

  explicit UpdateRunning(Arguments& arguments)
      : channels(arguments.size()),
        running_mean(arguments.floats(channels)),
        running_variance(arguments.floats(channels)),
        count(arguments.number()),
        mean(arguments.doubles(channels)),
        m2(arguments.doubles(channels)),
        momentum(arguments.number()) {}
  void run() {
    batchnorm::update_running(channels, {running_mean, running_variance}, count, {mean, m2},
                              momentum);
  }
  static napi_status result(napi_env env, napi_value* value) {
    return napi_get_undefined(env, value);
  }
};

// (channels, runningMean, runningVariance, eps, mean, invstd)
struct EvalStatistics {
  std::size_t channels;
  const float* running_mean;
  const float* running_variance;
  double eps;
  double* mean;
  double* invstd;

  explicit EvalStatistics(Arguments& arguments)
      : channels(arguments.size()),
        running_mean(arguments.floats(channels)),
        running_variance(arguments.floats(channels)),
        eps(arguments.number()),
        mean(arguments.doubles(channels)),
        invstd(arguments.doubles(channels)) {}
  void run() {
    batchnorm::eval_statistics(channels, running_mean, running_variance, eps, mean, invstd);
  }
  static napi_status result(napi_env env, napi_value* value) {
    return napi_get_undefined(env, value);
  }
};

// (outer, channels, inner, x, mean, invstd, weight, bias, y)
struct Normalize {
  Extent extent;
  const float* x;
  const double* mean;
  const double* invstd;
  const float* weight;
  const float* bias;
  float* y;

  explicit Normalize(Arguments& arguments)
      : extent(arguments.extent()),
        x(arguments.floats(values(extent))),
        mean(arguments.doubles(extent.channels)),
        invstd(arguments.doubles(extent.channels)),
        weight(arguments.optional_floats(extent.channels)),
        bias(arguments.optional_floats(extent.channels)),
        y(arguments.floats(values(extent))) {}
  void run() { batchnorm::normalize(x, extent, {mean, invstd}, {weight, bias}, y); }
  static napi_status result(napi_env env, napi_value* value) {
    return napi_get_undefined(env, value);
  }
};

// (outer, channels, inner, x, eps, momentum, nonFinite, weight, bias, runningMean, runningVariance,
//  mean, m2, invstd, y), a boolean; nonFinite: 0 propagate, 1 skip, 2 stop
struct Forward {
  Extent extent;
  const float* x;
  batchnorm::ForwardSettings settings;
  batchnorm::Affine affine;
  batchnorm::Running running;
  batchnorm::Moments moments;
  double* invstd;
  float* y;
  bool fit = false;

  explicit Forward(Arguments& arguments)
      : extent(arguments.extent()), x(arguments.floats(values(extent))) {
    settings.eps = arguments.number();
    settings.momentum = arguments.number();
    settings.non_finite = static_cast<batchnorm::NonFinite>(arguments.size());
    affine.weight = arguments.optional_floats(extent.channels);
    affine.bias = arguments.optional_floats(extent.channels);
    running.mean = arguments.optional_floats(extent.channels);
    running.variance = arguments.optional_floats(extent.channels);
    moments.mean = arguments.doubles(extent.channels);
    moments.m2 = arguments.doubles(extent.channels);
    invstd = arguments.doubles(extent.channels);
    y = arguments.floats(values(extent));
  }
  void run() { fit = batchnorm::forward(x, extent, settings, affine, running, moments, invstd, y); }
  napi_status result(napi_env env, napi_value* value) const {
    return napi_get_boolean(env, fit, value);
  }
};

// (outer, channels, inner, gradOutput, x, mean, invstd, weight, training, gradInput, gradWeight,
//  gradBias)
struct Backward {
  Extent extent;
  const float* grad_output;
  const float* x;
  batchnorm::Statistics statistics;
  const float* weight;
  bool training;
  batchnorm::Gradients gradients;

  explicit Backward(Arguments& arguments) : extent(arguments.extent()) {
    grad_output = arguments.floats(values(extent));
    x = arguments.floats(values(extent));
    statistics.mean = arguments.doubles(extent.channels);
    statistics.invstd = arguments.doubles(extent.channels);
    weight = arguments.optional_floats(extent.channels);
    training = arguments.boolean();
    gradients.input = arguments.optional_floats(values(extent));
    gradients.weight = arguments.optional_floats(extent.channels);
    gradients.bias = arguments.optional_floats(extent.channels);
  }
  void run() {
    batchnorm::backward(grad_output, x, extent, statistics, weight, training, gradients);
  }
  static napi_status result(napi_env env, napi_value* value) {
    return napi_get_undefined(env, value);
  }
};

}  // namespace addon
