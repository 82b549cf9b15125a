// What is computed once a channel, in float64: merging, the running buffers, eval statistics.
#include <doctest.h>

#include <cmath>
#include <vector>

#include "batch.h"
#include "bits.h"
#include "configurations.h"
#include "guarded.h"

namespace batchnorm::test {
namespace {

constexpr std::size_t channels = 37;

struct Part {
  double count;
  std::vector<double> mean;
  std::vector<double> m2;
};

// The exact moments of samples [begin, end) of a batch of (outer, channels, 1).
Part part_of(const Batch& batch, std::size_t begin, std::size_t end) {
  const double count = static_cast<double>(end - begin);
  Part part{count, std::vector<double>(channels), std::vector<double>(channels)};
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t o = begin; o < end; ++o) part.mean[c] += batch.x[o * channels + c] / count;
    for (std::size_t o = begin; o < end; ++o) {
      part.m2[c] += std::pow(batch.x[o * channels + c] - part.mean[c], 2);
    }
  }
  return part;
}

void merge_into(Part& into, const Part& from) {
  into.count = merge(channels, into.count, {into.mean.data(), into.m2.data()}, from.count,
                     {from.mean.data(), from.m2.data()});
}

}  // namespace

TEST_CASE("the merged moments of parts are the moments of the whole, to float64's rounding") {
  constexpr std::size_t outer = 1000;
  const Batch batch({{outer, channels, 1}, {1, 2}, 21});
  const Part whole = part_of(batch, 0, outer);
  for_each_instruction_set([&] {
    Part merged = part_of(batch, 0, 1);
    for (const auto& [begin, end] : {std::pair{1, 2}, {2, 500}, {500, 503}, {503, 1000}}) {
      merge_into(merged, part_of(batch, begin, end));
    }
    CHECK(merged.count == outer);
    // Each of about 2 * outer operations rounds a number of at most 3, the sum of its squares of
    // at most 9 * outer.
    const double rounding = 2 * outer * 0x1p-53;
    for (std::size_t c = 0; c < channels; ++c) {
      CHECK(std::fabs(merged.mean[c] - whole.mean[c]) <= 3 * rounding);
      CHECK(std::fabs(merged.m2[c] - whole.m2[c]) <= 9 * outer * rounding);
    }
  });
}

TEST_CASE("merging with nothing changes no bit") {
  const Batch batch({{100, channels, 1}, {1, 2}, 22});
  const Part part = part_of(batch, 0, 100);
  const double nan = std::nan("");
  for_each_instruction_set([&] {
    Part nothing{0, std::vector<double>(channels, nan), std::vector<double>(channels, nan)};
    Part merged = part;
    merge_into(merged, nothing);
    merge_into(nothing, part);
    for (const Part* result : {&merged, &nothing}) {
      CHECK(result->count == part.count);
      CHECK(same_bits(result->mean.data(), part.mean.data(), channels));
      CHECK(same_bits(result->m2.data(), part.m2.data(), channels));
    }
  });
}

TEST_CASE("the running update is its formula in float64, rounded once") {
  const Batch batch({{9, channels, 1}, {1, 2}, 23});
  const Part part = part_of(batch, 0, 9);
  for (const double momentum : {0.0, 0.1, 1.0 / 3, 1.0}) {
    // Of the variance: 1 the unbiased one, 0 the biased one.
    const double correction = momentum == 0.1 ? 0 : 1;
    std::vector<float> mean(channels), variance(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      const double old_mean = batch.running_mean[c], old_variance = batch.running_variance[c];
      mean[c] = static_cast<float>((1 - momentum) * old_mean + momentum * part.mean[c]);
      variance[c] = static_cast<float>((1 - momentum) * old_variance +
                                       momentum * (part.m2[c] / (9 - correction)));
    }
    for_each_instruction_set([&] {
      Guarded<float> running_mean(batch.running_mean.data(), channels, 1);
      Guarded<float> running_variance(batch.running_variance.data(), channels, 3);
      update_running<float>(channels, {running_mean.data(), running_variance.data(), correction}, 9,
                            {part.mean.data(), part.m2.data()}, momentum);
      CHECK(same_bits(running_mean.data(), mean.data(), channels));
      CHECK(same_bits(running_variance.data(), variance.data(), channels));
      CHECK(running_mean.intact());
      CHECK(running_variance.intact());
    });
  }
}

TEST_CASE("eval statistics are 1 / sqrt(variance + eps) in float64") {
  const Batch batch({{1, channels, 1}, {}, 24});
  for (const double eps : {0.0, 1e-70, 1e-5}) {
    for_each_instruction_set([&] {
      Guarded<double> mean(channels), invstd(channels);
      eval_statistics(channels, batch.running_mean.data(), batch.running_variance.data(), eps,
                      mean.data(), invstd.data());
      for (std::size_t c = 0; c < channels; ++c) {
        CHECK(mean[c] == batch.running_mean[c]);
        CHECK(invstd[c] == 1 / std::sqrt(batch.running_variance[c] + eps));
      }
      CHECK(mean.intact());
      CHECK(invstd.intact());
    });
  }
}

}  // namespace batchnorm::test
