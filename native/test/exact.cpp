#include "exact.h"

#ifdef BATCHNORM_TEST_EXACT
#include <algorithm>
#include <cmath>
#include <limits>

#include "bits.h"

namespace batchnorm::test {
namespace {

Quad magnitude(Quad value) { return value < 0 ? -value : value; }

Quad power_of_two(int exponent) {
  Quad result = 1;
  for (int i = 0; i < exponent; ++i) result *= 2;
  for (int i = 0; i > exponent; --i) result /= 2;
  return result;
}

// Newton's steps double the 53 bits of a double's root, which has to be within a double's range.
Quad square_root(Quad value) {
  if (value == 0) return 0;
  Quad scale = 1;
  for (; value > 0x1p500; value *= 0x1p-1000) scale *= 0x1p500;
  for (; value < 0x1p-500; value *= 0x1p1000) scale *= 0x1p-500;
  Quad root = std::sqrt(static_cast<double>(value));
  for (int step = 0; step < 2; ++step) root = (root + value / root) / 2;
  return root * scale;
}

// An error of `promise` times the denominator is promised, and beside it a share of the distance
// between numbers of the type: two of the smallest, and for halves, whose promise that is, 0.51 of
// the distance at the exact value, where `promise`, that of float, is for what is left of terms
// that cancel.
struct Format {
  double promise;
  int fraction;  // digits after the first
  int smallest;  // 2^smallest is the smallest number
  int overflow;  // and there is none from 2^overflow on
  bool half;
};

Format format(float) { return {1e-6, 23, -149, 128, false}; }
Format format(double) { return {1e-14, 52, -1074, 1024, false}; }
Format format(bfloat16) { return {1e-6, 7, -133, 128, true}; }
Format format(float16) { return {1e-6, 10, -24, 16, true}; }

template <class Value>
class Judge {
 public:
  void add(double& share, Value result, Quad exact, Quad denominator) const {
    const auto actual = number(result);
    // Infinity is the first number that is too large, on both sides.
    const Quad error =
        magnitude((std::isinf(actual) ? (actual < 0 ? -limit_ : limit_) : Quad(actual)) -
                  std::clamp(exact, -limit_, limit_));
    const Quad allowed = format_.promise * denominator + slack(exact);
    const double here = error == 0 ? 0 : static_cast<double>(error / allowed);
    if (here > share) share = here;
    if (std::isnan(actual)) share = std::numeric_limits<double>::infinity();
  }

 private:
  const Format format_ = format(Value{});
  const Quad limit_ = power_of_two(format_.overflow);
  const Quad smallest_ = power_of_two(format_.smallest);

  Quad slack(Quad exact) const {
    if (!format_.half) return smallest_ * 2;  // subnormal results have been rounded more than once
    int exponent;
    std::frexp(static_cast<double>(magnitude(exact)), &exponent);
    const Quad ulp = exact == 0 ? smallest_ : power_of_two(exponent - 1 - format_.fraction);
    return std::max(ulp, smallest_) * Quad(51) / 100;
  }
};

struct Channel {
  std::vector<std::size_t> indices;
  Quad mean = 0;
  Quad squares = 0;
  Quad invstd = 0;
  Quad gradient = 0;  // the sum, as is product, of gradients times xhat
  Quad product = 0;
  // Sums of absolute values of these terms, and of the same with gradients less their mean.
  Quad of_gradient = 0;
  Quad of_product = 0;
  Quad of_centred_gradient = 0;
  Quad of_centred_product = 0;
};

template <class Value>
Channel exact_channel(const Problem<Value>& problem, std::size_t c) {
  const auto [outer, channels, inner] = problem.extent;
  Channel e;
  for (std::size_t o = 0; o < outer; ++o) {
    for (std::size_t i = 0; i < inner; ++i) e.indices.push_back((o * channels + c) * inner + i);
  }
  const Quad n = static_cast<double>(e.indices.size());
  const auto x = [&](std::size_t i) { return Quad(number(problem.x[i])); };
  const auto g = [&](std::size_t i) { return Quad(number(problem.grad_output[i])); };
  for (const std::size_t i : e.indices) e.mean += x(i);
  e.mean /= n;
  // What the sum lost where it was much larger than the deviations are.
  Quad rest = 0;
  for (const std::size_t i : e.indices) rest += x(i) - e.mean;
  e.mean += rest / n;
  for (const std::size_t i : e.indices) e.squares += (x(i) - e.mean) * (x(i) - e.mean);
  const Quad variance = e.squares / n + problem.eps;
  e.invstd = variance == 0 ? Quad(0) : 1 / square_root(variance);
  for (const std::size_t i : e.indices) e.gradient += g(i);
  for (const std::size_t i : e.indices) {
    const Quad xhat = (x(i) - e.mean) * e.invstd;
    const Quad centred = magnitude(g(i) - e.gradient / n);
    e.product += g(i) * xhat;
    e.of_gradient += magnitude(g(i));
    e.of_product += magnitude(g(i) * xhat);
    e.of_centred_gradient += centred;
    e.of_centred_product += centred * magnitude(xhat);
  }
  return e;
}

}  // namespace

template <class Value>
Shares judge(const Problem<Value>& problem, const Step<Value>& step) {
  using Real = batchnorm::Real<Value>;
  const Judge<Value> values;
  const Judge<Real> reals;
  const Quad unit = power_of_two(-format(Real{}).fraction - 1);
  const Quad promise = format(Real{}).promise;
  Shares shares;
  for (std::size_t c = 0; c < problem.extent.channels; ++c) {
    const Channel e = exact_channel(problem, c);
    const Quad n = static_cast<double>(e.indices.size());
    const Quad weight = problem.weight[c], bias = problem.bias[c];
    const Quad scale = weight * e.invstd;
    const Quad mean_gradient = e.gradient / n;
    for (const std::size_t i : e.indices) {
      const Quad xhat = (Quad(number(problem.x[i])) - e.mean) * e.invstd;
      const Quad of_xhat = magnitude(xhat);
      values.add(shares.y, step.y[i], xhat * weight + bias,
                 std::max(magnitude(weight) * std::max(Quad(1), of_xhat), magnitude(bias)));

      // With gradients, and with gradients less their mean: an offset costs no digits. Of the mean
      // itself float64's precision squared is left, 2^-106 in an error of float64.
      const Quad g = number(problem.grad_output[i]);
      const Quad centred = g - mean_gradient;
      const Quad plain = magnitude(g) + e.of_gradient / n + of_xhat * e.of_product / n;
      const Quad without_mean =
          magnitude(centred) + e.of_centred_gradient / n + of_xhat * e.of_centred_product / n;
      values.add(
          shares.grad_input, step.grad_input[i], scale * (centred - xhat * e.product / n),
          magnitude(scale) * (std::min(plain, without_mean) + magnitude(mean_gradient) * 0x1p-60));
    }
    reals.add(shares.grad_weight, step.grad_weight[c], e.product, e.of_product);
    reals.add(shares.grad_bias, step.grad_bias[c], e.gradient, e.of_gradient);
    // Within a standard deviation, beside its rounding to the type.
    reals.add(shares.running_mean, step.running_mean[c], e.mean,
              square_root(e.squares / n) + magnitude(e.mean) * unit / promise * 102 / 100);
    reals.add(shares.running_variance, step.running_variance[c], e.squares / (n - 1),
              e.squares / (n - 1));
  }
  return shares;
}

template Shares judge(const Problem<float>&, const Step<float>&);
template Shares judge(const Problem<double>&, const Step<double>&);
template Shares judge(const Problem<bfloat16>&, const Step<bfloat16>&);
template Shares judge(const Problem<float16>&, const Step<float16>&);

}  // namespace batchnorm::test
#endif
