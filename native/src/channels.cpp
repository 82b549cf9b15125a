// The operations that are done once a channel: nothing to share out.
#include "batchnorm/batchnorm.h"

#include "dispatch.h"

namespace batchnorm {

double merge(std::size_t channels, double into_count, Moments into, double from_count,
             ConstMoments from) {
  kernels().merge(channels, into_count, into, from_count, from);
  return into_count + from_count;
}

void update_running(std::size_t channels, Running running, double count, ConstMoments moments,
                    double momentum) {
  kernels().update_running(channels, running, count, moments, momentum);
}

void eval_statistics(std::size_t channels, const float* running_mean, const float* running_variance,
                     double eps, double* mean, double* invstd) {
  kernels().eval_statistics(channels, running_mean, running_variance, eps, mean, invstd);
}

}  // namespace batchnorm
