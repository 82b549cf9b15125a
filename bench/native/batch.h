// The arrays of one shape and the operations of batchnorm.h on them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "batchnorm/batchnorm.h"
#include "memory.h"

namespace bench {

// The bits of a half that is near `number`.
inline std::uint16_t half(float number, int bias, int fraction_bits) {
  int exponent;
  const float fraction = std::frexp(std::fabs(number), &exponent);
  if (exponent < 1 - bias + 1) return 0;
  const int digits = static_cast<int>(fraction * static_cast<float>(2 << fraction_bits));
  const int bits = ((exponent - 2 + bias) << fraction_bits) + digits;
  return static_cast<std::uint16_t>(bits | (number < 0 ? 0x8000 : 0));
}

// A number as a value; of halves, one of small magnitude.
inline void set(float& to, float number) { to = number; }
inline void set(double& to, float number) { to = number; }
inline void set(batchnorm::bfloat16& to, float number) { to.bits = half(number, 127, 7); }
inline void set(batchnorm::float16& to, float number) { to.bits = half(number, 15, 10); }

template <class Value>
class Batch {
 public:
  explicit Batch(batchnorm::Extent extent)
      : extent_(extent),
        x_(values(extent)),
        grad_output_(x_.size()),
        residual_(x_.size()),
        y_(x_.size()),
        weight_(extent.channels, 1.5f),
        bias_(extent.channels, 0.5f),
        running_mean_(extent.channels),
        running_variance_(extent.channels, 1.0f),
        grad_weight_(extent.channels),
        grad_bias_(extent.channels),
        mean_(extent.channels),
        m2_(extent.channels),
        lost_(extent.channels),
        invstd_(extent.channels, 1.0),
        sum_(extent.channels),
        product_(extent.channels) {
    std::minstd_rand random;
    for (const Array<Value>* array : {&x_, &grad_output_, &residual_, &y_}) fill(*array, random);
  }

  std::size_t bytes() const { return x_.size() * sizeof(Value); }
  const void* x() const { return x_.data(); }
  const void* grad_output() const { return grad_output_.data(); }
  void* y() const { return y_.data(); }

  void statistics() { batchnorm::statistics(x_.data(), extent_, moments()); }
  void gradient_sums() {
    batchnorm::gradient_sums(grad_output_.data(), x_.data(), extent_, saved(),
                             {sum_.data(), product_.data()});
  }
  void forward() { forward({}); }
  void forward_relu() { forward({relu, nullptr}); }
  void forward_residual_relu() { forward({relu, residual_.data()}); }
  void backward() { backward(true); }
  void backward_eval() { backward(false); }
  void eval() {
    batchnorm::eval_statistics(extent_.channels, running_mean_.data(), running_variance_.data(),
                               1e-5, mean_.data(), invstd_.data());
    batchnorm::normalize(x_.data(), extent_, saved(), affine(), y_.data());
  }

 private:
  using Real = batchnorm::Real<Value>;

  // A prime number of values, again and again, so that no two rows of a chunk are alike.
  static void fill(const Array<Value>& array, std::minstd_rand& random) {
    constexpr std::size_t period = 65521;
    std::uniform_real_distribution<float> value(-2, 3);
    for (std::size_t index = 0; index < std::min(period, array.size()); ++index) {
      set(array.data()[index], value(random));
    }
    for (std::size_t index = period; index < array.size(); ++index) {
      array.data()[index] = array.data()[index - period];
    }
  }

  static constexpr batchnorm::Activation relu{batchnorm::ActivationName::relu};

  batchnorm::Moments moments() { return {mean_.data(), m2_.data(), lost_.data()}; }
  batchnorm::Statistics saved() const { return {mean_.data(), invstd_.data(), lost_.data()}; }
  batchnorm::Affine<Real> affine() const { return {weight_.data(), bias_.data()}; }

  void forward(batchnorm::Epilogue<Value> epilogue) {
    batchnorm::forward(x_.data(), extent_, {1e-5, 0.1, batchnorm::NonFinite::propagate}, affine(),
                       {running_mean_.data(), running_variance_.data()}, moments(), invstd_.data(),
                       y_.data(), epilogue);
  }
  void backward(bool training) {
    batchnorm::backward(grad_output_.data(), x_.data(), extent_, saved(), weight_.data(), training,
                        {y_.data(), grad_weight_.data(), grad_bias_.data()});
  }

  batchnorm::Extent extent_;
  Array<Value> x_, grad_output_, residual_, y_;
  std::vector<Real> weight_, bias_, running_mean_, running_variance_, grad_weight_, grad_bias_;
  std::vector<double> mean_, m2_, lost_, invstd_, sum_, product_;
};

}  // namespace bench
