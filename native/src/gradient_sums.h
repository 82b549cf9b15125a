// The first half of backward: the sums of every channel.
#pragma once

#include "half.h"
#include "plan.h"
#include "scratch.h"

namespace batchnorm {

// What both halves of backward read.
template <class Value>
struct BackwardInputs {
  const Value* grad_output;
  const Value* x;
  Extent extent;
  Statistics statistics;
  Activated<Value> activated;

  bool has_activation() const { return activated.activation.name != ActivationName::none; }
  std::size_t stride() const { return extent.channels * extent.inner; }
  Input<Value> of(const Value* data, const Share& share) const {
    return {share.in(data, extent), stride()};
  }
  TileGradient<Value> gradient(const Share& share) const {
    return {of(grad_output, share), activated.activation, of(activated.output, share)};
  }
};

// grad_z at an index: the gradient, or what an activation lets through of it.
template <class Value>
Real<Value> gradient_at(const BackwardInputs<Value>& from, std::size_t index) {
  return through(from.activated.activation, number(from.grad_output[index]),
                 from.has_activation() ? number(from.activated.output[index]) : 0);
}

// With `centred` an offset of the gradient is taken off before it can cost digits: right where the
// statistics are those of x, and so the sum of xhat is 0. Fills sums and means.
template <class Value>
void sum_gradients(const BackwardInputs<Value>& from, const Plan& plan, bool centred, Sums sums,
                   GradientMeans means);

}  // namespace batchnorm
