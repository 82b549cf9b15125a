// Batch normalization written down directly, in float64: for float32 inputs its own error is
// nothing beside the errors that are measured against it.
#pragma once

#include <vector>

#include "batch.h"

namespace batchnorm::test {

struct ExactChannel {
  double mean = 0;
  double variance = 0;  // biased
  double invstd = 0;
  double scale = 0;
  double grad_bias = 0;
  double grad_weight = 0;
  double sum_of_gradients = 0;  // of the absolute values of grad_bias's terms
  double sum_of_products = 0;   // likewise of grad_weight's
};

std::vector<ExactChannel> exact_channels(const Batch& batch, double eps);

}  // namespace batchnorm::test
