#include "moments.h"

#include <cmath>
#include <limits>

#include "dispatch.h"
#include "half.h"
#include "shares.h"

namespace batchnorm {
namespace {

// A channel that holds NaN or Inf has no M2, and the mean that plain addition gives.
template <class Value>
void settle_non_finite(Input<Value> x, Extent tile, Moments moments) {
  const double count = static_cast<double>(tile.outer * tile.inner);
  for (std::size_t c = 0; c < tile.channels; ++c) {
    if (std::isfinite(moments.mean[c])) continue;
    double sum = 0;
    for (std::size_t o = 0; o < tile.outer; ++o) {
      const Value* run = x.data + o * x.stride + c * tile.inner;
      for (std::size_t i = 0; i < tile.inner; ++i) sum += number(run[i]);
    }
    moments.mean[c] = sum / count;
    moments.m2[c] = std::numeric_limits<double>::quiet_NaN();
    if (moments.lost) moments.lost[c] = 0;
  }
}

void merge_segment(Extent tile, const Order& order, std::size_t segment, Moments into,
                   Moments from) {
  const double before = values_before(tile, order, segment);
  const double here = values_before(tile, order, segment + 1) - before;
  kernels().merge(tile.channels, before, into, here, from);
}

}  // namespace

template <class Value>
void moments_of_tile(Input<Value> x, Extent tile, const Order& order, Moments moments) {
  const ValueKernels<Value>& k = kernels().of_values<Value>();
  k.segment_moments(x, tile, order, 0, moments);
  if (order.segments > 1) {
    Scratch scratch;
    const Moments later = scratch_moments<Value>(scratch, tile.channels);
    for (std::size_t segment = 1; segment < order.segments; ++segment) {
      k.segment_moments(x, tile, order, segment, later);
      merge_segment(tile, order, segment, moments, later);
    }
  }
  settle_non_finite(x, tile, moments);
}

template <class Value>
void moments_of_all(const Value* x, Extent extent, const Plan& plan, Moments moments) {
  const Order& order = plan.order;
  const ValueKernels<Value>& k = kernels().of_values<Value>();
  Scratch scratch;
  // The first segment's moments are made where the total is wanted; the others join it in order.
  const Moments later = scratch_moments<Value>(scratch, (order.segments - 1) * extent.channels);
  const auto moments_of = [&](std::size_t segment) {
    return segment == 0 ? moments : from_channel(later, (segment - 1) * extent.channels);
  };
  const std::size_t stride = extent.channels * extent.inner;
  run_shares(plan.shared, order.segments * plan.tiles, [&](std::size_t index) {
    const std::size_t segment = index / plan.tiles;
    const Share share = plan.tile_share(extent, index % plan.tiles);
    k.segment_moments({share.in(x, extent), stride}, share.extent(extent.inner), order, segment,
                      from_channel(moments_of(segment), share.channel_begin));
  });
  for (std::size_t segment = 1; segment < order.segments; ++segment) {
    merge_segment(extent, order, segment, moments, moments_of(segment));
  }
  settle_non_finite<Value>({x, stride}, extent, moments);
}

#define BATCHNORM_INSTANTIATE(Value)                                          \
  template void moments_of_tile(Input<Value>, Extent, const Order&, Moments); \
  template void moments_of_all(const Value*, Extent, const Plan&, Moments);
BATCHNORM_FOR_EACH_VALUE(BATCHNORM_INSTANTIATE)

}  // namespace batchnorm
