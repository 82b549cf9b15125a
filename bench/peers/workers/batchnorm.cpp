// This library from C++, without Node.
#include <optional>
#include <stdexcept>

#include "batchnorm/batchnorm.h"
#include "protocol.h"

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
    // The statistics that backward reads.
    batch_->forward();
  }

  std::function<void()> call(const std::string& operation, unsigned threads) override {
    batchnorm::set_threads(threads);
    if (operation == "forward") return [this] { batch_->forward(); };
    if (operation == "backward") return [this] { batch_->backward(); };
    if (operation == "eval") return [this] { batch_->eval(); };
    throw std::invalid_argument("unknown operation " + operation);
  }

  std::vector<bench::View> results(const std::string& operation) override {
    if (operation != "backward") return {view(batch_->y)};
    return {view(batch_->grad_input), view(batch_->grad_weight), view(batch_->grad_bias)};
  }

 private:
  std::optional<Batch> batch_;
};

}  // namespace

int main() {
  Library library;
  return bench::serve(library);
}
