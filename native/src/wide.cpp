#include "wide.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "half.h"

namespace batchnorm {
namespace {

// A sum that keeps what each addition loses (Knuth's TwoSum).
class CompensatedSum {
 public:
  void add(double value) {
    const double sum = sum_ + value;
    const double of_value = sum - sum_;
    low_ += sum_ - (sum - of_value) + (value - of_value);
    sum_ = sum;
  }
  double value() const { return sum_ + low_; }

 private:
  double sum_ = 0;
  double low_ = 0;
};

template <class Visit>
void for_each_index(Extent extent, std::size_t channel, std::size_t begin, std::size_t end,
                    const Visit& visit) {
  assert(channel < extent.channels && end <= extent.outer);
  for (std::size_t sample = begin; sample < end; ++sample) {
    const std::size_t start = (sample * extent.channels + channel) * extent.inner;
    for (std::size_t position = 0; position < extent.inner; ++position) visit(start + position);
  }
}
template <class Visit>
void for_each_index(Extent extent, std::size_t channel, const Visit& visit) {
  for_each_index(extent, channel, 0, extent.outer, visit);
}

// The largest magnitude that `value` gives for the indices of a channel; NaN where there is one.
template <class Number>
double largest_of(Extent extent, std::size_t channel, const Number& value) {
  double largest = 0;
  for_each_index(extent, channel, [&](std::size_t index) {
    const double magnitude = std::fabs(value(index));
    if (!(magnitude <= largest) && largest == largest) largest = magnitude;
  });
  return largest;
}

double count_of(Extent extent) { return static_cast<double>(extent.outer * extent.inner); }

// A channel that holds NaN or Inf has no M2, and the mean that plain addition gives.
template <class Value>
WideMoments non_finite_moments(const Value* x, Extent extent, std::size_t channel) {
  double sum = 0;
  for_each_index(extent, channel, [&](std::size_t index) { sum += number(x[index]); });
  const double none = std::numeric_limits<double>::quiet_NaN();
  return {sum / count_of(extent), 0, none, 1, none};
}

// What values and mean are multiplied with, so that their difference does not overflow.
double unit_of(double mean, double invstd) {
  return std::fabs(mean) > 0x1p900 || invstd < 0x1p-900 ? 0.25 : 1;
}

// What the terms of a sum are multiplied with, so that it does not overflow; small ones would lose
// digits.
double part_of(double one, double other) {
  return std::fabs(one) >= 1 || std::fabs(other) >= 1 ? 0.25 : 1;
}

// value * weight * invstd, in the order in which no product is beyond what the result is.
double scaled(double value, double weight, double invstd) {
  const double scale = std::fabs(weight * invstd);
  const bool fits = scale >= 0x1p-1022 && scale <= std::numeric_limits<double>::max();
  if (fits) return value * (weight * invstd);
  const bool weight_first = std::fabs(weight) < invstd;
  const double smaller = weight_first ? weight : invstd;
  const double larger = weight_first ? invstd : weight;
  return scale < 1 ? value * larger * smaller : value * smaller * larger;
}

template <class Real>
Real activate(Activation activation, Real z) {
  if (activation.name == ActivationName::relu) return z < 0 ? 0 : z;
  if (activation.name == ActivationName::leaky_relu) {
    return z > 0 ? z : z * static_cast<Real>(activation.negative_slope);
  }
  return z;
}

}  // namespace

template <class Value>
WideMoments wide_moments(const Value* x, Extent extent, std::size_t channel) {
  const double count = count_of(extent);
  const double largest =
      largest_of(extent, channel, [&](std::size_t index) { return number(x[index]); });
  if (!std::isfinite(largest)) return non_finite_moments(x, extent, channel);
  // Two passes over the values as multiples of the largest one's power of two.
  const double unit = power_of_two(largest);
  CompensatedSum total;
  for_each_index(extent, channel, [&](std::size_t index) { total.add(number(x[index]) / unit); });
  const double near = total.value() / count;
  CompensatedSum rest;
  CompensatedSum squares;
  for_each_index(extent, channel, [&](std::size_t index) {
    const double difference = number(x[index]) / unit - near;
    rest.add(difference);
    squares.add(difference * difference);
  });
  const double shift = rest.value() / count;
  const double mean = near + shift;
  const double of_shift = mean - near;
  const double mean_low = near - (mean - of_shift) + (shift - of_shift);
  const double m2_in_units = std::max(squares.value() - rest.value() * shift, 0.0);
  // Not 0 where the values differ: that would pass for a constant channel.
  const double least = std::numeric_limits<double>::denorm_min();
  const double m2 = m2_in_units > 0 ? std::max(m2_in_units * unit * unit, least) : 0;
  return {mean * unit, mean_low * unit, m2, unit, m2_in_units};
}

template <class Value>
double invstd_of(const Value* x, Extent extent, std::size_t channel, double m2, double eps) {
  const double count = count_of(extent);
  const bool is_tiny = m2 > 0 && m2 < count * 0x1p-960;
  if (m2 == std::numeric_limits<double>::infinity() || is_tiny) {
    const WideMoments wide = wide_moments(x, extent, channel);
    return 1 / std::sqrt(wide.m2_in_units / count + eps / wide.unit / wide.unit) / wide.unit;
  }
  const double variance = m2 / count + eps;
  return variance == 0 ? 0 : 1 / std::sqrt(variance);
}

template <class Value>
void normalize_widely(const Value* x, Extent extent, const Share& share,
                      const WideTransform& transform, Value* y, const Epilogue<Value>& epilogue) {
  using Real = batchnorm::Real<Value>;
  // Copies, not structured bindings, which clang before 16 does not capture.
  const double mean = transform.mean;
  const double mean_low = transform.mean_low;
  const double invstd = transform.invstd;
  const double unit = unit_of(mean, invstd);
  const double part = part_of(transform.weight, transform.bias);
  const double factor = transform.weight * part;
  const double shift = transform.bias * part * unit;
  const double whole = 1 / part / unit;
  for_each_index(
      extent, share.channel_begin, share.sample_begin, share.sample_end, [&](std::size_t index) {
        const double difference = number(x[index]) * unit - mean * unit - mean_low * unit;
        Real z = static_cast<Real>((difference * invstd * factor + shift) * whole);
        if (epilogue.residual) z += number(epilogue.residual[index]);
        store(y[index], activate(epilogue.activation, z));
      });
}

template <class Value>
WideSums wide_sums(const BackwardInputs<Value>& from, std::size_t channel) {
  const double count = count_of(from.extent);
  const double mean = from.statistics.mean[channel];
  const double invstd = from.statistics.invstd[channel];
  const double mean_low = from.statistics.mean_low ? from.statistics.mean_low[channel] : 0;
  const double unit = unit_of(mean, invstd);
  const double gradient_unit = power_of_two(largest_of(
      from.extent, channel, [&](std::size_t index) { return gradient_at(from, index); }));
  CompensatedSum gradients;
  CompensatedSum products;
  for_each_index(from.extent, channel, [&](std::size_t index) {
    const double value = gradient_at(from, index) / gradient_unit;
    const double difference = number(from.x[index]) * unit - mean * unit - mean_low * unit;
    gradients.add(value);
    products.add(value * ((difference * invstd) / unit));
  });
  return {gradients.value() * gradient_unit, products.value() * gradient_unit,
          (gradients.value() / count) * gradient_unit, (products.value() / count) * gradient_unit};
}

template <class Value>
void gradient_widely(const BackwardInputs<Value>& from, const Share& share,
                     const WideGradient& transform, bool training, Value* input, Value* residual) {
  using Real = batchnorm::Real<Value>;
  const double weight = transform.weight;
  const double offset = transform.offset;
  const std::size_t channel = share.channel_begin;
  const double mean = from.statistics.mean[channel];
  const double invstd = from.statistics.invstd[channel];
  const double mean_low = from.statistics.mean_low ? from.statistics.mean_low[channel] : 0;
  const double unit = unit_of(mean, invstd);
  const double part = training ? part_of(offset, transform.product) : 1;
  const double slope = (transform.product * part) / unit;
  const double whole = 1 / part;
  for_each_index(
      from.extent, channel, share.sample_begin, share.sample_end, [&](std::size_t index) {
        const Real gradient = gradient_at(from, index);
        double rest = gradient;
        if (training) {
          const double difference = number(from.x[index]) * unit - mean * unit - mean_low * unit;
          rest = gradient * part - offset * part - difference * invstd * slope;
        }
        store(input[index], static_cast<Real>(scaled(rest, weight, invstd) * whole));
        if (residual) store(residual[index], gradient);
      });
}

#define BATCHNORM_INSTANTIATE(Value)                                                               \
  template WideMoments wide_moments(const Value*, Extent, std::size_t);                            \
  template double invstd_of(const Value*, Extent, std::size_t, double, double);                    \
  template void normalize_widely(const Value*, Extent, const Share&, const WideTransform&, Value*, \
                                 const Epilogue<Value>&);                                          \
  template WideSums wide_sums(const BackwardInputs<Value>&, std::size_t);                          \
  template void gradient_widely(const BackwardInputs<Value>&, const Share&, const WideGradient&,   \
                                bool, Value*, Value*);
BATCHNORM_FOR_EACH_VALUE(BATCHNORM_INSTANTIATE)

}  // namespace batchnorm
