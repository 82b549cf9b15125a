// broken_promise PROMISE: breaks one that callers make to the kernels. A build with assertions
// ends.
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "../src/plan.h"
#include "batchnorm/batchnorm.h"

using namespace batchnorm;

int main(int, char** arguments) {
  // CTest takes any process that a signal ends for a failure, whatever it has said.
  std::signal(SIGABRT, [](int) { std::_Exit(1); });
  const std::string promise = arguments[1];
  constexpr Extent extent{4, 3, 1};
  std::vector<float> x(values(extent) + 1), y(values(extent)), running(extent.channels);
  std::vector<double> mean(extent.channels), m2(extent.channels), invstd(extent.channels);
  const Moments moments{mean.data(), m2.data()};
  const Statistics statistics_of_x{mean.data(), invstd.data()};
  if (promise == "channels") {
    statistics(x.data(), {4, 0, 1}, moments);
  } else if (promise == "output") {
    normalize<float>(x.data(), extent, statistics_of_x, {}, nullptr);
  } else if (promise == "apart") {
    normalize(x.data(), extent, statistics_of_x, {}, x.data() + 1);
  } else if (promise == "both-buffers") {
    forward(x.data(), extent, {}, {}, {running.data(), nullptr}, moments, invstd.data(), y.data());
  } else if (promise == "two-values") {
    update_running<float>(extent.channels, {running.data(), running.data()}, 1, moments, 0.1);
  } else if (promise == "activated") {
    backward(x.data(), x.data(), extent, statistics_of_x, nullptr, true,
             {y.data(), nullptr, nullptr}, {{ActivationName::relu}, nullptr});
  } else if (promise == "task") {
    const Plan plan(extent, sizeof(float));
    plan.tile_share(extent, plan.tiles);
  } else if (promise == "segment") {
    const Order order = order_of(extent);
    chunks_of(order, order.segments);
  }
}
