// One step of training, by the header alone. Every number is exact.
#include <batchnorm/batchnorm.h>

#include <cstdio>
#include <vector>

int main() {
  using namespace batchnorm;
  const Extent extent{4, 2, 1};  // four samples of two channels
  const std::vector<float> x{1, -2, 3, 2, 1, -2, 3, 2};
  const std::vector<float> weight{2, 4};
  const std::vector<float> bias{0, 1};
  std::vector<float> running_mean{0, 0};
  std::vector<float> running_variance{1, 1};
  std::vector<double> mean(2);
  std::vector<double> m2(2);
  std::vector<double> invstd(2);
  std::vector<float> y(values(extent));
  const bool fit =
      forward(x.data(), extent, {0, 0.5, NonFinite::propagate}, {weight.data(), bias.data()},
              {running_mean.data(), running_variance.data()}, {mean.data(), m2.data()},
              invstd.data(), y.data());

  const std::vector<float> grad_output{1, 0, 0, 0, 0, 0, 0, 0};
  std::vector<float> grad_input(values(extent));
  std::vector<float> grad_weight(2);
  std::vector<float> grad_bias(2);
  backward(grad_output.data(), x.data(), extent, {mean.data(), invstd.data()}, weight.data(), true,
           {grad_input.data(), grad_weight.data(), grad_bias.data()});

  const bool right = fit && y == std::vector<float>{-2, -3, 2, 5, -2, -3, 2, 5} &&
                     running_mean == std::vector<float>{1, 0} &&
                     grad_input == std::vector<float>{1, 0, 0, 0, -1, 0, 0, 0} &&
                     grad_weight == std::vector<float>{-1, 0} &&
                     grad_bias == std::vector<float>{1, 0};
  std::printf("%s: %s\n", instruction_set(), right ? "right" : "wrong");
  return right ? 0 : 1;
}
