// The first half of forward: the moments of a tile, or of everything. Values of double need
// `moments.lost`.
#pragma once

#include "plan.h"
#include "scratch.h"

namespace batchnorm {

// Whether what a mean loses in float64 shows in the values.
template <class Value>
constexpr bool keeps_lost = sizeof(Real<Value>) == sizeof(double);

// Moments of no values yet.
template <class Value>
Moments scratch_moments(Scratch& scratch, std::size_t channels) {
  return {scratch.doubles(channels), scratch.doubles(channels),
          keeps_lost<Value> ? scratch.doubles(channels) : nullptr};
}

// A caller's moments, with what the mean loses where, and only where, that is kept.
template <class Value>
Moments complete(Moments moments, Scratch& scratch, std::size_t channels) {
  if (!keeps_lost<Value>) {
    moments.lost = nullptr;
  } else if (!moments.lost) {
    moments.lost = scratch.doubles(channels);
  }
  return moments;
}

// The moments of a tile of channels, segment by segment, on this thread.
template <class Value>
void moments_of_tile(Input<Value> x, Extent tile, const Order& order, Moments moments);

// The moments of every channel, the segments shared out among threads.
template <class Value>
void moments_of_all(const Value* x, Extent extent, const Plan& plan, Moments moments);

}  // namespace batchnorm
