#include <cmath>

#include "batchnorm/batchnorm.h"
#include "dispatch.h"
#include "moments.h"
#include "scratch.h"
#include "shares.h"

namespace batchnorm {
namespace {

// What a call reads, writes and keeps; the arrays by channel are [extent.channels].
template <class Value>
struct Normalization {
  const Value* x;
  Extent extent;
  Affine<Real<Value>> affine;
  Value* y;
  Epilogue<Value> epilogue;
  Transform<Real<Value>> transform;

  Normalization(const Value* from, Extent e, Affine<Real<Value>> a, Value* to,
                Epilogue<Value> after, Scratch& scratch)
      : x(from), extent(e), affine(a), y(to), epilogue(after) {
    using Real = batchnorm::Real<Value>;
    const std::size_t channels = extent.channels;
    transform = {scratch.array<Real>(channels), scratch.array<Real>(channels),
                 scratch.array<Real>(channels)};
  }

  Plan plan() const { return Plan(extent, epilogue.residual ? 2 : 1, sizeof(Value)); }
  std::size_t stride() const { return extent.channels * extent.inner; }
  Input<Value> of(const Value* data, const Share& share) const {
    return {share.in(data, extent), stride()};
  }
  Transform<Real<Value>> transform_from(std::size_t channel) const {
    return {transform.mean + channel, transform.scale + channel, transform.shift + channel};
  }

  // What channels [begin, end) are normalized with.
  void prepare(std::size_t begin, std::size_t end, Statistics statistics) const {
    kernels().of_parameters<Real<Value>>().transform(
        end - begin,
        {statistics.mean + begin, statistics.invstd + begin, from_channel(statistics.lost, begin)},
        {from_channel(affine.weight, begin), from_channel(affine.bias, begin)},
        transform_from(begin));
  }

  void run(const Share& share, const Plan& plan) const {
    kernels().of_values<Value>().normalize(
        of(x, share), share.extent(extent.inner), transform_from(share.channel_begin),
        {share.in(y, extent), stride()}, {epilogue.activation, of(epilogue.residual, share)},
        plan.stream && x != y && epilogue.residual != y);
  }
  void run_all(const Plan& plan) const {
    run_shares(plan.shared, plan.elementwise_shares,
               [&](std::size_t index) { run(plan.elementwise_share(extent, index), plan); });
  }
};

template <class Real>
bool all_fit(std::size_t channels, double count, ConstMoments moments, bool tracked) {
  bool fit = true;
  for (std::size_t c = 0; c < channels; ++c) {
    const double variance = tracked ? moments.m2[c] / (count - 1) : 0;
    fit &= std::isfinite(moments.mean[c]) && std::isfinite(moments.m2[c]) &&
           std::isfinite(static_cast<Real>(variance));
  }
  return fit;
}

// Where a tile stays in the cache, a task does everything for its tile.
template <class Value>
void forward_by_tiles(const Normalization<Value>& call, const Plan& plan, double eps,
                      Moments moments, Statistics statistics, double* invstd) {
  run_shares(plan.shared, plan.tiles, [&](std::size_t index) {
    const Share share = plan.tile_share(call.extent, index);
    const Extent tile = share.extent(call.extent.inner);
    const std::size_t first = share.channel_begin;
    moments_of_tile(call.of(call.x, share), tile, plan.order, from_channel(moments, first));
    kernels().invstd(tile.channels, static_cast<double>(tile.outer * tile.inner),
                     moments.m2 + first, eps, invstd + first);
    call.prepare(first, share.channel_end, statistics);
    call.run(share, plan);
  });
}

}  // namespace

template <class Value>
void statistics(const Value* x, Extent extent, Moments moments) {
  Scratch scratch;
  moments_of_all(x, extent, Plan(extent, 1, sizeof(Value)),
                 complete<Value>(moments, scratch, extent.channels));
}

template <class Value>
void normalize(const Value* x, Extent extent, Statistics statistics, Affine<Real<Value>> affine,
               Value* y, Epilogue<Value> epilogue) {
  Scratch scratch;
  const Normalization<Value> call(x, extent, affine, y, epilogue, scratch);
  call.prepare(0, extent.channels, statistics);
  call.run_all(call.plan());
}

template <class Value>
bool forward(const Value* x, Extent extent, const ForwardSettings& settings,
             Affine<Real<Value>> affine, Running<Real<Value>> running, Moments moments,
             double* invstd, Value* y, Epilogue<Value> epilogue) {
  const std::size_t channels = extent.channels;
  const double count = static_cast<double>(extent.outer * extent.inner);
  const bool tracked = running.mean != nullptr;
  Scratch scratch;
  const Normalization<Value> call(x, extent, affine, y, epilogue, scratch);
  const Plan plan = call.plan();
  const Moments batch = complete<Value>(moments, scratch, channels);
  const Statistics statistics{moments.mean, invstd, moments.lost};

  bool fit;
  if (plan.local && settings.non_finite != NonFinite::stop) {
    forward_by_tiles(call, plan, settings.eps, batch, statistics, invstd);
    fit = all_fit<Real<Value>>(channels, count, batch, tracked);
  } else {
    moments_of_all(x, extent, plan, batch);
    kernels().invstd(channels, count, batch.m2, settings.eps, invstd);
    fit = all_fit<Real<Value>>(channels, count, batch, tracked);
    if (!fit && settings.non_finite == NonFinite::stop) return false;
    call.prepare(0, channels, statistics);
    call.run_all(plan);
  }
  if (tracked && (fit || settings.non_finite == NonFinite::propagate)) {
    update_running(channels, running, count, batch, settings.momentum);
  }
  return fit;
}

#define BATCHNORM_INSTANTIATE(Value)                                                       \
  template void statistics(const Value*, Extent, Moments);                                 \
  template void normalize(const Value*, Extent, Statistics, Affine<Real<Value>>, Value*,   \
                          Epilogue<Value>);                                                \
  template bool forward(const Value*, Extent, const ForwardSettings&, Affine<Real<Value>>, \
                        Running<Real<Value>>, Moments, double*, Value*, Epilogue<Value>);
BATCHNORM_FOR_EACH_VALUE(BATCHNORM_INSTANTIATE)

}  // namespace batchnorm
