// The operations that are done once a channel: nothing to share out.
#include "batchnorm/batchnorm.h"

#include "dispatch.h"
#include "preconditions.h"

namespace batchnorm {

double merge(std::size_t channels, double into_count, Moments into, double from_count,
             ConstMoments from) {
  assert(are_moments(into) && are_moments(from) && into_count >= 0 && from_count >= 0);
  kernels().merge(channels, into_count, into, from_count, from);
  return into_count + from_count;
}

template <class Real>
void update_running(std::size_t channels, Running<Real> running, double count, ConstMoments moments,
                    double momentum) {
  assert(is_array(running.mean) && is_running(running) && count > 1 && are_moments(moments));
  kernels().of_parameters<Real>().update_running(channels, running, count, moments, momentum);
}

template <class Real>
void eval_statistics(std::size_t channels, const Real* running_mean, const Real* running_variance,
                     double eps, double* mean, double* invstd) {
  assert(is_array(running_mean) && is_array(running_variance));
  assert(is_array(mean) && is_array(invstd));
  kernels().of_parameters<Real>().eval_statistics(channels, running_mean, running_variance, eps,
                                                  mean, invstd);
}

#define BATCHNORM_INSTANTIATE(Real)                                                       \
  template void update_running(std::size_t, Running<Real>, double, ConstMoments, double); \
  template void eval_statistics(std::size_t, const Real*, const Real*, double, double*, double*);
BATCHNORM_INSTANTIATE(float)
BATCHNORM_INSTANTIATE(double)

}  // namespace batchnorm
