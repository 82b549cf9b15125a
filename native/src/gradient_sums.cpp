#include "gradient_sums.h"

#include <cmath>

#include "dispatch.h"
#include "shares.h"
#include "wide.h"

namespace batchnorm {
namespace {

// The fourth smallest of eight numbers: without branches, so that a loop over channels becomes
// SIMD.
template <class Real>
class FourthSmallest {
 public:
  static Real of(Real (&number)[pivot_gradients]) {
    sort_four(number);
    sort_four(number + 4);
    return larger(larger(smaller(number[0], number[7]), smaller(number[1], number[6])),
                  larger(smaller(number[2], number[5]), smaller(number[3], number[4])));
  }

 private:
  static Real smaller(Real a, Real b) { return a < b ? a : b; }
  static Real larger(Real a, Real b) { return a < b ? b : a; }
  static void exchange(Real& a, Real& b) {
    const Real least = smaller(a, b);
    b = larger(a, b);
    a = least;
  }
  static void sort_four(Real* number) {
    exchange(number[0], number[1]);
    exchange(number[2], number[3]);
    exchange(number[0], number[2]);
    exchange(number[1], number[3]);
    exchange(number[1], number[2]);
  }
};

// What is taken off the gradients of a channel: of eight, spread over the batch, the fourth
// smallest, if six are within a quarter of it; otherwise 0. So it is an offset that is large
// beside what varies, or nothing.
template <class Value>
void take_pivots(const BackwardInputs<Value>& from, Real<Value>* pivots) {
  using Real = batchnorm::Real<Value>;
  const auto [outer, channels, inner] = from.extent;
  const std::size_t count = outer * inner;
  std::size_t offset[pivot_gradients];
  for (std::size_t i = 0; i < pivot_gradients; ++i) {
    const std::size_t value = pivot_places[i] * count / 64;
    offset[i] = value / inner * channels * inner + value % inner;
  }
  for (std::size_t c = 0; c < channels; ++c) {
    Real some[pivot_gradients];
    double sum = 0;  // 0 unless one is NaN or infinite
    for (std::size_t i = 0; i < pivot_gradients; ++i) {
      some[i] = gradient_at(from, offset[i] + c * inner);
      sum += some[i] * 0.0;
    }
    const Real pivot = FourthSmallest<Real>::of(some);
    int near = 0;
    for (const double gradient : some) {
      near += std::fabs(gradient - pivot) <= std::fabs(static_cast<double>(pivot)) / 4;
    }
    pivots[c] = (sum == 0) & (near >= 6) ? pivot : 0;
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
  if (centred) take_pivots(from, centre.pivot);

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
  parameters.settle_sums(channels, count, from.statistics, centre, sums, means);
  for (std::size_t c = 0; !all_safe && c < channels; ++c) {
    if (safe[c]) continue;
    const WideSums wide = wide_sums(from, c);
    sums.gradient[c] = wide.gradient;
    sums.product[c] = wide.product;
    means.offset[c] = wide.offset;
    means.offset_lost[c] = 0;
    means.product[c] = wide.mean_product;
  }
}

#define BATCHNORM_INSTANTIATE(Value) \
  template void sum_gradients(const BackwardInputs<Value>&, const Plan&, bool, Sums, GradientMeans);
BATCHNORM_FOR_EACH_VALUE(BATCHNORM_INSTANTIATE)

}  // namespace batchnorm
