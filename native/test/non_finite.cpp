// What forward does with statistics that are not finite, or do not fit float32.
#include <doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "bits.h"
#include "configurations.h"
#include "guarded.h"

namespace batchnorm::test {
namespace {

constexpr Extent extent{90, 5, 1};
constexpr std::size_t channels = extent.channels;
constexpr std::size_t length = extent.outer * channels;
constexpr std::size_t spoilt = 3;  // the channel that is not finite
constexpr ForwardSettings propagate{1e-5, 0.1, NonFinite::propagate};

// Plain values, and `value` once, in channel `spoilt`.
std::vector<float> batch_with(float value) {
  std::vector<float> x(length);
  for (std::size_t i = 0; i < length; ++i) x[i] = static_cast<float>(i % 7) - 2;
  x[40 * channels + spoilt] = value;
  return x;
}

struct Forward {
  Guarded<float> running_mean{std::vector<float>(channels, 0.5f).data(), channels, 0};
  Guarded<float> running_variance{std::vector<float>(channels, 2.0f).data(), channels, 0};
  Guarded<double> mean{channels};
  Guarded<double> m2{channels};
  Guarded<double> invstd{channels};
  Guarded<float> y{length};
  bool fits;

  Forward(const std::vector<float>& x, ForwardSettings settings, bool tracked = true) {
    const Running<float> running{running_mean.data(), running_variance.data()};
    fits = forward(x.data(), extent, settings, {}, tracked ? running : Running<float>{},
                   {mean.data(), m2.data()}, invstd.data(), y.data());
  }
  bool running_is_as_before() const {
    for (std::size_t c = 0; c < channels; ++c) {
      if (running_mean[c] != 0.5f || running_variance[c] != 2.0f) return false;
    }
    return true;
  }
};

const float spoilers[] = {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()};

}  // namespace

TEST_CASE("propagate: the spoilt channel is NaN, the others are as if it were not there") {
  for (const float value : spoilers) {
    for_each_configuration([&] {
      const Forward clean(batch_with(0), propagate);
      const Forward result(batch_with(value), propagate);
      CHECK(clean.fits);
      CHECK(!result.fits);
      CHECK(std::isnan(result.m2[spoilt]));
      CHECK(bits(result.mean[spoilt]) == bits(static_cast<double>(value)));
      CHECK(std::isnan(result.running_variance[spoilt]));
      for (std::size_t i = 0; i < length; ++i) {
        if (i % channels == spoilt) {
          CHECK(std::isnan(result.y[i]));
        } else {
          CHECK(bits(result.y[i]) == bits(clean.y[i]));
        }
      }
      for (std::size_t c = 0; c < channels; ++c) {
        if (c == spoilt) continue;
        CHECK(bits(result.running_mean[c]) == bits(clean.running_mean[c]));
        CHECK(bits(result.running_variance[c]) == bits(clean.running_variance[c]));
      }
    });
  }
}

TEST_CASE("skip leaves the running buffers as they were, throws also y") {
  for (const float value : spoilers) {
    const std::vector<float> x = batch_with(value);
    for_each_configuration([&] {
      const Forward all(x, propagate);
      const Forward skipped(x, {1e-5, 0.1, NonFinite::skip});
      const Forward stopped(x, {1e-5, 0.1, NonFinite::throws});
      CHECK(same_bits(skipped.y.data(), all.y.data(), length));
      CHECK(stopped.y.untouched());
      for (const Forward* result : {&skipped, &stopped}) {
        CHECK(!result->fits);
        CHECK(result->running_is_as_before());
        CHECK(same_bits(result->mean.data(), all.mean.data(), channels));
        CHECK(same_bits(result->m2.data(), all.m2.data(), channels));
        CHECK(same_bits(result->invstd.data(), all.invstd.data(), channels));
      }
    });
  }
}

TEST_CASE("a variance beyond float32 does not fit where it is tracked, and only there") {
  std::vector<float> x = batch_with(0);
  for (std::size_t o = 0; o < extent.outer; ++o) x[o * channels + spoilt] *= 1e25f;
  for_each_configuration([&] {
    const Forward tracked(x, {1e-5, 0.1, NonFinite::skip});
    const Forward untracked(x, {1e-5, 0.1, NonFinite::skip}, false);
    CHECK(!tracked.fits);
    CHECK(tracked.running_is_as_before());
    CHECK(untracked.fits);
    CHECK(same_bits(tracked.y.data(), untracked.y.data(), length));
  });
}

}  // namespace batchnorm::test
