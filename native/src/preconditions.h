// What a caller promises. A build without NDEBUG asserts it; in a release nothing is left of it.
#pragma once

#include <cassert>
#include <limits>

#include "batchnorm/batchnorm.h"

namespace batchnorm {

// As many values as memory could hold, and not none.
inline bool is_extent(Extent extent) {
  const auto [outer, channels, inner] = extent;
  const std::size_t most = std::numeric_limits<std::size_t>::max() / sizeof(double);
  return outer > 0 && channels > 0 && inner > 0 && outer <= most / channels &&
         outer * channels <= most / inner;
}

template <class Number>
bool is_aligned(const Number* array) {
  return reinterpret_cast<std::uintptr_t>(array) % alignof(Number) == 0;
}
// One that is there.
template <class Number>
bool is_array(const Number* array) {
  return array && is_aligned(array);
}

// Whether two arrays of a length, if they are there, are one or do not meet.
template <class Number>
bool are_one_or_apart(const Number* one, const Number* other, std::size_t length) {
  const auto begin = reinterpret_cast<std::uintptr_t>(one);
  const auto other_begin = reinterpret_cast<std::uintptr_t>(other);
  const std::size_t bytes = length * sizeof(Number);
  return !one || !other || begin == other_begin || begin + bytes <= other_begin ||
         other_begin + bytes <= begin;
}

inline bool are_moments(ConstMoments moments) {
  return is_array(moments.mean) && is_array(moments.m2) && is_aligned(moments.mean_low);
}
inline bool are_statistics(Statistics statistics) {
  return is_array(statistics.mean) && is_array(statistics.invstd) &&
         is_aligned(statistics.mean_low);
}
template <class Real>
bool is_affine(Affine<Real> affine) {
  return is_aligned(affine.weight) && is_aligned(affine.bias);
}
// Both buffers, or neither.
template <class Real>
bool is_running(Running<Real> running) {
  return !running.mean == !running.variance && is_aligned(running.mean) &&
         is_aligned(running.variance);
}
inline bool is_activation(Activation activation) {
  return activation.name == ActivationName::none || activation.name == ActivationName::relu ||
         (activation.name == ActivationName::leaky_relu && activation.negative_slope >= 0);
}
template <class Value>
bool is_activated(Activated<Value> activated) {
  return is_activation(activated.activation) &&
         (activated.activation.name == ActivationName::none || is_array(activated.output));
}

}  // namespace batchnorm
