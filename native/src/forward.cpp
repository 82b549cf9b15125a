#include <cmath>

#include "batchnorm/batchnorm.h"
#include "dispatch.h"
#include "moments.h"
#include "preconditions.h"
#include "shares.h"
#include "wide.h"

namespace batchnorm {
namespace {

// What a call reads, writes and keeps; the arrays by channel are [extent.channels].
template <class Value>
struct Normalization {
  using Real = batchnorm::Real<Value>;

  const Value* x;
  Extent extent;
  Affine<Real> affine;
  Value* y;
  Epilogue<Value> epilogue;
  Transform<Real> transform;
  bool* wide;  // which channels the range of Real is too small for

  Normalization(const Value* from, Extent e, Affine<Real> a, Value* to, Epilogue<Value> after,
                Scratch& scratch)
      : x(from), extent(e), affine(a), y(to), epilogue(after) {
    assert(is_extent(extent) && is_array(x) && is_array(y) && is_affine(affine));
    assert(is_activation(epilogue.activation) && is_aligned(epilogue.residual));
    assert(are_one_or_apart<Value>(x, y, values(extent)));
    assert(are_one_or_apart<Value>(epilogue.residual, y, values(extent)));
    const std::size_t channels = extent.channels;
    transform = {scratch.array<Real>(channels), scratch.array<Real>(channels),
                 scratch.array<Real>(channels)};
    wide = scratch.array<bool>(channels);
  }

  std::size_t stride() const { return extent.channels * extent.inner; }
  Input<Value> of(const Value* data, const Share& share) const {
    return {share.in(data, extent), stride()};
  }
  Transform<Real> transform_from(std::size_t channel) const {
    return {transform.mean + channel, transform.scale + channel, transform.shift + channel};
  }
  WideTransform wide_transform(Statistics statistics, std::size_t channel) const {
    return {statistics.mean[channel], statistics.mean_low ? statistics.mean_low[channel] : 0,
            statistics.invstd[channel], affine.weight ? affine.weight[channel] : 1,
            affine.bias ? affine.bias[channel] : 0};
  }

  void run(const Plan& plan, Statistics statistics) const {
    assert(are_statistics(statistics));
    const std::size_t channels = extent.channels;
    const bool is_narrow =
        kernels().of_parameters<Real>().transform(channels, statistics, affine, transform);
    for (std::size_t c = 0; !is_narrow && c < channels; ++c) {
      const WideTransform of = wide_transform(statistics, c);
      wide[c] = is_wide(limits_of<Real>(), of.mean, of.weight * of.invstd, of.bias);
    }
    const bool stream = plan.stream && x != y && epilogue.residual != y;
    run_shares(plan.shared, plan.elementwise_shares, [&](std::size_t index) {
      for_channels(
          plan.elementwise_share(extent, index), is_narrow ? nullptr : wide,
          [&](const Share& share) {
            kernels().of_values<Value>().normalize(
                of(x, share), share.extent(extent.inner), transform_from(share.channel_begin),
                {share.in(y, extent), stride()},
                {epilogue.activation, of(epilogue.residual, share)}, stream);
          },
          [&](const Share& share) {
            const std::size_t channel = share.channel_begin;
            normalize_widely(x, extent, share, wide_transform(statistics, channel), y, epilogue);
          });
    });
  }
};

template <class Real>
bool all_fit(std::size_t channels, double count, ConstMoments moments, Running<Real> running) {
  const bool tracked = running.mean != nullptr;
  bool fit = true;
  for (std::size_t c = 0; c < channels; ++c) {
    const double variance = tracked ? moments.m2[c] / (count - running.correction) : 0;
    fit &= std::isfinite(moments.mean[c]) && std::isfinite(moments.m2[c]) &&
           std::isfinite(static_cast<Real>(variance));
  }
  return fit;
}

}  // namespace

template <class Value>
void statistics(const Value* x, Extent extent, Moments moments) {
  assert(is_extent(extent) && is_array(x) && are_moments(moments));
  Scratch scratch;
  moments_of_all(x, extent, Plan(extent, sizeof(Value)),
                 complete(moments, scratch, extent.channels));
}

template <class Value>
void normalize(const Value* x, Extent extent, Statistics statistics, Affine<Real<Value>> affine,
               Value* y, Epilogue<Value> epilogue) {
  Scratch scratch;
  const Normalization<Value> call(x, extent, affine, y, epilogue, scratch);
  call.run(Plan(extent, sizeof(Value)), statistics);
}

template <class Value>
bool forward(const Value* x, Extent extent, const ForwardSettings& settings,
             Affine<Real<Value>> affine, Running<Real<Value>> running, Moments moments,
             double* invstd, Value* y, Epilogue<Value> epilogue) {
  const std::size_t channels = extent.channels;
  const double count = static_cast<double>(extent.outer * extent.inner);
  const bool tracked = running.mean != nullptr;
  assert(is_extent(extent) && is_running(running) && (!tracked || count > 1));
  assert(are_moments(moments) && is_array(invstd));
  const Plan plan(extent, sizeof(Value));
  Scratch scratch;
  const Normalization<Value> call(x, extent, affine, y, epilogue, scratch);
  const Moments batch = complete(moments, scratch, channels);

  moments_of_all(x, extent, plan, batch);
  if (!kernels().invstd(channels, count, batch.m2, settings.eps, invstd)) {
    for (std::size_t c = 0; c < channels; ++c) {
      invstd[c] = invstd_of(x, extent, c, batch.m2[c], settings.eps);
    }
  }
  const bool fit = all_fit<Real<Value>>(channels, count, batch, running);
  if (!fit && settings.non_finite == NonFinite::throws) return false;
  if (tracked && (fit || settings.non_finite == NonFinite::propagate)) {
    update_running(channels, running, count, batch, settings.momentum);
  }
  call.run(plan, {moments.mean, invstd, moments.mean_low});
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
