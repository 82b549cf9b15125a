// Every instruction set and thread count gives the bits of the scalar kernels on one thread.
#include <doctest.h>

#include <vector>

#include "../src/order.h"
#include "answers.h"
#include "bits.h"
#include "configurations.h"
#include "guarded.h"

namespace batchnorm::test {
namespace {

// The widest vector of all instruction sets.
constexpr std::size_t widest = 16;

// A batch of fewer values is not shared out, so how many threads there are changes nothing.
constexpr std::size_t surely_alone = 64 * 1024;

template <class Value>
Answers scalar_answers(const BatchOf<Value>& batch) {
  const Restored restored;
  REQUIRE(use_instruction_set("scalar"));
  set_threads(1);
  return answers(batch);
}

// With every count of threads, or with one.
template <class Value>
void check_configurations(Recipe recipe, std::size_t offset, bool every_count) {
  const BatchOf<Value> batch(recipe, offset);
  const Extent& extent = recipe.extent;
  INFO("(", extent.outer, ", ", extent.channels, ", ", extent.inner, "), seed ", recipe.seed,
       ", values of ", sizeof(Value), " bytes, ", offset, " from a cache line's begin");
  const Answers expected = scalar_answers(batch);
  const auto check = [&] { check_equal(answers(batch), expected); };
  if (every_count) return for_each_configuration(check);
  const Restored restored;
  set_threads(1 + recipe.seed % 4);
  for_each_instruction_set(check);
}

// Plain data in arrays that start at a cache line, and some NaN, Inf, huge and tiny numbers in
// arrays that start elsewhere; as floats, and as values of another type.
void check_every_configuration(Extent extent, std::uint32_t seed) {
  const std::size_t offset = 1 + seed % (widest - 1);
  const Data spoilt{1, 0, 1000};
  check_configurations<float>({extent, {}, seed}, 0, values(extent) >= surely_alone);
  check_configurations<float>({extent, spoilt, seed}, offset, false);
  switch (seed % 3) {
    case 0:
      check_configurations<double>({extent, spoilt, seed}, offset, false);
      break;
    case 1:
      check_configurations<bfloat16>({extent, spoilt, seed}, offset, false);
      break;
    case 2:
      check_configurations<float16>({extent, spoilt, seed}, offset, false);
      break;
  }
}

}  // namespace

TEST_CASE("channels up to two vectors, every count: the bits of the scalar kernels") {
  for (std::size_t channels = 1; channels <= 2 * widest + 1; ++channels) {
    check_every_configuration({7, channels, 1}, 1 + channels);
    check_every_configuration({3, 3, channels}, 100 + channels);
  }
}

TEST_CASE("around the boundaries of rows, chunks and segments: the bits of the scalar kernels") {
  std::uint32_t seed = 1;
  for (const auto& [channels, inner] : {std::pair{1, 1}, {3, 1}, {65, 1}, {2, 9}, {1, 63}}) {
    const Extent extent{1, static_cast<std::size_t>(channels), static_cast<std::size_t>(inner)};
    const Order order = order_of(extent);
    const std::size_t segment = chunks_per_segment * order.samples_per_chunk;
    for (const std::size_t samples :
         {order.samples_per_row, most_pivot_rows * order.samples_per_row, order.samples_per_chunk,
          segment}) {
      for (const std::size_t outer : {samples - 1, samples, samples + 1}) {
        if (outer * extent.inner >= 2)
          check_every_configuration({outer, extent.channels, extent.inner}, ++seed);
      }
    }
  }
  for (const std::size_t part :
       {shortest_run, run_part, 2 * run_part, chunks_per_segment * run_part}) {
    for (const std::size_t inner : {part - 1, part, part + 1}) {
      check_every_configuration({2, 1, inner}, ++seed);
    }
  }
}

TEST_CASE(
    "batches that threads share out, and caches do not hold: the bits of the scalar kernels on "
    "one") {
  std::uint32_t seed = 1;
  for (const Extent extent : {Extent{2, 33001, 1}, Extent{66001, 1, 1}, Extent{2100, 33, 1},
                              Extent{1, 2, 33001}, Extent{33, 2051, 1}, Extent{129, 8, 65},
                              Extent{300, 2051, 1}, Extent{70001, 9, 1}, Extent{9, 70, 1001}}) {
    check_every_configuration(extent, ++seed);
  }
}

TEST_CASE("in place: the bits of another output") {
  for (const Extent extent : {Extent{70, 19, 1}, Extent{9, 3, 7}, Extent{3, 2, 131}}) {
    const Batch batch({extent, {}, 7}, 3);
    const std::size_t channels = extent.channels;
    const std::size_t length = values(extent);
    std::vector<double> mean(channels), invstd(channels), m2(channels);
    const Affine<float> affine{batch.weight.data(), batch.bias.data()};
    for_each_configuration([&] {
      Guarded<float> apart(length);
      Guarded<float> x(batch.x.data(), length, 1);
      const ForwardSettings settings{1e-5, 0, NonFinite::propagate};
      forward(batch.x.data(), extent, settings, affine, {}, {mean.data(), m2.data()}, invstd.data(),
              apart.data());
      forward(x.data(), extent, settings, affine, {}, {mean.data(), m2.data()}, invstd.data(),
              x.data());
      CHECK(same_bits(x.data(), apart.data(), length));
      CHECK(x.intact());

      const Statistics statistics{mean.data(), invstd.data()};
      for (const bool training : {true, false}) {
        Guarded<float> over_gradient(batch.grad_output.data(), length, 2);
        Guarded<float> over_x(batch.x.data(), length, 3);
        backward(batch.grad_output.data(), batch.x.data(), extent, statistics, affine.weight,
                 training, {apart.data(), nullptr, nullptr});
        backward(over_gradient.data(), batch.x.data(), extent, statistics, affine.weight, training,
                 {over_gradient.data(), nullptr, nullptr});
        backward(batch.grad_output.data(), over_x.data(), extent, statistics, affine.weight,
                 training, {over_x.data(), nullptr, nullptr});
        CHECK(same_bits(over_gradient.data(), apart.data(), length));
        CHECK(same_bits(over_x.data(), apart.data(), length));
        CHECK(over_gradient.intact());
        CHECK(over_x.intact());
      }
    });
  }
}

TEST_CASE(
    "results too large for the caches: the bits of those in place, which take no way around") {
  for (const Extent extent : {Extent{130001, 65, 1}, Extent{7, 3, 400009}}) {
    const std::size_t length = values(extent);
    REQUIRE(length * sizeof(float) > 32 * 1024 * 1024);
    const Batch batch({extent, {}, 9}, 1);
    const std::vector<double> mean(extent.channels, 0.25), invstd(extent.channels, 1.5);
    const Statistics statistics{mean.data(), invstd.data()};
    const Affine<float> affine{batch.weight.data(), batch.bias.data()};
    const Restored restored;
    set_threads(2);
    for_each_instruction_set([&] {
      Guarded<float> apart(length, 3);
      Guarded<float> in_place(batch.x.data(), length, 0);
      normalize(batch.x.data(), extent, statistics, affine, apart.data());
      normalize(in_place.data(), extent, statistics, affine, in_place.data());
      CHECK(same_bits(apart.data(), in_place.data(), length));
      for (const bool training : {true, false}) {
        in_place = Guarded<float>(batch.grad_output.data(), length, 0);
        backward(batch.grad_output.data(), batch.x.data(), extent, statistics, affine.weight,
                 training, {apart.data(), nullptr, nullptr});
        backward(in_place.data(), batch.x.data(), extent, statistics, affine.weight, training,
                 {in_place.data(), nullptr, nullptr});
        CHECK(same_bits(apart.data(), in_place.data(), length));
      }
      CHECK(apart.intact());
      CHECK(in_place.intact());
    });
  }
}

TEST_CASE("a gradient does not depend on which others are wanted") {
  const Extent extent{130, 5, 3};
  const Batch batch({extent, {}, 11});
  const std::vector<double> mean(5, 0.25), invstd(5, 1.5);
  const auto gradients = [&](bool training, unsigned wanted, Guarded<float>& input,
                             Guarded<float>& weight, Guarded<float>& bias) {
    backward(batch.grad_output.data(), batch.x.data(), extent, {mean.data(), invstd.data()},
             batch.weight.data(), training,
             {wanted & 1 ? input.data() : nullptr, wanted & 2 ? weight.data() : nullptr,
              wanted & 4 ? bias.data() : nullptr});
  };
  for_each_instruction_set([&] {
    for (const bool training : {true, false}) {
      Guarded<float> all[] = {Guarded<float>(values(extent)), Guarded<float>(5), Guarded<float>(5)};
      gradients(training, 7, all[0], all[1], all[2]);
      for (unsigned wanted = 0; wanted < 7; ++wanted) {
        Guarded<float> some[] = {Guarded<float>(values(extent)), Guarded<float>(5),
                                 Guarded<float>(5)};
        gradients(training, wanted, some[0], some[1], some[2]);
        for (unsigned i = 0; i < 3; ++i) {
          if (wanted >> i & 1) {
            CHECK(same_bits(some[i].data(), all[i].data(), all[i].length()));
          } else {
            CHECK(some[i].untouched());
          }
        }
      }
    }
  });
}

}  // namespace batchnorm::test
