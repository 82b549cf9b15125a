#include <cmath>

#include "batchnorm/batchnorm.h"
#include "dispatch.h"
#include "moments.h"
#include "scratch.h"
#include "shares.h"

namespace batchnorm {
namespace {

Transform transform_in(Scratch& scratch, std::size_t channels) {
  return {scratch.floats(channels), scratch.floats(channels), scratch.floats(channels)};
}

Transform from_channel(Transform transform, std::size_t channel) {
  return {transform.mean + channel, transform.scale + channel, transform.shift + channel};
}

Affine from_channel(Affine affine, std::size_t channel) {
  return {affine.weight ? affine.weight + channel : nullptr,
          affine.bias ? affine.bias + channel : nullptr};
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

void normalize_all(const float* x, Extent extent, const Plan& plan, Transform transform, float* y) {
  const std::size_t stride = extent.channels * extent.inner;
  run_shares(plan.shared, plan.elementwise_shares, [&](std::size_t index) {
    const Share share = plan.elementwise_share(extent, index);
    kernels().normalize({share.in(x, extent), stride}, share.extent(extent.inner),
                        from_channel(transform, share.channel_begin), {share.in(y, extent), stride},
                        plan.stream && x != y);
  });
}

// What a task does for its tile where a tile stays in the cache: everything.
struct LocalForward {
  const float* x;
  Extent extent;
  const Plan& plan;
  double eps;
  Affine affine;
  Moments moments;
  double* invstd;
  Transform transform;
  float* y;

  void operator()(std::size_t index) const {
    const Kernels& k = kernels();
    const Share share = plan.tile_share(extent, index);
    const Extent tile = share.extent(extent.inner);
    const std::size_t first = share.channel_begin;
    const std::size_t stride = extent.channels * extent.inner;
    const Input from{share.in(x, extent), stride};
    const Moments of_tile{moments.mean + first, moments.m2 + first};
    const Transform to = from_channel(transform, first);
    moments_of_tile(from, tile, plan.order, of_tile);
    k.invstd(tile.channels, static_cast<double>(tile.outer * tile.inner), of_tile.m2, eps,
             invstd + first);
    k.transform(tile.channels, {of_tile.mean, invstd + first}, from_channel(affine, first), to);
    k.normalize(from, tile, to, {share.in(y, extent), stride}, plan.stream && x != y);
  }
};

}  // namespace

void statistics(const float* x, Extent extent, Moments moments) {
  moments_of_all(x, extent, Plan(extent, 1), moments);
}

void normalize(const float* x, Extent extent, Statistics statistics, Affine affine, float* y) {
  Scratch scratch;
  const Transform transform = transform_in(scratch, extent.channels);
  kernels().transform(extent.channels, statistics, affine, transform);
  normalize_all(x, extent, Plan(extent, 1), transform, y);
}

bool forward(const float* x, Extent extent, const ForwardSettings& settings, Affine affine,
             Running running, Moments moments, double* invstd, float* y) {
  const double count = static_cast<double>(extent.outer * extent.inner);
  const ConstMoments batch{moments.mean, moments.m2};
  const bool tracked = running.mean != nullptr;
  const Plan plan(extent, 1);
  Scratch scratch;
  const Transform transform = transform_in(scratch, extent.channels);

  bool fit;
  if (plan.local && settings.non_finite != NonFinite::stop) {
    run_shares(plan.shared, plan.tiles,
               LocalForward{x, extent, plan, settings.eps, affine, moments, invstd, transform, y});
    fit = all_fit(extent.channels, count, batch, tracked);
  } else {
    moments_of_all(x, extent, plan, moments);
    kernels().invstd(extent.channels, count, moments.m2, settings.eps, invstd);
    fit = all_fit(extent.channels, count, batch, tracked);
    if (!fit && settings.non_finite == NonFinite::stop) return false;
    kernels().transform(extent.channels, {moments.mean, invstd}, affine, transform);
    normalize_all(x, extent, plan, transform, y);
  }
  if (tracked && (fit || settings.non_finite == NonFinite::propagate)) {
    update_running(extent.channels, running, count, batch, settings.momentum);
  }
  return fit;
}

}  // namespace batchnorm
