#include "case.h"

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "../../src/order.h"

namespace batchnorm::test {
namespace {

// Most cases are small, so that many are tried; some are shared out among threads.
constexpr std::size_t small = 6000;
constexpr std::size_t large = 160'000;

// Sizes at which the kernels do something else: vectors, tiles, rows, chunks, segments and parts.
constexpr std::size_t boundaries[] = {4,   8,    16,           32,
                                      64,  128,  256,          rows_per_chunk* chunks_per_segment,
                                      512, 1024, 2 * run_part, chunks_per_segment* run_part};

std::size_t size_from(FuzzedDataProvider& bytes) {
  if (bytes.ConsumeBool()) return bytes.ConsumeIntegralInRange<std::size_t>(1, 70);
  return bytes.PickValueInArray(boundaries) + bytes.ConsumeIntegralInRange<std::size_t>(0, 2) - 1;
}

// Not more values than `most`.
Extent extent_from(FuzzedDataProvider& bytes, std::size_t most) {
  std::size_t sizes[] = {size_from(bytes), size_from(bytes), size_from(bytes)};
  // Flat extents, (N, C) and a single sample, have ways of their own.
  if (bytes.ConsumeBool()) sizes[bytes.ConsumeIntegralInRange<std::size_t>(0, 2)] = 1;
  while (sizes[0] * sizes[1] * sizes[2] > most) {
    std::size_t& largest = sizes[bytes.ConsumeIntegralInRange<std::size_t>(0, 2)];
    std::size_t& chosen = largest > 1 ? largest : *std::max_element(sizes, sizes + 3);
    chosen = (chosen + 1) / 2;
  }
  return {sizes[0], sizes[1], sizes[2]};
}

// Numbers of any magnitude that float64 has.
double power_from(FuzzedDataProvider& bytes) {
  return std::ldexp(1, bytes.ConsumeIntegralInRange(-1074, 1023));
}

Data data_from(FuzzedDataProvider& bytes) {
  constexpr double scales[] = {1, 1, 1, 0, 0x1p-130, 0x1p-60, 0x1p-20, 0x1p60, 0x1p126};
  constexpr double offsets[] = {0, 0, 0, 1, -1000, 0x1p-126, 0x1p20, -0x1p60, 0x1p120};
  Data data;
  data.scale = bytes.PickValueInArray(scales);
  data.offset = bytes.PickValueInArray(offsets);
  if (bytes.ConsumeBool()) data.special_every = bytes.ConsumeIntegralInRange(1u, 400u);
  return data;
}

double special_from(FuzzedDataProvider& bytes) {
  using Limits = std::numeric_limits<double>;
  using FloatLimits = std::numeric_limits<float>;
  constexpr double specials[] = {0,
                                 Limits::quiet_NaN(),
                                 Limits::infinity(),
                                 Limits::max(),
                                 Limits::denorm_min(),
                                 FloatLimits::max(),
                                 FloatLimits::denorm_min(),
                                 65504,       // the largest float16
                                 65520,       // rounds to its infinity
                                 0x1p-24,     // its smallest
                                 0x1.01p127,  // for bfloat16 halfway between two
                                 1};
  const double value = bytes.ConsumeBool() ? bytes.PickValueInArray(specials) : power_from(bytes);
  return bytes.ConsumeBool() ? -value : value;
}

double count_from(FuzzedDataProvider& bytes, double least) {
  constexpr double counts[] = {0, 1, 2, 3, 17, 1e6, 0x1p53};
  return std::max(bytes.PickValueInArray(counts), least);
}

Activation activation_from(FuzzedDataProvider& bytes) {
  constexpr ActivationName names[] = {ActivationName::none, ActivationName::relu,
                                      ActivationName::leaky_relu};
  constexpr double slopes[] = {0, 0.01, 1, 3, 0x1p-140, 0x1p140};
  const ActivationName name = bytes.PickValueInArray(names);
  return {name, bytes.PickValueInArray(slopes)};
}

}  // namespace

Case::Case(const std::uint8_t* data_of_fuzzer, std::size_t size) {
  FuzzedDataProvider bytes(data_of_fuzzer, size);
  operation = bytes.ConsumeEnum<Operation>();
  type = bytes.ConsumeEnum<Type>();
  const bool is_large = bytes.ConsumeIntegralInRange(0, 31) == 31;
  extent = extent_from(bytes, is_large ? large : small);
  data = data_from(bytes);
  parameters = data_from(bytes);
  seed = bytes.ConsumeIntegralInRange<std::uint32_t>(1, 0xffffffff);
  constexpr double epsilons[] = {1e-5, 0, 1e-300, 1, 1e300};
  eps = bytes.PickValueInArray(epsilons);
  constexpr double momenta[] = {0.1, 0, 1, 0.5, 1e-300};
  momentum = bytes.PickValueInArray(momenta);
  into_count = count_from(bytes, 0);
  from_count = count_from(bytes, 0);
  constexpr NonFinite policies[] = {NonFinite::propagate, NonFinite::skip, NonFinite::throws};
  non_finite = bytes.PickValueInArray(policies);
  activation = activation_from(bytes);
  place = bytes.ConsumeEnum<Place>();
  residual_place = bytes.ConsumeEnum<Place>();
  for (bool* const flag : {&mean_low, &weight, &bias, &running, &residual, &grad_input,
                           &grad_weight, &grad_bias, &training, &own_statistics}) {
    *flag = bytes.ConsumeBool();
  }
  // The unbiased variance wants two values.
  if (extent.outer * extent.inner < 2) running = false;
  slack = bytes.ConsumeIntegralInRange<std::size_t>(0, 17);
  second_level_cache = bytes.ConsumeBool() ? 1 : 1024 * 1024;
  threads = bytes.ConsumeIntegralInRange(1u, 5u);
  for (std::size_t count = bytes.ConsumeIntegralInRange<std::size_t>(0, 8); count > 0; --count) {
    spots.push_back({bytes.ConsumeIntegral<std::uint8_t>(), bytes.ConsumeIntegral<std::uint16_t>(),
                     special_from(bytes)});
  }
}

void describe(const Case& call) {
  const auto number = [](auto value) { return static_cast<int>(value); };
  std::fprintf(stderr, "operation %d, type %d, extent (%zu, %zu, %zu), seed %u\n",
               number(call.operation), number(call.type), call.extent.outer, call.extent.channels,
               call.extent.inner, call.seed);
  for (const Data& data : {call.data, call.parameters}) {
    std::fprintf(stderr, "data: scale %a, offset %a, special every %u\n", data.scale, data.offset,
                 data.special_every);
  }
  for (const Spot& spot : call.spots) {
    std::fprintf(stderr, "spot: array %zu, index %zu, %a\n", spot.array, spot.index, spot.value);
  }
  std::fprintf(stderr, "eps %g, momentum %g, counts %g and %g, nonFinite %d, activation %d of %g\n",
               call.eps, call.momentum, call.into_count, call.from_count, number(call.non_finite),
               number(call.activation.name), call.activation.negative_slope);
  std::fprintf(stderr,
               "place %d, of the residual %d; mean_low %d, weight %d, bias %d, running %d, "
               "residual %d, gradients %d %d %d, training %d, own statistics %d\n",
               number(call.place), number(call.residual_place), call.mean_low, call.weight,
               call.bias, call.running, call.residual, call.grad_input, call.grad_weight,
               call.grad_bias, call.training, call.own_statistics);
  std::fprintf(stderr, "slack %zu, cache %zu, threads %u\n", call.slack, call.second_level_cache,
               call.threads);
}

}  // namespace batchnorm::test
