// The first half of backward: the sums of a tile, or of everything.
#pragma once

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
  Plan plan() const { return Plan(extent, has_activation() ? 3 : 2, sizeof(Value)); }
  std::size_t stride() const { return extent.channels * extent.inner; }
  Input<Value> of(const Value* data, const Share& share) const {
    return {share.in(data, extent), stride()};
  }
  TileGradient<Value> gradient(const Share& share) const {
    return {of(grad_output, share), activated.activation, of(activated.output, share)};
  }
  Statistics statistics_from(std::size_t channel) const {
    return {statistics.mean + channel, statistics.invstd + channel,
            from_channel(statistics.lost, channel)};
  }
};

template <class Value>
struct GradientSums {
  const BackwardInputs<Value>& from;
  Sums sums;          // [channels], as are the next
  Real<Value>* mean;  // the statistics, rounded
  Real<Value>* invstd;

  GradientSums(const BackwardInputs<Value>& inputs, Sums to, Scratch& scratch);

  // The sums of a tile of channels, segment by segment, on this thread.
  void of_tile(const Plan& plan, const Share& share) const;

  // The sums of every channel, the segments shared out among threads.
  void of_all(const Plan& plan) const;

 private:
  void of_segment(const Plan& plan, const Share& share, std::size_t segment, Sums to) const;
  void settle(std::size_t begin, std::size_t end) const;
};

}  // namespace batchnorm
