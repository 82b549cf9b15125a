// One call of the kernels, made of a fuzzer's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "../batch.h"

namespace batchnorm::test {

enum class Operation {
  statistics,
  merge,
  update_running,
  eval_statistics,
  normalize,
  forward,
  backward,
  gradient_sums,
  input_gradient,
  kMaxValue = input_gradient,  // as FuzzedDataProvider wants it
};

enum class Type { float32, float64, bfloat16, float16, kMaxValue = float16 };

// The array that an output is written over.
enum class Place { apart, first, second, third, kMaxValue = third };

// A value that an array has somewhere.
struct Spot {
  std::size_t array;  // counted on around the arrays, as `index` is around the values
  std::size_t index;
  double value;
};

struct Case {
  Operation operation;
  Type type;
  Extent extent;
  Data data;        // of what a call reads by value
  Data parameters;  // of what it reads by channel
  std::uint32_t seed;
  std::vector<Spot> spots;
  double eps;
  double momentum;
  double into_count;
  double from_count;
  NonFinite non_finite;
  Activation activation;
  Place place;
  Place residual_place;  // of the gradient of the residual
  // Whether what may be left out is there.
  bool mean_low;
  bool weight;
  bool bias;
  bool running;
  bool residual;
  bool grad_input;
  bool grad_weight;
  bool grad_bias;
  bool training;
  bool own_statistics;  // those of the values, not any numbers
  // How this machine does it, which must not show.
  std::size_t slack;               // of the arrays before their fences, in values
  std::size_t second_level_cache;  // bytes
  unsigned threads;

  Case(const std::uint8_t* bytes, std::size_t size);
};

// Writes all of it to standard error.
void describe(const Case& call);

}  // namespace batchnorm::test
