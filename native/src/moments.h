// The first half of forward: the moments of every channel.
#pragma once

#include "plan.h"
#include "scratch.h"

namespace batchnorm {

// Moments of no values yet.
inline Moments scratch_moments(Scratch& scratch, std::size_t channels) {
  return {scratch.doubles(channels), scratch.doubles(channels), scratch.doubles(channels)};
}

// A caller's moments, with what the mean loses.
inline Moments complete(Moments moments, Scratch& scratch, std::size_t channels) {
  if (!moments.mean_low) moments.mean_low = scratch.doubles(channels);
  return moments;
}

// The segments are shared out among threads. `moments` are complete.
template <class Value>
void moments_of_all(const Value* x, Extent extent, const Plan& plan, Moments moments);

}  // namespace batchnorm
