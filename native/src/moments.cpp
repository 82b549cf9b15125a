#include "moments.h"

#include <cmath>

#include "dispatch.h"
#include "shares.h"
#include "wide.h"

namespace batchnorm {
namespace {

// What the sums could not tell: channels that hold NaN or Inf, and those whose squares overflowed
// or underflowed, which are summed again.
template <class Value>
void settle(const Value* x, Extent extent, Moments moments) {
  const double smallest =
      static_cast<double>(extent.outer * extent.inner) * limits_of<Real<Value>>().smallest_variance;
  for (std::size_t c = 0; c < extent.channels; ++c) {
    const double m2 = moments.m2[c];
    const bool is_safe = m2 == 0 || m2 >= smallest;
    if (is_safe && std::isfinite(moments.mean[c]) && std::isfinite(m2)) continue;
    const WideMoments wide = wide_moments(x, extent, c);
    moments.mean[c] = wide.mean;
    moments.m2[c] = wide.m2;
    moments.mean_low[c] = wide.mean_low;
  }
}

}  // namespace

template <class Value>
void moments_of_all(const Value* x, Extent extent, const Plan& plan, Moments moments) {
  const Order& order = plan.order;
  const std::size_t channels = extent.channels;
  Scratch scratch;
  // The first segment's moments are made where the total is wanted; the others join it.
  const Moments later = scratch_moments(scratch, (order.segments - 1) * channels);
  const auto moments_of = [&](std::size_t segment) {
    return segment == 0 ? moments : from_channel(later, (segment - 1) * channels);
  };
  double* counts = scratch.doubles(order.segments);
  for (std::size_t segment = 0; segment < order.segments; ++segment) {
    counts[segment] =
        values_before(extent, order, segment + 1) - values_before(extent, order, segment);
  }
  run_shares(plan.shared, order.segments * plan.tiles, [&](std::size_t index) {
    const std::size_t segment = index / plan.tiles;
    const Share share = plan.tile_share(extent, index % plan.tiles);
    kernels().of_values<Value>().segment_moments(
        {share.in(x, extent), channels * extent.inner}, share.extent(extent.inner), order, segment,
        from_channel(moments_of(segment), share.channel_begin));
  });
  in_pairs(order.segments, [&](std::size_t into, std::size_t from) {
    kernels().merge(channels, counts[into], moments_of(into), counts[from], moments_of(from));
    counts[into] += counts[from];
  });
  settle(x, extent, moments);
}

#define BATCHNORM_INSTANTIATE(Value) \
  template void moments_of_all(const Value*, Extent, const Plan&, Moments);
BATCHNORM_FOR_EACH_VALUE(BATCHNORM_INSTANTIATE)

}  // namespace batchnorm
