#include "gradient_sums.h"

#include "dispatch.h"
#include "shares.h"
#include "wide.h"

namespace batchnorm {
namespace {

// Where the values of channel 0 lie that pivots are taken from.
void pivot_offsets(Extent extent, std::size_t (&offsets)[pivot_gradients]) {
  const auto [outer, channels, inner] = extent;
  for (std::size_t i = 0; i < pivot_gradients; ++i) {
    const std::size_t value = pivot_places[i] * (outer * inner) / 64;
    offsets[i] = value / inner * channels * inner + value % inner;
    assert(offsets[i] + (channels - 1) * inner < values(extent));
  }
}

}  // namespace

template <class Value>
void sum_gradients(const BackwardInputs<Value>& from, const Plan& plan, bool centred, Sums sums,
                   GradientMeans means) {
  using Real = batchnorm::Real<Value>;
  const ParameterKernels<Real>& parameters = kernels().of_parameters<Real>();
  const std::size_t channels = from.extent.channels;
  const std::size_t segments = plan.order.segments;
  const double count = static_cast<double>(from.extent.outer * from.extent.inner);
  Scratch scratch;
  const GradientCentre<Real> centre{scratch.array<Real>(channels), scratch.array<Real>(channels),
                                    scratch.array<Real>(channels)};
  parameters.gradient_centre(channels, from.statistics, centre);
  if (centred) {
    std::size_t offsets[pivot_gradients];
    pivot_offsets(from.extent, offsets);
    kernels().of_values<Value>().gradient_pivots(from.gradient({0, from.extent.outer, 0, channels}),
                                                 from.extent, offsets, centre.pivot);
  }

  const Sums later{scratch.doubles((segments - 1) * channels),
                   scratch.doubles((segments - 1) * channels)};
  const auto sums_of = [&](std::size_t segment) {
    return segment == 0 ? sums : from_channel(later, (segment - 1) * channels);
  };
  run_shares(plan.shared, segments * plan.tiles, [&](std::size_t index) {
    const Share share = plan.tile_share(from.extent, index % plan.tiles);
    const std::size_t segment = index / plan.tiles;
    const std::size_t first = share.channel_begin;
    kernels().of_values<Value>().segment_sums(
        from.gradient(share), from.of(from.x, share), share.extent(from.extent.inner), plan.order,
        segment, {centre.pivot + first, centre.mean + first, centre.unit + first},
        from_channel(sums_of(segment), first));
  });
  in_pairs(segments, [&](std::size_t into, std::size_t other) {
    kernels().add_sums(channels, sums_of(into), sums_of(other));
  });

  bool* safe = scratch.array<bool>(channels);
  const bool all_safe = parameters.are_safe(channels, count, centre.pivot, sums, safe);
  parameters.restore_sums(channels, count, from.statistics, centre, sums, means);
  for (std::size_t c = 0; !all_safe && c < channels; ++c) {
    if (safe[c]) continue;
    const WideSums wide = wide_sums(from, c);
    sums.gradient[c] = wide.gradient;
    sums.product[c] = wide.product;
    means.offset[c] = wide.offset;
    means.offset_low[c] = 0;
    means.product[c] = wide.mean_product;
  }
}

#define BATCHNORM_INSTANTIATE(Value) \
  template void sum_gradients(const BackwardInputs<Value>&, const Plan&, bool, Sums, GradientMeans);
BATCHNORM_FOR_EACH_VALUE(BATCHNORM_INSTANTIATE)

}  // namespace batchnorm
