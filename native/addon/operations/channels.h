// What is done once a channel.
#pragma once

#include "../arguments.h"

namespace addon {

struct Merge {
  static constexpr const char* parameters =
      "channels intoCount intoMean intoM2 intoMeanLow fromCount fromMean fromM2 fromMeanLow";

  std::size_t channels;
  double into_count;
  batchnorm::Moments into;
  double from_count;
  batchnorm::Moments from;

  explicit Merge(Arguments& arguments) : channels(arguments.size()) {
    into_count = arguments.number();
    into = arguments.moments(channels);
    from_count = arguments.number();
    from = arguments.moments(channels);
  }
  bool run() {
    batchnorm::merge(channels, into_count, into, from_count, from);
    return true;
  }
};

template <class Real>
struct UpdateRunning {
  static constexpr const char* parameters =
      "type channels runningMean runningVariance correction count mean m2 momentum";

  std::size_t channels;
  batchnorm::Running<Real> running;
  double count;
  batchnorm::ConstMoments moments;
  double momentum;

  explicit UpdateRunning(Arguments& arguments) : channels(arguments.size()) {
    running.mean = arguments.array<Real>(channels);
    running.variance = arguments.array<Real>(channels);
    running.correction = arguments.number();
    count = arguments.number();
    moments.mean = arguments.array<double>(channels);
    moments.m2 = arguments.array<double>(channels);
    momentum = arguments.number();
  }
  bool run() {
    batchnorm::update_running(channels, running, count, moments, momentum);
    return true;
  }
};

template <class Real>
struct EvalStatistics {
  static constexpr const char* parameters =
      "type channels runningMean runningVariance eps mean invstd";

  std::size_t channels;
  const Real* running_mean;
  const Real* running_variance;
  double eps;
  double* mean;
  double* invstd;

  explicit EvalStatistics(Arguments& arguments)
      : channels(arguments.size()),
        running_mean(arguments.array<Real>(channels)),
        running_variance(arguments.array<Real>(channels)),
        eps(arguments.number()),
        mean(arguments.array<double>(channels)),
        invstd(arguments.array<double>(channels)) {}
  bool run() {
    batchnorm::eval_statistics(channels, running_mean, running_variance, eps, mean, invstd);
    return true;
  }
};

}  // namespace addon
