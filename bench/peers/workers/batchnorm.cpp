// This library from C++, without Node. The note of the operation `scratch` is how many bytes of
// scratch memory forward and backward had at a time, at most.
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <optional>
#include <stdexcept>

#include "batchnorm/batchnorm.h"
#include "protocol.h"

namespace {

// What operator new has given and not had back.
std::atomic<std::size_t> live{0};
std::atomic<std::size_t> peak{0};

void count(std::size_t bytes) {
  const std::size_t now = live.fetch_add(bytes) + bytes;
  for (std::size_t old = peak.load(); old < now && !peak.compare_exchange_weak(old, now);) {
  }
}

}  // namespace

void* operator new(std::size_t bytes) {
  void* memory = std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  count(malloc_usable_size(memory));
  return memory;
}

void operator delete(void* memory) noexcept {
  live.fetch_sub(malloc_usable_size(memory));
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace {

struct Batch {
  bench::Extent shape;
  batchnorm::Extent extent;
  bench::Floats x, grad_output, weight, bias, running_mean, running_variance;
  // Those that training moves; eval reads the ones above.
  bench::Floats moving_mean, moving_variance;
  bench::Floats y, grad_input, grad_weight, grad_bias;
  std::vector<double> mean, m2, invstd, eval_mean, eval_invstd;

  Batch(const std::string& folder, bench::Extent e)
      : shape(e),
        extent{e.outer, e.channels, e.inner},
        x(bench::load_floats(folder, "x", e.size())),
        grad_output(bench::load_floats(folder, "gradOutput", e.size())),
        weight(bench::load_floats(folder, "weight", e.channels)),
        bias(bench::load_floats(folder, "bias", e.channels)),
        running_mean(bench::load_floats(folder, "runningMean", e.channels)),
        running_variance(bench::load_floats(folder, "runningVariance", e.channels)),
        moving_mean(bench::load_floats(folder, "runningMean", e.channels)),
        moving_variance(bench::load_floats(folder, "runningVariance", e.channels)),
        y(e.size()),
        grad_input(e.size()),
        grad_weight(e.channels),
        grad_bias(e.channels),
        mean(e.channels),
        m2(e.channels),
        invstd(e.channels),
        eval_mean(e.channels),
        eval_invstd(e.channels) {}

  batchnorm::Affine<float> affine() const { return {weight.data(), bias.data()}; }

  void forward() {
    batchnorm::forward(x.data(), extent, {1e-5, 0.1, batchnorm::NonFinite::propagate}, affine(),
                       {moving_mean.data(), moving_variance.data()}, {mean.data(), m2.data()},
                       invstd.data(), y.data());
  }
  void backward() {
    batchnorm::backward(grad_output.data(), x.data(), extent, {mean.data(), invstd.data()},
                        weight.data(), true,
                        {grad_input.data(), grad_weight.data(), grad_bias.data()});
  }
  void eval() {
    batchnorm::eval_statistics(extent.channels, running_mean.data(), running_variance.data(), 1e-5,
                               eval_mean.data(), eval_invstd.data());
    batchnorm::normalize(x.data(), extent, {eval_mean.data(), eval_invstd.data()}, affine(),
                         y.data());
  }
};

class Library : public bench::Worker {
 public:
  std::string title() const override {
    return std::string("this library from C++, ") + batchnorm::instruction_set();
  }

  void load(const std::string& folder, bench::Extent extent) override {
    batch_.emplace(folder, extent);
    const std::size_t before = live;
    peak = before;
    batch_->forward();
    batch_->backward();
    scratch_ = peak - before;
  }

  std::function<void()> call(const std::string& operation, unsigned threads) override {
    batchnorm::set_threads(threads);
    if (operation == "forward") return [this] { batch_->forward(); };
    if (operation == "backward") return [this] { batch_->backward(); };
    if (operation == "eval") return [this] { batch_->eval(); };
    if (operation == "scratch") return [] {};
    throw std::invalid_argument("unknown operation " + operation);
  }

  std::vector<bench::View> results(const std::string& operation) override {
    if (operation != "backward") return {view(batch_->y)};
    return {view(batch_->grad_input), view(batch_->grad_weight), view(batch_->grad_bias)};
  }

  std::string note(const std::string& operation, unsigned) const override {
    return operation == "scratch" ? std::to_string(scratch_) : std::string();
  }

 private:
  std::optional<Batch> batch_;
  std::size_t scratch_ = 0;
};

}  // namespace

int main() {
  Library library;
  return bench::serve(library);
}
