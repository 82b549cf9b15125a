// The results beside a direct evaluation in float64, with bounds that follow from float32's unit
// roundoff u = 2^-24 and from how many numbers are added in float32 before float64 takes over.
//
// The statistics sum d = x - pivot, where the pivot keeps the mean of d^2 below 4 variances, and so
// the mean of |d| below 2 standard deviations. Adding n terms one after another errs by at most
// (n - 1) u times the sum of their absolute values; a term errs by one u more for each rounding
// before it is added. Products of two roundings are left out.
#include <doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "batch.h"
#include "configurations.h"
#include "exact.h"

namespace batchnorm::test {
namespace {

constexpr double u = 0x1p-24;
constexpr double eps = 1e-5;

// No chunk gives a lane more rows than this; order.h.
constexpr double largest_chunk = 128;

struct Case {
  const char* name;
  Recipe recipe;
};

const Case cases[] = {
    {"uniform", {{4096, 64, 1}, {1, 0}, 1}},
    {"uniform, positions contiguous", {{3, 5, 5000}, {1, 0}, 2}},
    {"uniform, a few positions", {{900, 3, 7}, {1, 0}, 3}},
    {"offset 1e4, scale 1e-2", {{4096, 7, 1}, {1e-2, 1e4}, 4}},
    {"offset 1e6", {{2, 3, 5000}, {1, 1e6}, 5}},
    {"scale 1e18", {{4096, 7, 1}, {1e18, 0}, 6}},
    {"scale 1e30", {{4096, 7, 1}, {1e30, 0}, 7}},
    {"scale 1e30, offset 1e32", {{2, 3, 5000}, {1e30, 1e32}, 8}},
    {"scale 1e-30", {{4096, 7, 1}, {1e-30, 0}, 9}},
    {"constant 0.1", {{4096, 7, 1}, {0, 0.1}, 10}},
    {"constant 1e8", {{2, 3, 5000}, {0, 1e8}, 11}},
    {"two values", {{2, 9, 1}, {1, 3}, 12}},
};

struct Results {
  std::vector<double> mean, m2, invstd;
  std::vector<float> y, grad_input, grad_weight, grad_bias;

  explicit Results(const Batch& batch)
      : mean(batch.extent.channels),
        m2(mean),
        invstd(mean),
        y(values(batch.extent)),
        grad_input(y),
        grad_weight(batch.extent.channels),
        grad_bias(grad_weight) {
    const float* weight = batch.weight.data();
    forward(batch.x.data(), batch.extent, {eps, 0, NonFinite::propagate},
            {weight, batch.bias.data()}, {}, {mean.data(), m2.data()}, invstd.data(), y.data());
    backward(batch.grad_output.data(), batch.x.data(), batch.extent, {mean.data(), invstd.data()},
             weight, true, {grad_input.data(), grad_weight.data(), grad_bias.data()});
  }
};

// How far each channel's results may be from the exact ones.
struct Bounds {
  double mean;      // in standard deviations
  double variance;  // in parts of itself, as the next
  double invstd;
  double grad_bias;
  double grad_weight;

  Bounds(const ExactChannel& exact, double n) {
    const double terms = std::min(n, largest_chunk);
    mean = 2 * (terms + 1) * u;
    variance = 4 * (terms + 2) * u;
    invstd = (variance + 2 * u) / 2;
    grad_bias = (terms + 1) * u * exact.sum_of_gradients;
    // xhat is rounded twice and multiplied once; the doubt of the mean moves every xhat alike.
    grad_weight = ((terms + 4) * u + invstd) * exact.sum_of_products +
                  mean * (std::fabs(exact.grad_bias) + grad_bias);
  }

  double y(double exact, double weight, double bias) const {
    return std::fabs(weight) * mean + std::fabs(exact - bias) * (invstd + 3 * u) +
           (std::fabs(bias) + 2 * std::fabs(exact)) * u;
  }
  double grad_input(double grad_output, double normalized, const ExactChannel& exact,
                    double n) const {
    const double product = std::fabs(exact.grad_weight) / n;
    const double magnitude =
        std::fabs(grad_output) + std::fabs(exact.grad_bias) / n + std::fabs(normalized) * product;
    const double sums = (grad_bias + std::fabs(normalized) * grad_weight) / n;
    const double statistics = product * (mean + std::fabs(normalized) * invstd);
    return std::fabs(exact.scale) * (sums + statistics + magnitude * (invstd + 5 * u));
  }
};

// The largest error of one kind, in parts of its bound.
class Worst {
 public:
  void add(double actual, double exact, double bound) {
    const double error = std::fabs(actual - exact);
    // Not `error > bound`: a NaN must show.
    if (!(error <= bound) && !(worst_ > error / bound)) worst_ = error / bound;
  }
  bool within() const { return worst_ == 0; }

 private:
  double worst_ = 0;
};

void check(const Batch& batch, const std::vector<ExactChannel>& exact) {
  const Results results(batch);
  const auto [outer, channels, inner] = batch.extent;
  const double n = count(batch.extent);
  Worst mean, m2, y, grad_input, grad_weight, grad_bias;
  for (std::size_t c = 0; c < channels; ++c) {
    const ExactChannel& e = exact[c];
    const Bounds bounds(e, n);
    mean.add(results.mean[c], e.mean, bounds.mean * std::sqrt(e.variance));
    m2.add(results.m2[c], e.variance * n, bounds.variance * e.variance * n);
    grad_weight.add(results.grad_weight[c], e.grad_weight, bounds.grad_weight);
    grad_bias.add(results.grad_bias[c], e.grad_bias, bounds.grad_bias);
    for (std::size_t o = 0; o < outer; ++o) {
      for (std::size_t i = 0; i < inner; ++i) {
        const std::size_t index = (o * channels + c) * inner + i;
        const double normalized = (batch.x[index] - e.mean) * e.invstd;
        const double exact_y = normalized * batch.weight[c] + batch.bias[c];
        y.add(results.y[index], exact_y, bounds.y(exact_y, batch.weight[c], batch.bias[c]));
        const double gradient = batch.grad_output[index];
        const double exact_gradient =
            e.scale * (gradient - e.grad_bias / n - normalized * e.grad_weight / n);
        grad_input.add(results.grad_input[index], exact_gradient,
                       bounds.grad_input(gradient, normalized, e, n));
      }
    }
  }
  CHECK(mean.within());
  CHECK(m2.within());
  CHECK(y.within());
  CHECK(grad_input.within());
  CHECK(grad_weight.within());
  CHECK(grad_bias.within());
}

}  // namespace

TEST_CASE("forward and backward are as exact as float32 allows, whatever the data") {
  for (const auto& [name, recipe] : cases) {
    INFO(name);
    const Batch batch(recipe);
    const std::vector<ExactChannel> exact = exact_channels(batch, eps);
    for_each_instruction_set([&] { check(batch, exact); });
  }
}

TEST_CASE("a constant channel is normalized to its bias, exactly") {
  for (const double constant : {0.1, 1e8, -3e38, 1e-44}) {
    const Batch batch({{130, 3, 65}, {0, constant}, 13});
    for_each_instruction_set([&] {
      const Results results(batch);
      for (std::size_t c = 0; c < 3; ++c) {
        CHECK(results.m2[c] == 0);
        CHECK(results.y[c * 65] == batch.bias[c]);
      }
    });
  }
}

}  // namespace batchnorm::test
