#include "gradient_sums.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dispatch.h"
#include "shares.h"
#include "wide.h"

namespace batchnorm {
namespace {

// What is taken off the gradients of a channel: of a few of them, spread over the batch, the one
// nearest to 0 if all have one sign, otherwise 0. So a pivot makes differences small, not large.
template <class Value>
void take_pivots(const BackwardInputs<Value>& from, Real<Value>* pivots, Scratch& scratch) {
  using Real = batchnorm::Real<Value>;
  const auto [outer, channels, inner] = from.extent;
  const std::size_t samples = outer < pivot_samples ? outer : pivot_samples;
  const std::size_t positions = inner < pivot_positions ? inner : pivot_positions;
  const std::size_t step = outer / samples;
  Real* least = scratch.array<Real>(channels);
  Real* most = scratch.array<Real>(channels);
  std::fill_n(least, channels, std::numeric_limits<Real>::infinity());
  std::fill_n(most, channels, -std::numeric_limits<Real>::infinity());
  for (std::size_t sample = 0; sample < samples; ++sample) {
    for (std::size_t position = 0; position < positions; ++position) {
      const std::size_t start = sample * step * channels * inner + position;
      for (std::size_t c = 0; c < channels; ++c) {
        const Real gradient = gradient_at(from, start + c * inner);
        least[c] = gradient < least[c] ? gradient : least[c];
        most[c] = gradient > most[c] ? gradient : most[c];
      }
    }
  }
  for (std::size_t c = 0; c < channels; ++c) {
    const Real pivot = least[c] > 0 ? least[c] : most[c] < 0 ? most[c] : 0;
    pivots[c] = std::isfinite(pivot) ? pivot : 0;
  }
}

bool is_safe(double gradient, double product, double smallest) {
  const double size = std::fmax(std::fabs(gradient), std::fabs(product));
  return std::isfinite(gradient) && std::isfinite(product) && (size == 0 || size >= smallest);
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
  if (centred) take_pivots(from, centre.pivot, scratch);

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
  by_halving(segments, [&](std::size_t into, std::size_t other) {
    kernels().add_sums(channels, sums_of(into), sums_of(other));
  });

  if (parameters.are_safe(channels, count, sums)) {
    parameters.settle_sums(channels, count, from.statistics, centre, sums, means);
    return;
  }
  // Channels whose sums overflowed or underflowed are summed again.
  const double smallest = count * limits_of<Real>().smallest_variance;
  bool* safe = scratch.array<bool>(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    safe[c] = is_safe(sums.gradient[c], sums.product[c], smallest);
  }
  parameters.settle_sums(channels, count, from.statistics, centre, sums, means);
  for (std::size_t c = 0; c < channels; ++c) {
    if (safe[c]) continue;
    const WideSums wide = wide_sums(from, c);
    sums.gradient[c] = wide.gradient;
    sums.product[c] = wide.product;
    means.offset[c] = wide.offset;
    means.offset_lost[c] = 0;
    means.product[c] = wide.mean_product;
  }
}

#define BATCHNORM_INSTANTIATE(Value)                                                   \
  template void sum_gradients(const BackwardInputs<Value>&, const Plan&, bool, Sums, \
                              GradientMeans);
BATCHNORM_FOR_EACH_VALUE(BATCHNORM_INSTANTIATE)

}  // namespace batchnorm
