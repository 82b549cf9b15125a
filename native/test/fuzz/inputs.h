// The arrays that a case reads.
#pragma once

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "../../src/half.h"
#include "case.h"
#include "fenced.h"

namespace batchnorm::test {

// All of them are sealed: a call that writes to one stops the process.
template <class Value>
struct Inputs {
  using Real = batchnorm::Real<Value>;

  Random random;
  Fenced<Value> x;  // [outer, channels, inner], as the next two
  Fenced<Value> grad_output;
  Fenced<Value> other;  // the residual, or what an activation gave
  Fenced<Real> weight;  // [channels], as all that follow
  Fenced<Real> bias;
  Fenced<Real> running_mean;
  Fenced<Real> running_variance;
  Fenced<double> mean;
  Fenced<double> mean_low;
  Fenced<double> spread;  // M2 where moments are merged, elsewhere invstd
  Fenced<double> gradient;
  Fenced<double> product;

  explicit Inputs(const Case& call)
      : random(call.seed),
        x(values(call.extent), call.slack),
        grad_output(values(call.extent), call.slack),
        other(values(call.extent), call.slack),
        weight(call.extent.channels, call.slack),
        bias(call.extent.channels, call.slack),
        running_mean(call.extent.channels, call.slack),
        running_variance(call.extent.channels, call.slack),
        mean(call.extent.channels, call.slack),
        mean_low(call.extent.channels, call.slack),
        spread(call.extent.channels, call.slack),
        gradient(call.extent.channels, call.slack),
        product(call.extent.channels, call.slack) {
    std::size_t index = 0;
    for (auto* array : {&x, &grad_output, &other}) fill(*array, call.data, call, index++);
    for (auto* array : {&weight, &bias, &running_mean, &running_variance}) {
      fill(*array, call.parameters, call, index++);
    }
    for (auto* array : {&mean, &spread, &gradient, &product}) {
      fill(*array, call.parameters, call, index++);
    }
    for (std::size_t c = 0; c < call.extent.channels; ++c) mean_low[c] = mean[c] * 0x1p-54;
    if (call.own_statistics) take_statistics(call);
    // Neither M2 nor invstd is ever negative.
    for (std::size_t c = 0; c < call.extent.channels; ++c) spread[c] = std::fabs(spread[c]);
    seal(x, grad_output, other, weight, bias, running_mean, running_variance, mean, mean_low,
         spread, gradient, product);
  }

 private:
  template <class Number>
  void fill(Fenced<Number>& array, Data data, const Case& call, std::size_t number_of_array) {
    const InputOf<Number> made(array.length(), 0, random, data);
    std::copy(made.data(), made.data() + array.length(), array.data());
    for (const Spot& spot : call.spots) {
      if (spot.array % 11 != number_of_array) continue;
      store(array[spot.index % array.length()], static_cast<batchnorm::Real<Number>>(spot.value));
    }
  }

  void take_statistics(const Case& call) {
    const double count = static_cast<double>(call.extent.outer * call.extent.inner);
    statistics(x.data(), call.extent, {mean.data(), spread.data(), mean_low.data()});
    for (std::size_t c = 0; c < call.extent.channels; ++c) {
      const double variance = spread[c] / count + call.eps;
      spread[c] = variance == 0 ? 0 : 1 / std::sqrt(variance);
    }
  }

  template <class... Arrays>
  static void seal(Arrays&... arrays) {
    (arrays.seal(), ...);
  }
};

}  // namespace batchnorm::test
