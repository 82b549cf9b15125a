#include "gradient_sums.h"

#include "dispatch.h"
#include "shares.h"

namespace batchnorm {

template <class Value>
GradientSums<Value>::GradientSums(const BackwardInputs<Value>& inputs, Sums to, Scratch& scratch)
    : from(inputs), sums(to) {
  using Real = batchnorm::Real<Value>;
  const std::size_t channels = from.extent.channels;
  mean = scratch.array<Real>(channels);
  invstd = scratch.array<Real>(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    mean[c] = static_cast<Real>(from.statistics.mean[c]);
    invstd[c] = static_cast<Real>(from.statistics.invstd[c]);
  }
}

template <class Value>
void GradientSums<Value>::of_segment(const Plan& plan, const Share& share, std::size_t segment,
                                     Sums to) const {
  const std::size_t first = share.channel_begin;
  kernels().of_values<Value>().segment_sums(from.gradient(share), from.of(from.x, share),
                                            share.extent(from.extent.inner), plan.order, segment,
                                            mean + first, invstd + first, to);
}

template <class Value>
void GradientSums<Value>::settle(std::size_t begin, std::size_t end) const {
  kernels().of_parameters<Real<Value>>().settle_sums(end - begin, from.statistics_from(begin),
                                                     from_channel(sums, begin));
}

template <class Value>
void GradientSums<Value>::of_tile(const Plan& plan, const Share& share) const {
  const std::size_t channels = share.channel_end - share.channel_begin;
  const Sums total = from_channel(sums, share.channel_begin);
  of_segment(plan, share, 0, total);
  if (plan.order.segments > 1) {
    Scratch scratch;
    const Sums later{scratch.doubles(channels), scratch.doubles(channels)};
    for (std::size_t segment = 1; segment < plan.order.segments; ++segment) {
      of_segment(plan, share, segment, later);
      kernels().add_sums(channels, total, later);
    }
  }
  settle(share.channel_begin, share.channel_end);
}

template <class Value>
void GradientSums<Value>::of_all(const Plan& plan) const {
  const std::size_t channels = from.extent.channels;
  const std::size_t segments = plan.order.segments;
  Scratch scratch;
  const Sums later{scratch.doubles((segments - 1) * channels),
                   scratch.doubles((segments - 1) * channels)};
  const auto sums_of = [&](std::size_t segment) {
    return segment == 0 ? sums : from_channel(later, (segment - 1) * channels);
  };
  run_shares(plan.shared, segments * plan.tiles, [&](std::size_t index) {
    const Share share = plan.tile_share(from.extent, index % plan.tiles);
    const std::size_t segment = index / plan.tiles;
    of_segment(plan, share, segment, from_channel(sums_of(segment), share.channel_begin));
  });
  for (std::size_t segment = 1; segment < segments; ++segment) {
    kernels().add_sums(channels, sums, sums_of(segment));
  }
  settle(0, channels);
}

#define BATCHNORM_INSTANTIATE(Value) template struct GradientSums<Value>;
BATCHNORM_FOR_EACH_VALUE(BATCHNORM_INSTANTIATE)

}  // namespace batchnorm
