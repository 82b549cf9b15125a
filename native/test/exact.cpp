#include "exact.h"

#include <cmath>

namespace batchnorm::test {
namespace {

template <class Term>
double sum(Extent extent, std::size_t channel, const Term& term) {
  double total = 0;
  for (std::size_t o = 0; o < extent.outer; ++o) {
    const std::size_t start = (o * extent.channels + channel) * extent.inner;
    for (std::size_t i = 0; i < extent.inner; ++i) total += term(start + i);
  }
  return total;
}

}  // namespace

std::vector<ExactChannel> exact_channels(const Batch& batch, double eps) {
  const Extent extent = batch.extent;
  const double n = count(extent);
  std::vector<ExactChannel> result(extent.channels);
  for (std::size_t c = 0; c < extent.channels; ++c) {
    ExactChannel& e = result[c];
    // Around the first value, so that the offset costs no bits.
    const double origin = batch.x[c * extent.inner];
    const auto deviation = [&](std::size_t i) { return batch.x[i] - e.mean; };
    const auto product = [&](std::size_t i) {
      return batch.grad_output[i] * deviation(i) * e.invstd;
    };
    e.mean = origin + sum(extent, c, [&](std::size_t i) { return batch.x[i] - origin; }) / n;
    e.variance = sum(extent, c, [&](std::size_t i) { return deviation(i) * deviation(i); }) / n;
    e.invstd = 1 / std::sqrt(e.variance + eps);
    e.scale = batch.weight[c] * e.invstd;
    e.grad_bias = sum(extent, c, [&](std::size_t i) { return batch.grad_output[i]; });
    e.grad_weight = sum(extent, c, product);
    e.sum_of_gradients =
        sum(extent, c, [&](std::size_t i) { return std::fabs(batch.grad_output[i]); });
    e.sum_of_products = sum(extent, c, [&](std::size_t i) { return std::fabs(product(i)); });
  }
  return result;
}

}  // namespace batchnorm::test
