// A batch of four samples of two channels, in training: what comes out, and the running mean.
#include <batchnorm/batchnorm.h>

#include <cstdio>
#include <vector>

int main() {
  const batchnorm::Extent extent{4, 2, 1};  // samples, channels, positions
  const std::vector<float> x{1, 10, 2, 20, 3, 30, 4, 40};
  std::vector<float> running_mean{0, 0}, running_variance{1, 1}, y(values(extent));
  std::vector<double> mean(2), m2(2), invstd(2);
  batchnorm::forward(x.data(), extent, {1e-5, 0.1, batchnorm::NonFinite::propagate},
                     {nullptr, nullptr}, {running_mean.data(), running_variance.data()},
                     {mean.data(), m2.data()}, invstd.data(), y.data());
  for (const float value : y) std::printf("%.3f ", static_cast<double>(value));
  std::printf("\nrunning mean %.2f %.2f, by %s\n", static_cast<double>(running_mean[0]),
              static_cast<double>(running_mean[1]), batchnorm::instruction_set());
}
