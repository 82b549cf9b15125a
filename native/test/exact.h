// Batch normalization in numbers of 113 bits and 15 of exponent: the judge of the promise of
// accuracy, for float64 too. GCC and clang have such numbers on x86-64 and ARM; MSVC has none.
#pragma once

#include <cfloat>
#include <cstddef>
#include <vector>

#include "batchnorm/batchnorm.h"

#if defined(__SIZEOF_FLOAT128__) || LDBL_MANT_DIG == 113
#define BATCHNORM_TEST_EXACT
#endif

#ifdef BATCHNORM_TEST_EXACT
namespace batchnorm::test {

#ifdef __SIZEOF_FLOAT128__
__extension__ typedef __float128 Quad;
#else
using Quad = long double;
#endif

template <class Value>
struct Problem {
  using Real = batchnorm::Real<Value>;

  Extent extent;
  double eps;
  std::vector<Value> x;  // [outer, channels, inner], as is grad_output
  std::vector<Value> grad_output;
  std::vector<Real> weight;  // [channels], as is bias
  std::vector<Real> bias;
};

// What one step of training gives.
template <class Value>
struct Step {
  using Real = batchnorm::Real<Value>;

  std::vector<Value> y;
  std::vector<Value> grad_input;
  std::vector<Real> grad_weight;
  std::vector<Real> grad_bias;
  std::vector<Real> running_mean;  // of the batch alone, as is running_variance
  std::vector<Real> running_variance;
};

// The largest error of each result as a share of what is promised, which is 1; Infinity for NaN.
struct Shares {
  double y = 0;
  double grad_input = 0;
  double grad_weight = 0;
  double grad_bias = 0;
  double running_mean = 0;
  double running_variance = 0;
};

template <class Value>
Shares judge(const Problem<Value>& problem, const Step<Value>& step);

}  // namespace batchnorm::test
#endif
