// Every operation of batchnorm.h, on every instruction set, with one thread and with two, over
// shapes of every kind. bytes_per_second counts each array as often as the definition has to pass
// over it (what a cache saves is not taken off); machine.cpp gives the machine's own speed.
#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "batchnorm/batchnorm.h"
#include "memory.h"
#include "register.h"

namespace {

using batchnorm::Extent;

struct Shape {
  const char* name;
  Extent extent;
};

const Shape shapes[] = {
    {"32x64", {32, 64, 1}},         {"128x1000", {128, 1000, 1}},
    {"256x512", {256, 512, 1}},     {"1024x512", {1024, 512, 1}},
    {"4096x256", {4096, 256, 1}},   {"4096x1024", {4096, 1024, 1}},
    {"100000x10", {100000, 10, 1}}, {"65536x64", {65536, 64, 1}},
    {"65536x256", {65536, 256, 1}}, {"16384x2048", {16384, 2048, 1}},
    {"32x512x49", {32, 512, 49}},   {"256x256x196", {256, 256, 196}},
    {"64x128x784", {64, 128, 784}}, {"32x64x1024", {32, 64, 1024}},
    {"8x32x4096", {8, 32, 4096}},
};

struct Batch {
  Extent extent;
  bench::Floats x, grad_output, y;
  std::vector<float> weight, bias, running_mean, running_variance, grad_weight, grad_bias;
  std::vector<double> mean, m2, invstd;

  explicit Batch(Extent e)
      : extent(e),
        x(size()),
        grad_output(size()),
        y(size()),
        weight(e.channels, 1.5f),
        bias(e.channels, 0.5f),
        running_mean(e.channels),
        running_variance(e.channels, 1.0f),
        grad_weight(e.channels),
        grad_bias(e.channels),
        mean(e.channels),
        m2(e.channels),
        invstd(e.channels, 1.0) {
    std::minstd_rand random;
    std::uniform_real_distribution<float> value(-2, 3);
    for (std::size_t index = 0; index < size(); ++index) {
      x.data()[index] = value(random);
      grad_output.data()[index] = value(random);
    }
  }
  std::size_t size() const { return values(extent); }

  void statistics() { batchnorm::statistics(x.data(), extent, {mean.data(), m2.data()}); }
  void normalize() {
    batchnorm::normalize(x.data(), extent, {mean.data(), invstd.data()},
                         {weight.data(), bias.data()}, y.data());
  }
  void forward() {
    batchnorm::forward(x.data(), extent, {1e-5, 0.1, batchnorm::NonFinite::propagate},
                       {weight.data(), bias.data()}, {running_mean.data(), running_variance.data()},
                       {mean.data(), m2.data()}, invstd.data(), y.data());
  }
  void forward_eval() {
    batchnorm::eval_statistics(extent.channels, running_mean.data(), running_variance.data(), 1e-5,
                               mean.data(), invstd.data());
    normalize();
  }
  void backward(bool training) {
    batchnorm::backward(grad_output.data(), x.data(), extent, {mean.data(), invstd.data()},
                        weight.data(), training, {y.data(), grad_weight.data(), grad_bias.data()});
  }
  void backward_training() { backward(true); }
  void backward_eval() { backward(false); }
};

struct Operation {
  const char* name;
  void (Batch::*call)();
  int passes;  // over an array of x's size, reads and writes
};

const Operation operations[] = {
    {"statistics", &Batch::statistics, 1},
    {"normalize", &Batch::normalize, 2},
    {"forward", &Batch::forward, 3},
    {"forward-eval", &Batch::forward_eval, 2},
    {"backward", &Batch::backward_training, 5},
    {"backward-eval", &Batch::backward_eval, 4},
};

// The batch of the last shape asked for: the benchmarks come shape by shape.
Batch& batch_of(Extent extent) {
  static std::unique_ptr<Batch> batch;
  const auto same = [](Extent a, Extent b) {
    return a.outer == b.outer && a.channels == b.channels && a.inner == b.inner;
  };
  if (!batch || !same(batch->extent, extent)) {
    batch.reset();
    batch = std::make_unique<Batch>(extent);
  }
  return *batch;
}

void run(benchmark::State& state, const Operation& operation, Extent extent,
         const char* instruction_set, unsigned threads) {
  batchnorm::use_instruction_set(instruction_set);
  batchnorm::set_threads(threads);
  Batch& batch = batch_of(extent);
  for (auto _ : state) {
    (batch.*operation.call)();
    benchmark::ClobberMemory();
  }
  const auto bytes = static_cast<int64_t>(batch.size() * sizeof(float)) * operation.passes;
  state.SetBytesProcessed(state.iterations() * bytes);
}

}  // namespace

void bench::register_kernels() {
  for (const Shape& shape : shapes) {
    for (const Operation& operation : operations) {
      for (auto set = batchnorm::supported_instruction_sets(); *set != nullptr; ++set) {
        for (const unsigned threads : {1u, 2u}) {
          const std::string name = std::string(operation.name) + "/" + shape.name + "/" + *set +
                                   "/threads:" + std::to_string(threads);
          benchmark::RegisterBenchmark(name.c_str(), run, operation, shape.extent, *set, threads)
              ->UseRealTime()
              ->MinTime(0.02)
              ->Unit(benchmark::kMicrosecond);
        }
      }
    }
  }
}
