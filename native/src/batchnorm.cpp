// The public operations: the work is cut into tasks, and each task goes to the kernels. How it is
// cut never shows in a result, because the order of additions does not depend on it (order.h).
#include "batchnorm/batchnorm.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "dispatch.h"
#include "scratch.h"
#include "threads.h"

namespace batchnorm {
namespace {

// Below so many values, about 30 microseconds of work, waking other threads costs more than it
// saves.
constexpr std::size_t smallest_shared_work = 64 * 1024;

std::size_t values(Extent extent) { return extent.outer * extent.channels * extent.inner; }

bool worth_sharing(Extent extent) {
  return values(extent) >= smallest_shared_work && threads() > 1;
}

template <class Task>
void run_shares(Extent extent, std::size_t count, const Task& task) {
  if (worth_sharing(extent)) {
    parallel_for(count, task);
  } else {
    for (std::size_t index = 0; index < count; ++index) task(index);
  }
}

// Segments x tiles of channels: the shares of a sum.
struct SumShares {
  std::size_t segments;
  std::size_t tile;  // channels
  std::size_t tiles;

  explicit SumShares(Extent extent) {
    const Order order = order_of(extent);
    segments = order.segments;
    tile = 1;
    if (order.together) {
      tile = channels_per_tile(extent);
      // Few segments: narrower tiles, so that every thread has one; 16 floats are a cache line.
      const bool splits = order.samples_per_row == 1 && worth_sharing(extent);
      if (splits && segments * divide_up(extent.channels, tile) < threads()) {
        const std::size_t line = divide_up(16, extent.inner);
        const std::size_t share = divide_up(extent.channels, divide_up(threads(), segments));
        tile = divide_up(share, line) * line;
        if (tile > channels_per_tile(extent)) tile = channels_per_tile(extent);
      }
    }
    tiles = divide_up(extent.channels, tile);
  }
  std::size_t count() const { return segments * tiles; }
  std::size_t segment(std::size_t index) const { return index / tiles; }
  Channels channels(std::size_t index, Extent extent) const {
    const std::size_t begin = index % tiles * tile;
    const std::size_t end = begin + tile < extent.channels ? begin + tile : extent.channels;
    return {begin, end};
  }
};

// Samples x channels: the shares of an elementwise operation, four for each thread.
struct ElementwiseShares {
  Extent extent;
  std::size_t sample_shares;
  std::size_t channel_shares = 1;

  explicit ElementwiseShares(Extent e) : extent(e) {
    const std::size_t wanted = worth_sharing(e) ? 4 * static_cast<std::size_t>(threads()) : 1;
    sample_shares = wanted < e.outer ? wanted : e.outer;
    // A row that holds several samples cannot be split by channels.
    if (order_of(e).samples_per_row == 1) {
      const std::size_t more = divide_up(wanted, sample_shares);
      channel_shares = more < e.channels ? more : e.channels;
    }
  }
  std::size_t count() const { return sample_shares * channel_shares; }
  Samples samples(std::size_t index) const {
    const std::size_t share = index / channel_shares;
    return {extent.outer * share / sample_shares, extent.outer * (share + 1) / sample_shares};
  }
  Channels channels(std::size_t index) const {
    const std::size_t share = index % channel_shares;
    return {extent.channels * share / channel_shares,
            extent.channels * (share + 1) / channel_shares};
  }
};

// A channel that holds NaN or Inf has no M2, and the mean that plain addition gives.
void settle_non_finite(const float* x, Extent extent, Moments moments) {
  const double count = static_cast<double>(extent.outer * extent.inner);
  for (std::size_t c = 0; c < extent.channels; ++c) {
    if (std::isfinite(moments.mean[c])) continue;
    double sum = 0;
    for (std::size_t o = 0; o < extent.outer; ++o) {
      const float* run = x + (o * extent.channels + c) * extent.inner;
      for (std::size_t i = 0; i < extent.inner; ++i) sum += run[i];
    }
    moments.mean[c] = sum / count;
    moments.m2[c] = std::numeric_limits<double>::quiet_NaN();
  }
}

// The values of a channel in all segments before `segment`.
double values_before(Extent extent, const Order& order, std::size_t segment) {
  const std::size_t chunks = segment * chunks_per_segment;
  if (order.parts_per_sample == 1) {
    const std::size_t samples = chunks * order.samples_per_chunk;
    return static_cast<double>((samples < extent.outer ? samples : extent.outer) * extent.inner);
  }
  if (chunks >= order.chunks) return static_cast<double>(extent.outer * extent.inner);
  const std::size_t part = chunks % order.parts_per_sample * rows_per_chunk * lone_columns;
  return static_cast<double>(chunks / order.parts_per_sample * extent.inner + part);
}

bool all_fit(std::size_t channels, double count, ConstMoments moments, bool tracked) {
  bool fit = true;
  for (std::size_t c = 0; c < channels; ++c) {
    const double variance = tracked ? moments.m2[c] / (count - 1) : 0;
    fit &= std::isfinite(moments.mean[c]) && std::isfinite(moments.m2[c]) &&
           std::isfinite(static_cast<float>(variance));
  }
  return fit;
}

Sums backward_sums(const float* grad_output, const float* x, Extent extent, Statistics statistics,
                   Scratch& scratch) {
  const std::size_t channels = extent.channels;
  const SumShares shares(extent);
  const Kernels& k = kernels();
  double* gradient = scratch.doubles(shares.segments * channels);
  double* product = scratch.doubles(shares.segments * channels);
  float* mean = scratch.floats(channels);
  float* invstd = scratch.floats(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    mean[c] = static_cast<float>(statistics.mean[c]);
    invstd[c] = static_cast<float>(statistics.invstd[c]);
  }
  run_shares(extent, shares.count(), [&](std::size_t index) {
    const Channels range = shares.channels(index, extent);
    const std::size_t at = shares.segment(index) * channels + range.begin;
    k.segment_sums(grad_output, x, extent, shares.segment(index), range, mean, invstd,
                   {gradient + at, product + at});
  });
  const Sums sums{gradient, product};
  for (std::size_t segment = 1; segment < shares.segments; ++segment) {
    k.add_sums(channels, sums, {gradient + segment * channels, product + segment * channels});
  }
  k.settle_sums(channels, statistics, sums);
  return sums;
}

}  // namespace

void statistics(const float* x, Extent extent, Moments moments) {
  const std::size_t channels = extent.channels;
  const SumShares shares(extent);
  const Kernels& k = kernels();
  Scratch scratch;
  // The first segment's moments are made where the total is wanted; the others join it in order.
  double* mean = scratch.doubles((shares.segments - 1) * channels);
  double* m2 = scratch.doubles((shares.segments - 1) * channels);
  const auto moments_of = [&](std::size_t segment) {
    const std::size_t at = (segment - 1) * channels;
    return segment == 0 ? moments : Moments{mean + at, m2 + at};
  };
  run_shares(extent, shares.count(), [&](std::size_t index) {
    const Channels range = shares.channels(index, extent);
    const Moments whole = moments_of(shares.segment(index));
    k.segment_moments(x, extent, shares.segment(index), range,
                      {whole.mean + range.begin, whole.m2 + range.begin});
  });
  const Order order = order_of(extent);
  for (std::size_t segment = 1; segment < shares.segments; ++segment) {
    const double before = values_before(extent, order, segment);
    const double here = values_before(extent, order, segment + 1) - before;
    const Moments from = moments_of(segment);
    k.merge(channels, before, moments, here, {from.mean, from.m2});
  }
  settle_non_finite(x, extent, moments);
}

double merge(std::size_t channels, double into_count, Moments into, double from_count,
             ConstMoments from) {
  kernels().merge(channels, into_count, into, from_count, from);
  return into_count + from_count;
}

void update_running(std::size_t channels, Running running, double count, ConstMoments moments,
                    double momentum) {
  kernels().update_running(channels, running, count, moments, momentum);
}

void eval_statistics(std::size_t channels, const float* running_mean, const float* running_variance,
                     double eps, double* mean, double* invstd) {
  kernels().eval_statistics(channels, running_mean, running_variance, eps, mean, invstd);
}

void normalize(const float* x, Extent extent, Statistics statistics, Affine affine, float* y) {
  const std::size_t channels = extent.channels;
  const Kernels& k = kernels();
  Scratch scratch;
  const Transform transform{scratch.floats(channels), scratch.floats(channels),
                            scratch.floats(channels)};
  k.transform(channels, statistics, affine, transform);
  const ElementwiseShares shares(extent);
  run_shares(extent, shares.count(), [&](std::size_t index) {
    k.normalize(x, extent, shares.samples(index), shares.channels(index), transform, y);
  });
}

bool forward(const float* x, Extent extent, const ForwardSettings& settings, Affine affine,
             Running running, Moments moments, double* invstd, float* y) {
  const double count = static_cast<double>(extent.outer * extent.inner);
  const ConstMoments batch{moments.mean, moments.m2};
  statistics(x, extent, moments);
  kernels().invstd(extent.channels, count, moments.m2, settings.eps, invstd);
  const bool tracked = running.mean != nullptr;
  const bool fit = all_fit(extent.channels, count, batch, tracked);
  if (!fit && settings.non_finite == NonFinite::stop) return false;
  if (tracked && (fit || settings.non_finite == NonFinite::propagate)) {
    update_running(extent.channels, running, count, batch, settings.momentum);
  }
  normalize(x, extent, {moments.mean, invstd}, affine, y);
  return fit;
}

void backward(const float* grad_output, const float* x, Extent extent, Statistics statistics,
              const float* weight, bool training, Gradients gradients) {
  const std::size_t channels = extent.channels;
  const Kernels& k = kernels();
  const ElementwiseShares shares(extent);
  Scratch scratch;
  Sums sums{};
  if (training || gradients.weight || gradients.bias) {
    sums = backward_sums(grad_output, x, extent, statistics, scratch);
    for (std::size_t c = 0; c < channels; ++c) {
      if (gradients.weight) gradients.weight[c] = static_cast<float>(sums.product[c]);
      if (gradients.bias) gradients.bias[c] = static_cast<float>(sums.gradient[c]);
    }
  }
  if (!gradients.input) return;
  if (training) {
    const GradientTransform transform{scratch.floats(channels), scratch.floats(channels),
                                      scratch.floats(channels), scratch.floats(channels)};
    const double count = static_cast<double>(extent.outer * extent.inner);
    k.gradient_transform(channels, count, statistics, weight, sums, transform);
    run_shares(extent, shares.count(), [&](std::size_t index) {
      k.training_gradient(grad_output, x, extent, shares.samples(index), shares.channels(index),
                          transform, gradients.input);
    });
  } else {
    const Transform transform{scratch.floats(channels), scratch.floats(channels),
                              scratch.floats(channels)};
    k.transform(channels, statistics, {weight, nullptr}, transform);
    run_shares(extent, shares.count(), [&](std::size_t index) {
      k.eval_gradient(grad_output, extent, shares.samples(index), shares.channels(index),
                      transform.scale, gradients.input);
    });
  }
}

}  // namespace batchnorm
