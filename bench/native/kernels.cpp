// Every operation of batchnorm.h, on every instruction set, with one thread and with two, over
// shapes of every kind; values of float64 and of 16 bits on the best instruction set.
// bytes_per_second counts each array as often as the definition has to pass over it (what a cache
// saves is not taken off); machine.cpp gives the machine's own speed.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
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

// The bits of a half that is near `number`.
std::uint16_t half(float number, int bias, int fraction_bits) {
  int exponent;
  const float fraction = std::frexp(std::fabs(number), &exponent);
  if (exponent < 1 - bias + 1) return 0;
  const int digits = static_cast<int>(fraction * static_cast<float>(2 << fraction_bits));
  const int bits = ((exponent - 2 + bias) << fraction_bits) + digits;
  return static_cast<std::uint16_t>(bits | (number < 0 ? 0x8000 : 0));
}

constexpr batchnorm::Activation relu{batchnorm::ActivationName::relu};

// A number as a value; of halves, one of small magnitude.
void set(float& to, float number) { to = number; }
void set(double& to, float number) { to = number; }
void set(batchnorm::bfloat16& to, float number) { to.bits = half(number, 127, 7); }
void set(batchnorm::float16& to, float number) { to.bits = half(number, 15, 10); }

template <class Value>
struct Batch {
  using Real = batchnorm::Real<Value>;

  Extent extent;
  bench::Array<Value> x, grad_output, residual, y, grad_residual;
  std::vector<Real> weight, bias, running_mean, running_variance, grad_weight, grad_bias;
  std::vector<double> mean, m2, lost, invstd;

  explicit Batch(Extent e)
      : extent(e),
        x(size()),
        grad_output(size()),
        residual(size()),
        y(size()),
        grad_residual(size()),
        weight(e.channels, 1.5f),
        bias(e.channels, 0.5f),
        running_mean(e.channels),
        running_variance(e.channels, 1.0f),
        grad_weight(e.channels),
        grad_bias(e.channels),
        mean(e.channels),
        m2(e.channels),
        lost(e.channels),
        invstd(e.channels, 1.0) {
    std::minstd_rand random;
    std::uniform_real_distribution<float> value(-2, 3);
    for (std::size_t index = 0; index < size(); ++index) {
      set(x.data()[index], value(random));
      set(grad_output.data()[index], value(random));
      set(residual.data()[index], value(random));
    }
  }
  std::size_t size() const { return values(extent); }
  batchnorm::Moments moments() { return {mean.data(), m2.data(), lost.data()}; }
  batchnorm::Statistics saved() const { return {mean.data(), invstd.data(), lost.data()}; }

  void statistics() { batchnorm::statistics(x.data(), extent, moments()); }
  void normalize() {
    batchnorm::normalize(x.data(), extent, saved(), {weight.data(), bias.data()}, y.data());
  }
  void forward(batchnorm::Epilogue<Value> epilogue) {
    batchnorm::forward(x.data(), extent, {1e-5, 0.1, batchnorm::NonFinite::propagate},
                       {weight.data(), bias.data()}, {running_mean.data(), running_variance.data()},
                       moments(), invstd.data(), y.data(), epilogue);
  }
  void forward_plain() { forward({}); }
  void forward_relu() { forward({relu, nullptr}); }
  void forward_residual() { forward({relu, residual.data()}); }
  void forward_eval() {
    batchnorm::eval_statistics(extent.channels, running_mean.data(), running_variance.data(), 1e-5,
                               mean.data(), invstd.data());
    normalize();
  }
  void backward(bool training) {
    batchnorm::backward(grad_output.data(), x.data(), extent, saved(), weight.data(), training,
                        {y.data(), grad_weight.data(), grad_bias.data()});
  }
  void backward_training() { backward(true); }
  void backward_eval() { backward(false); }
  void backward_residual() {
    batchnorm::backward(grad_output.data(), x.data(), extent, saved(), weight.data(), true,
                        {y.data(), grad_weight.data(), grad_bias.data(), grad_residual.data()},
                        {relu, residual.data()});
  }
};

template <class Value>
struct Operation {
  const char* name;
  void (Batch<Value>::*call)();
  int passes;  // over an array of x's size, reads and writes
};

template <class Value>
const Operation<Value> operations[] = {
    {"statistics", &Batch<Value>::statistics, 1},
    {"normalize", &Batch<Value>::normalize, 2},
    {"forward", &Batch<Value>::forward_plain, 3},
    {"forward-relu", &Batch<Value>::forward_relu, 3},
    {"forward-residual-relu", &Batch<Value>::forward_residual, 4},
    {"forward-eval", &Batch<Value>::forward_eval, 2},
    {"backward", &Batch<Value>::backward_training, 5},
    {"backward-residual-relu", &Batch<Value>::backward_residual, 8},
    {"backward-eval", &Batch<Value>::backward_eval, 4},
};

// The batch of the last shape asked for: the benchmarks come shape by shape.
template <class Value>
Batch<Value>& batch_of(Extent extent) {
  static std::unique_ptr<Batch<Value>> batch;
  const auto same = [](Extent a, Extent b) {
    return a.outer == b.outer && a.channels == b.channels && a.inner == b.inner;
  };
  if (!batch || !same(batch->extent, extent)) {
    batch.reset();
    batch = std::make_unique<Batch<Value>>(extent);
  }
  return *batch;
}

template <class Value>
void run(benchmark::State& state, const Operation<Value>& operation, Extent extent,
         const char* instruction_set, unsigned threads) {
  batchnorm::use_instruction_set(instruction_set);
  batchnorm::set_threads(threads);
  Batch<Value>& batch = batch_of<Value>(extent);
  for (auto _ : state) {
    (batch.*operation.call)();
    benchmark::ClobberMemory();
  }
  const auto bytes = static_cast<int64_t>(batch.size() * sizeof(Value)) * operation.passes;
  state.SetBytesProcessed(state.iterations() * bytes);
}

// `suffix` names the type of the values.
template <class Value>
void register_for(const Shape& shape, const char* suffix, const char* instruction_set) {
  for (const Operation<Value>& operation : operations<Value>) {
    for (const unsigned threads : {1u, 2u}) {
      const std::string name = std::string(operation.name) + suffix + "/" + shape.name + "/" +
                               instruction_set + "/threads:" + std::to_string(threads);
      benchmark::RegisterBenchmark(name.c_str(), run<Value>, operation, shape.extent,
                                   instruction_set, threads)
          ->UseRealTime()
          ->MinTime(0.02)
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace

void bench::register_kernels() {
  const char* const* sets = batchnorm::supported_instruction_sets();
  for (const Shape& shape : shapes) {
    for (auto set = sets; *set != nullptr; ++set) register_for<float>(shape, "", *set);
    register_for<double>(shape, "-float64", *sets);
    register_for<batchnorm::bfloat16>(shape, "-bfloat16", *sets);
    register_for<batchnorm::float16>(shape, "-float16", *sets);
  }
}
