// The promise of accuracy: whatever the input, every result is within its bound of an exact
// evaluation. docs/accuracy.md states it; test/accuracy.test.ts holds the public face to it, with
// more recipes.
#include <doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "batch.h"
#include "bits.h"
#include "configurations.h"
#include "exact.h"

namespace batchnorm::test {

#ifndef BATCHNORM_TEST_EXACT
TEST_CASE("every result is within the promise of an exact evaluation") {
  MESSAGE("NOT TESTED: this compiler has no numbers of 113 bits");
}
#else
namespace {

class Normal {
 public:
  explicit Normal(std::uint32_t seed) : random_(seed) {}
  double uniform() { return random_.uniform(); }
  // By the method of Box and Muller.
  double operator()() {
    const double radius = std::sqrt(-2 * std::log((1 + random_.uniform()) / 2 + 0x1p-33));
    return radius * std::cos(3.14159265358979323846 * random_.uniform());
  }

 private:
  Random random_;
};

struct Place {
  std::size_t row;
  std::size_t rows;
  std::size_t channel;
};

using Draw = double (*)(Normal&, Place);

double normal(Normal& draw, Place) { return draw(); }
double no_bias(std::size_t) { return 0; }
double one(std::size_t) { return 1; }

// Types that a recipe makes sense for.
enum : unsigned {
  singles = 1,
  doubles = 2,
  halves = 4,  // of either kind
};

struct Case {
  const char* name;
  unsigned types;
  Draw x;
  Draw grad_output = normal;
  double eps = 1e-5;
  std::size_t rows = 700;
  double (*weight)(std::size_t channel) = one;
  double (*bias)(std::size_t channel) = no_bias;
};

constexpr unsigned floats = singles | doubles;
constexpr unsigned all = floats | halves;

// clang-format off
const Case cases[] = {
    {"N(0, 1)", all, normal},
    {"offset 1e4, std 1e-2", floats, [](Normal& draw, Place) { return 1e4 + 1e-2 * draw(); }},
    {"offset 1e6", floats, [](Normal& draw, Place) { return 1e6 + draw(); }},
    {"offset 1e15", doubles, [](Normal& draw, Place) { return 1e15 + draw(); }},
    {"scale 1e30", floats, [](Normal& draw, Place) { return 1e30 * draw(); }},
    {"scale 1e200", doubles, [](Normal& draw, Place) { return 1e200 * draw(); }},
    {"scale 1e-200, eps 0", doubles, [](Normal& draw, Place) { return 1e-200 * draw(); }, normal, 0},
    {"std 1e-39, eps 0", floats, [](Normal& draw, Place) { return 1e-39 * draw(); }, normal, 0},
    {"every 8th row 1.0032050609588623", all,
     [](Normal&, Place at) { return at.row % 8 == 0 ? 1.0032050609588623 : 0; }, normal, 1e-5, 64},
    {"1.7127060890197754 in blocks of 64", all,
     [](Normal&, Place at) { return at.row / 64 % 15 == 0 ? 1.7127060890197754 : 0; }, normal, 1e-5, 8128},
    {"every 8th row of another class", all,
     [](Normal& draw, Place at) { return 1 + std::fmod(at.row % 8 * 0.618 + 0.1 * at.channel, 1) + 0.1 * draw(); }},
    {"+-1e-30, eps 0", floats, [](Normal&, Place at) { return at.row % 2 ? 1e-30 : -1e-30; }, normal, 0, 2},
    {"1e-30 N(0, 1), eps 0", floats, [](Normal& draw, Place) { return 1e-30 * draw(); }, normal, 0, 4},
    {"-3e38 four times, 3e38", floats, [](Normal&, Place at) { return at.row % 5 == 4 ? 3e38 : -3e38; }, normal, 1e-5, 5},
    {"U(+-1.7e308)", doubles, [](Normal& draw, Place) { return 1.7e308 * draw.uniform(); }},
    {"sorted", all, [](Normal&, Place at) { return 100 + static_cast<double>(at.row) / at.rows; }},
    {"first row 1e30", floats, [](Normal& draw, Place at) { return at.row == 0 ? 1e30 : draw(); }},
    {"each 64 rows at another level", floats,
     [](Normal& draw, Place at) { return 1e3 * std::sin(1.0 + at.row / 64) + 1e-2 * draw(); }},
    {"all 1.5, one 1.5 + 2^-23, eps 0", floats,
     [](Normal&, Place at) { return at.row == at.rows / 2 ? 1.5 + 0x1p-23 : 1.5; }, normal, 0, 20000},
    {"constant 0.1, eps 0", all, [](Normal&, Place) { return 0.1; }, normal, 0},
    {"constant 3e38, eps 0", floats, [](Normal&, Place) { return 3e38; }, normal, 0},
    {"constant 1e-40", floats, [](Normal&, Place) { return 1e-40; }},
    {"weight 1e6, bias -1e6", floats, normal, normal, 1e-5, 700,
     [](std::size_t) { return 1e6; }, [](std::size_t) { return -1e6; }},
    {"weight 1e-41", floats, normal, normal, 1e-5, 700, [](std::size_t) { return 1e-41; }},
    {"weight +-1e38, bias 3e38", floats, [](Normal& draw, Place) { return 5 + draw(); }, normal, 1e-5, 700,
     [](std::size_t c) { return c % 2 ? 1e38 : -1e38; }, [](std::size_t) { return 3e38; }},
    {"weight * invstd beyond 3.4e38", floats, [](Normal& draw, Place) { return 1e-20 * draw(); },
     [](Normal& draw, Place) { return 1e-20 * draw(); }, 0, 700, [](std::size_t) { return 1e30; }},
    {"gradients 3e38 twice, -3e38 twice", floats, normal,
     [](Normal&, Place at) { return at.row % 4 < 2 ? 3e38 : -3e38; }, 1e-5, 4},
    {"gradients 1e38", floats, normal, [](Normal&, Place) { return 1e38; }},
    {"gradients U(+-1e38)", floats, normal, [](Normal& draw, Place) { return 1e38 * draw.uniform(); }},
    {"gradients 1e-42 N(0, 1)", floats, normal, [](Normal& draw, Place) { return 1e-42 * draw(); }},
    {"gradients 0.1", all, normal, [](Normal&, Place) { return 0.1; }},
    {"gradients 1e4 + N(0, 1)", floats, normal, [](Normal& draw, Place) { return 1e4 + draw(); }},
    {"gradients 1e4 + 0.01 N(0, 1)", floats, normal, [](Normal& draw, Place) { return 1e4 + 0.01 * draw(); }},
    {"a gradient in one row", all, [](Normal& draw, Place) { return 5 + draw(); },
     [](Normal&, Place at) { return at.row == at.rows / 2 ? 1.0 : 0; }},
};
// clang-format on

void store(double from, float& to) { to = static_cast<float>(from); }
void store(double from, double& to) { to = from; }
// Cut off, not rounded: any number of the type will do.
void store(double from, bfloat16& to) {
  const float value = static_cast<float>(from);
  std::uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  to.bits = static_cast<std::uint16_t>(word >> 16);
}
void store(double from, float16& to) {
  int exponent;
  const double fraction = std::frexp(std::fabs(from), &exponent);
  const unsigned sign = from < 0 ? 0x8000 : 0;
  // Below the normal numbers of float16: 0.
  const unsigned magnitude =
      exponent < -13 ? 0 : (exponent + 13) * 1024 + static_cast<unsigned>(fraction * 2048);
  to.bits = static_cast<std::uint16_t>(sign | magnitude);
}

// `positions` of the rows make one sample.
template <class Value>
Problem<Value> problem_of(const Case& from, std::size_t positions) {
  const std::size_t outer = (from.rows + positions - 1) / positions;
  // As many as make a row of the order of additions where there are few rows.
  const std::size_t channels = from.rows <= 64 ? 64 : 3;
  Problem<Value> problem;
  problem.extent = {outer, channels, positions};
  problem.eps = from.eps;
  problem.x.resize(values(problem.extent));
  problem.grad_output.resize(problem.x.size());
  problem.weight.resize(channels);
  problem.bias.resize(channels);
  Normal draw(1);
  for (std::size_t c = 0; c < channels; ++c) {
    store(from.weight(c), problem.weight[c]);
    store(from.bias(c), problem.bias[c]);
    for (std::size_t row = 0; row < outer * positions; ++row) {
      const std::size_t index = (row / positions * channels + c) * positions + row % positions;
      const Place place{row, outer * positions, c};
      store(from.x(draw, place), problem.x[index]);
      store(from.grad_output(draw, place), problem.grad_output[index]);
    }
  }
  return problem;
}

template <class Value>
Step<Value> train(const Problem<Value>& problem) {
  const std::size_t channels = problem.extent.channels;
  Step<Value> step;
  step.y.resize(problem.x.size());
  step.grad_input.resize(problem.x.size());
  for (auto* each :
       {&step.grad_weight, &step.grad_bias, &step.running_mean, &step.running_variance}) {
    each->resize(channels);
  }
  std::vector<double> mean(channels), m2(channels), mean_low(channels), invstd(channels);
  forward<Value>(problem.x.data(), problem.extent, {problem.eps, 1, NonFinite::propagate},
                 {problem.weight.data(), problem.bias.data()},
                 {step.running_mean.data(), step.running_variance.data()},
                 {mean.data(), m2.data(), mean_low.data()}, invstd.data(), step.y.data());
  backward<Value>(problem.grad_output.data(), problem.x.data(), problem.extent,
                  {mean.data(), invstd.data(), mean_low.data()}, problem.weight.data(), true,
                  {step.grad_input.data(), step.grad_weight.data(), step.grad_bias.data()});
  return step;
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && same_bits(a.data(), b.data(), a.size());
}

// One instruction set after another gives the same bits, which are judged once.
template <class Value>
void check(const char* type, const Case& from, std::size_t positions) {
  INFO(std::string(from.name), ", ", std::string(type), ", samples of ", positions);
  const Problem<Value> problem = problem_of<Value>(from, positions);
  Step<Value> judged;
  for_each_instruction_set([&] {
    const Step<Value> step = train(problem);
    if (same(step.y, judged.y) && same(step.grad_input, judged.grad_input) &&
        same(step.grad_weight, judged.grad_weight) && same(step.grad_bias, judged.grad_bias) &&
        same(step.running_mean, judged.running_mean) &&
        same(step.running_variance, judged.running_variance)) {
      return;
    }
    judged = step;
    const Shares shares = judge(problem, step);
    CHECK(shares.y <= 1);
    CHECK(shares.grad_input <= 1);
    CHECK(shares.grad_weight <= 1);
    CHECK(shares.grad_bias <= 1);
    CHECK(shares.running_mean <= 1);
    CHECK(shares.running_variance <= 1);
  });
}

}  // namespace

TEST_CASE("every result is within the promise of an exact evaluation") {
  for (const Case& each : cases) {
    for (const std::size_t positions :
         {std::size_t{1}, std::size_t{16}, std::size_t{64}, each.rows}) {
      if (each.types & singles) check<float>("float", each, positions);
      if (each.types & doubles) check<double>("double", each, positions);
      if (each.types & halves) check<bfloat16>("bfloat16", each, positions);
      if (each.types & halves) check<float16>("float16", each, positions);
    }
  }
}
#endif

TEST_CASE(
    "a constant channel is normalized to its bias, to the bit, and with eps 0 nothing flows back") {
  const Extent extent{130, 3, 65};
  const std::size_t length = values(extent);
  const std::vector<float> weight{1, -2e3f, 3e38f}, bias{0.1f, 3e38f, 1e-40f};
  std::vector<float> gradients(length);
  for (std::size_t i = 0; i < length; ++i) gradients[i] = static_cast<float>(i % 7) - 2;
  for (const float constant : {0.1f, 1e8f, -3e38f, 1e-44f, 0.0f}) {
    const std::vector<float> x(length, constant);
    for_each_instruction_set([&] {
      for (const double eps : {0.0, 1e-5}) {
        std::vector<double> mean(3), m2(3), mean_low(3), invstd(3);
        std::vector<float> y(length), grad_input(length), grad_weight(3), grad_bias(3);
        forward(x.data(), extent, {eps, 0, NonFinite::propagate}, {weight.data(), bias.data()}, {},
                {mean.data(), m2.data(), mean_low.data()}, invstd.data(), y.data());
        backward(gradients.data(), x.data(), extent, {mean.data(), invstd.data(), mean_low.data()},
                 weight.data(), true, {grad_input.data(), grad_weight.data(), grad_bias.data()});
        for (std::size_t c = 0; c < 3; ++c) {
          INFO(constant, ", eps ", eps, ", channel ", c);
          CHECK(mean[c] == constant);
          CHECK(m2[c] == 0);
          CHECK(y[c * 65] == bias[c]);
          CHECK(grad_weight[c] == 0);
          if (eps == 0) {
            CHECK(invstd[c] == 0);
            CHECK(grad_input[c * 65] == 0);
          }
        }
      }
    });
  }
}

}  // namespace batchnorm::test
