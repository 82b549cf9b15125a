#include "answers.h"

#include <doctest.h>

#include <cmath>
#include <vector>

#include "bits.h"
#include "guarded.h"

namespace batchnorm::test {
namespace {

constexpr double eps = 1e-5;
constexpr double momentum = 0.1;

// Outputs of the size of x are aligned with it where it starts at a cache line, and otherwise not.
std::size_t output_offset(const Batch& batch) { return 5 * batch.offset % 16; }

template <class... Arrays>
std::uint64_t hash(const Arrays&... arrays) {
  CHECK((arrays.intact() && ...));
  Hash hash;
  (hash.add(arrays.data(), arrays.length()), ...);
  return hash.value();
}

struct MomentArrays {
  Guarded<double> mean;
  Guarded<double> m2;

  explicit MomentArrays(std::size_t channels) : mean(channels), m2(channels) {}
  operator Moments() { return {mean.data(), m2.data()}; }
  operator ConstMoments() const { return {mean.data(), m2.data()}; }
};

std::uint64_t statistics_answer(const Batch& batch) {
  MomentArrays moments(batch.extent.channels);
  statistics(batch.x.data(), batch.extent, moments);
  return hash(moments.mean, moments.m2);
}

// The batch, and 17 values a channel with other moments.
std::uint64_t merge_answer(const Batch& batch) {
  const std::size_t channels = batch.extent.channels;
  MomentArrays into(channels);
  MomentArrays from(channels);
  statistics(batch.x.data(), batch.extent, into);
  for (std::size_t c = 0; c < channels; ++c) {
    from.mean.data()[c] = batch.running_mean[c];
    from.m2.data()[c] = batch.running_variance[c];
  }
  merge(channels, count(batch.extent), into, 17, from);
  return hash(into.mean, into.m2, from.mean, from.m2);
}

std::uint64_t forward_answer(const Batch& batch) {
  const auto [extent, offset] = std::pair(batch.extent, batch.offset);
  const std::size_t channels = extent.channels;
  MomentArrays moments(channels);
  Guarded<double> invstd(channels);
  Guarded<float> running_mean(batch.running_mean.data(), channels, offset);
  Guarded<float> running_variance(batch.running_variance.data(), channels, offset);
  Guarded<float> y(values(extent), output_offset(batch));
  forward(batch.x.data(), extent, {eps, momentum, NonFinite::propagate},
          {batch.weight.data(), batch.bias.data()}, {running_mean.data(), running_variance.data()},
          moments, invstd.data(), y.data());
  return hash(moments.mean, moments.m2, invstd, running_mean, running_variance, y);
}

std::uint64_t normalize_answer(const Batch& batch) {
  const std::size_t channels = batch.extent.channels;
  Guarded<double> mean(channels);
  Guarded<double> invstd(channels);
  Guarded<float> y(values(batch.extent), output_offset(batch));
  eval_statistics(channels, batch.running_mean.data(), batch.running_variance.data(), eps,
                  mean.data(), invstd.data());
  normalize(batch.x.data(), batch.extent, {mean.data(), invstd.data()},
            {batch.weight.data(), nullptr}, y.data());
  return hash(mean, invstd, y);
}

// With the batch's own statistics when training, and those of the running buffers when not.
std::uint64_t backward_answer(const Batch& batch, bool training) {
  const std::size_t channels = batch.extent.channels;
  Guarded<double> mean(channels);
  Guarded<double> invstd(channels);
  if (training) {
    std::vector<double> m2(channels);
    statistics(batch.x.data(), batch.extent, {mean.data(), m2.data()});
    for (std::size_t c = 0; c < channels; ++c) {
      invstd.data()[c] = 1 / std::sqrt(m2[c] / count(batch.extent) + eps);
    }
  } else {
    eval_statistics(channels, batch.running_mean.data(), batch.running_variance.data(), eps,
                    mean.data(), invstd.data());
  }
  Guarded<float> input(values(batch.extent), output_offset(batch));
  Guarded<float> weight(channels, batch.offset);
  Guarded<float> bias(channels, batch.offset);
  backward(batch.grad_output.data(), batch.x.data(), batch.extent, {mean.data(), invstd.data()},
           training ? batch.weight.data() : nullptr, training,
           {input.data(), weight.data(), bias.data()});
  return hash(input, weight, bias);
}

}  // namespace

Answers answers(const Batch& batch) {
  return {statistics_answer(batch), merge_answer(batch),          forward_answer(batch),
          normalize_answer(batch),  backward_answer(batch, true), backward_answer(batch, false)};
}

void check_equal(const Answers& actual, const Answers& expected) {
  for (std::size_t i = 0; i < operations; ++i) {
    INFO(operation_names[i]);
    CHECK(actual[i] == expected[i]);
  }
}

}  // namespace batchnorm::test
