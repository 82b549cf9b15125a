#include "answers.h"

#include <doctest.h>

#include <algorithm>
#include <cmath>

#include "bits.h"
#include "guarded.h"

namespace batchnorm::test {
namespace {

constexpr double eps = 1e-5;
constexpr double momentum = 0.1;

// Outputs of the size of x are aligned with it where it starts at a cache line, and otherwise not.
template <class Value>
std::size_t output_offset(const BatchOf<Value>& batch) {
  return 5 * batch.offset % 16;
}

template <class... Arrays>
std::uint64_t hash(const Arrays&... arrays) {
  CHECK((arrays.intact() && ...));
  Hash hash;
  (hash.add(arrays.data(), arrays.length()), ...);
  return hash.value();
}

constexpr Activation relu{ActivationName::relu};
constexpr Activation leaky_relu{ActivationName::leaky_relu, 0.01};

// With what the mean loses.
template <class Value>
struct MomentArrays {
  Guarded<double> mean;
  Guarded<double> m2;
  Guarded<double> mean_low;

  explicit MomentArrays(std::size_t channels) : mean(channels), m2(channels), mean_low(channels) {}
  operator Moments() { return {mean.data(), m2.data(), mean_low.data()}; }
};

template <class Value>
std::uint64_t statistics_answer(const BatchOf<Value>& batch) {
  MomentArrays<Value> moments(batch.extent.channels);
  statistics(batch.x.data(), batch.extent, moments);
  return hash(moments.mean, moments.m2, moments.mean_low);
}

// The batch, and 17 values a channel with other moments.
template <class Value>
std::uint64_t merge_answer(const BatchOf<Value>& batch) {
  const std::size_t channels = batch.extent.channels;
  MomentArrays<Value> into(channels);
  MomentArrays<double> from(channels);
  statistics(batch.x.data(), batch.extent, into);
  for (std::size_t c = 0; c < channels; ++c) {
    from.mean.data()[c] = batch.running_mean[c];
    from.m2.data()[c] = batch.running_variance[c];
    from.mean_low.data()[c] = batch.bias[c] * 0x1p-54;
  }
  merge(channels, count(batch.extent), into, 17, Moments(from));
  return hash(into.mean, into.m2, into.mean_low);
}

template <class Value>
std::uint64_t forward_answer(const BatchOf<Value>& batch, Epilogue<Value> epilogue) {
  const auto [extent, offset] = std::pair(batch.extent, batch.offset);
  const std::size_t channels = extent.channels;
  MomentArrays<Value> moments(channels);
  Guarded<double> invstd(channels);
  Guarded<Real<Value>> running_mean(batch.running_mean.data(), channels, offset);
  Guarded<Real<Value>> running_variance(batch.running_variance.data(), channels, offset);
  Guarded<Value> y(values(extent), output_offset(batch));
  forward(batch.x.data(), extent, {eps, momentum, NonFinite::propagate},
          {batch.weight.data(), batch.bias.data()}, {running_mean.data(), running_variance.data()},
          moments, invstd.data(), y.data(), epilogue);
  return hash(moments.mean, moments.m2, moments.mean_low, invstd, running_mean, running_variance,
              y);
}

template <class Value>
std::uint64_t normalize_answer(const BatchOf<Value>& batch, Epilogue<Value> epilogue) {
  const std::size_t channels = batch.extent.channels;
  Guarded<double> mean(channels);
  Guarded<double> invstd(channels);
  Guarded<Value> y(values(batch.extent), output_offset(batch));
  eval_statistics(channels, batch.running_mean.data(), batch.running_variance.data(), eps,
                  mean.data(), invstd.data());
  normalize(batch.x.data(), batch.extent, {mean.data(), invstd.data()},
            {batch.weight.data(), nullptr}, y.data(), epilogue);
  return hash(mean, invstd, y);
}

// The batch's own statistics when training, and those of the running buffers when not.
template <class Value>
struct StatisticsOf {
  MomentArrays<Value> moments;
  Guarded<double> invstd;

  StatisticsOf(const BatchOf<Value>& batch, bool training)
      : moments(batch.extent.channels), invstd(batch.extent.channels) {
    if (training) {
      statistics(batch.x.data(), batch.extent, moments);
      for (std::size_t c = 0; c < batch.extent.channels; ++c) {
        invstd.data()[c] = 1 / std::sqrt(moments.m2[c] / count(batch.extent) + eps);
      }
    } else {
      eval_statistics(batch.extent.channels, batch.running_mean.data(),
                      batch.running_variance.data(), eps, moments.mean.data(), invstd.data());
      std::fill_n(moments.mean_low.data(), moments.mean_low.length(), 0);
    }
  }
  operator Statistics() { return {moments.mean.data(), invstd.data(), moments.mean_low.data()}; }
};

template <class Value>
std::uint64_t backward_answer(const BatchOf<Value>& batch, bool training, Activation activation) {
  const std::size_t channels = batch.extent.channels;
  const bool activated = activation.name != ActivationName::none;
  StatisticsOf<Value> statistics(batch, training);
  Guarded<Value> input(values(batch.extent), output_offset(batch));
  Guarded<Value> residual(activated ? values(batch.extent) : 0, batch.offset);
  Guarded<Real<Value>> weight(channels, batch.offset);
  Guarded<Real<Value>> bias(channels, batch.offset);
  backward(batch.grad_output.data(), batch.x.data(), batch.extent, statistics,
           training ? batch.weight.data() : nullptr, training,
           {input.data(), weight.data(), bias.data(), activated ? residual.data() : nullptr},
           {activation, batch.residual.data()});
  return hash(input, weight, bias, residual);
}

// With the sums of the batch, taken for those of twice as many values.
template <class Value>
std::uint64_t halves_answer(const BatchOf<Value>& batch) {
  const std::size_t channels = batch.extent.channels;
  const Activated<Value> activated{relu, batch.residual.data()};
  StatisticsOf<Value> statistics(batch, true);
  Guarded<double> gradient(channels);
  Guarded<double> product(channels);
  Guarded<Value> input(values(batch.extent), output_offset(batch));
  Guarded<Value> residual(values(batch.extent), batch.offset);
  gradient_sums(batch.grad_output.data(), batch.x.data(), batch.extent, statistics,
                {gradient.data(), product.data()}, activated);
  input_gradient(batch.grad_output.data(), batch.x.data(), batch.extent, statistics,
                 batch.weight.data(), {gradient.data(), product.data()}, 2 * count(batch.extent),
                 input.data(), activated, residual.data());
  return hash(gradient, product, input, residual);
}

}  // namespace

template <class Value>
Answers answers(const BatchOf<Value>& batch) {
  return {statistics_answer(batch),
          merge_answer(batch),
          forward_answer(batch, {}),
          normalize_answer(batch, {}),
          backward_answer(batch, true, {}),
          backward_answer(batch, false, {}),
          forward_answer(batch, {leaky_relu, batch.residual.data()}),
          normalize_answer(batch, {relu, nullptr}),
          backward_answer(batch, true, relu),
          backward_answer(batch, false, leaky_relu),
          halves_answer(batch)};
}

template Answers answers(const BatchOf<float>&);
template Answers answers(const BatchOf<double>&);
template Answers answers(const BatchOf<bfloat16>&);
template Answers answers(const BatchOf<float16>&);

void check_equal(const Answers& actual, const Answers& expected) {
  for (std::size_t i = 0; i < operations; ++i) {
    INFO(operation_names[i]);
    CHECK(actual[i] == expected[i]);
  }
}

}  // namespace batchnorm::test
