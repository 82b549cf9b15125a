// oneDNN, of its second and third edition. One word tells in which layouts: `best`, every one in
// which it can hold the shape, on data that were brought into that layout before; `plain`, those in
// which values lie in memory as they are given. The fastest counts: for each operation and number
// of threads, the one that the fastest of seven calls is of.
#include <omp.h>

#include <algorithm>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

#include "protocol.h"

namespace {

using Forward = dnnl::batch_normalization_forward;
using Backward = dnnl::batch_normalization_backward;
using Dims = dnnl::memory::dims;
using Format = dnnl::memory::format_tag;
constexpr auto f32 = dnnl::memory::data_type::f32;
constexpr float eps = 1e-5f;
const auto affine = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
const auto constants = affine | dnnl::normalization_flags::use_global_stats;

struct Layout {
  const char* name;
  Dims dims;
  Format plain;  // in which (outer, channels, inner) lies in memory
  Format format;
  bool is_plain() const { return plain == format; }
};

std::vector<Layout> layouts_of(bench::Extent e) {
  const auto n = static_cast<dnnl_dim_t>(e.outer);
  const auto c = static_cast<dnnl_dim_t>(e.channels);
  const auto l = static_cast<dnnl_dim_t>(e.inner);
  if (l == 1) {
    return {{"nc", {n, c}, Format::nc, Format::nc},
            {"nhwc, one position", {n, c, 1, 1}, Format::nhwc, Format::nhwc},
            {"nhwc, one sample", {1, c, n, 1}, Format::nhwc, Format::nhwc}};
  }
  std::vector<Layout> layouts{{"ncw", {n, c, l}, Format::ncw, Format::ncw},
                              {"nchw", {n, c, 1, l}, Format::nchw, Format::nchw},
                              {"nhwc", {n, c, 1, l}, Format::nchw, Format::nhwc}};
  if (c % 16 == 0) layouts.push_back({"nChw16c", {n, c, 1, l}, Format::nchw, Format::nChw16c});
  return layouts;
}

// A primitive and what it is called with.
struct Ready {
  dnnl::primitive primitive;
  std::unordered_map<int, dnnl::memory> arguments;
  dnnl::memory result;
  std::string note;
};

class OneDnn : public bench::Worker {
 public:
  std::string title() const override {
    const dnnl_version_t* version = dnnl_version();
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch);
  }

  explicit OneDnn(bool plain_only) : plain_only_(plain_only) {}

  void load(const std::string& folder, bench::Extent extent) override {
    chosen_.clear();
    arrays_.clear();
    extent_ = extent;
    layouts_ = layouts_of(extent);
    if (plain_only_) {
      const auto other = [](const Layout& layout) { return !layout.is_plain(); };
      layouts_.erase(std::remove_if(layouts_.begin(), layouts_.end(), other), layouts_.end());
    }
    x_.emplace(bench::load_floats(folder, "x", extent.size()));
    grad_output_.emplace(bench::load_floats(folder, "gradOutput", extent.size()));
    plain_.emplace(extent.size());
    for (const char* name : {"weight", "bias", "runningMean", "runningVariance"}) {
      per_channel(name) = bench::load_floats(folder, name, extent.channels);
    }
    for (const char* name : {"mean", "variance", "gradWeight", "gradBias"}) {
      per_channel(name) = bench::Floats(extent.channels);
    }
    for (const Layout& layout : layouts_) {
      const dnnl::memory::desc desc(layout.dims, f32, layout.format);
      arrays_.push_back({reordered(*x_, layout, desc), reordered(*grad_output_, layout, desc),
                         dnnl::memory(desc, engine_)});
    }
  }

  std::function<void()> call(const std::string& operation, unsigned threads) override {
    omp_set_num_threads(static_cast<int>(threads));
    const Ready& ready = fastest(operation, threads);
    return [this, &ready] { execute(ready); };
  }

  std::vector<bench::View> results(const std::string& operation) override {
    dnnl::memory from = last_->result;
    dnnl::memory to({last_layout_->dims, f32, last_layout_->plain}, engine_, plain_->data());
    dnnl::reorder(from, to).execute(stream_, from, to);
    stream_.wait();
    if (operation != "backward") return {view(*plain_)};
    return {view(*plain_), view(*per_channel("gradWeight")), view(*per_channel("gradBias"))};
  }

  std::string note(const std::string& operation, unsigned threads) const override {
    return chosen_.at({operation, threads}).second.note;
  }

 private:
  struct Arrays {
    dnnl::memory x, grad_output, result;
  };

  const Ready& fastest(const std::string& operation, unsigned threads) {
    const auto key = std::make_pair(operation, threads);
    if (chosen_.count(key) == 0) {
      double best = 0;
      for (std::size_t index = 0; index < layouts_.size(); ++index) {
        Ready ready = prepare(operation, index);
        const double time = bench::least_time([&] { execute(ready); });
        if (chosen_.count(key) == 0 || time < best) {
          best = time;
          chosen_.insert_or_assign(key, std::make_pair(index, std::move(ready)));
        }
      }
    }
    const auto& [index, ready] = chosen_.at(key);
    last_ = &ready;
    last_layout_ = &layouts_[index];
    return ready;
  }

  void execute(const Ready& ready) {
    ready.primitive.execute(stream_, ready.arguments);
    stream_.wait();
  }

  Ready prepare(const std::string& operation, std::size_t index) {
    const Layout& layout = layouts_[index];
    const Arrays& arrays = arrays_[index];
    const dnnl::memory::desc data(layout.dims, f32, layout.format);
    const auto named = [&](const char* implementation) {
      return std::string(layout.name) + ", " + implementation;
    };
    if (operation == "eval") {
      const auto desc = forward_desc(dnnl::prop_kind::forward_inference, data, constants);
      return {Forward(desc),
              {{DNNL_ARG_SRC, arrays.x},
               {DNNL_ARG_DST, arrays.result},
               {DNNL_ARG_SCALE, vector("weight")},
               {DNNL_ARG_SHIFT, vector("bias")},
               {DNNL_ARG_MEAN, vector("runningMean")},
               {DNNL_ARG_VARIANCE, vector("runningVariance")}},
              arrays.result,
              named(desc.impl_info_str())};
    }
    const auto forward = forward_desc(dnnl::prop_kind::forward_training, data, affine);
    Ready ready{Forward(forward),
                {{DNNL_ARG_SRC, arrays.x},
                 {DNNL_ARG_DST, arrays.result},
                 {DNNL_ARG_SCALE, vector("weight")},
                 {DNNL_ARG_SHIFT, vector("bias")},
                 {DNNL_ARG_MEAN, vector("mean")},
                 {DNNL_ARG_VARIANCE, vector("variance")}},
                arrays.result,
                named(forward.impl_info_str())};
    if (operation == "forward") return ready;
    if (operation != "backward") throw std::invalid_argument("unknown operation " + operation);
    // The statistics that backward reads.
    execute(ready);
    const auto backward = backward_desc(data, forward);
    std::unordered_map<int, dnnl::memory> arguments{{DNNL_ARG_SRC, arrays.x},
                                                    {DNNL_ARG_DIFF_DST, arrays.grad_output},
                                                    {DNNL_ARG_DIFF_SRC, arrays.result},
                                                    {DNNL_ARG_SCALE, vector("weight")},
                                                    {DNNL_ARG_MEAN, vector("mean")},
                                                    {DNNL_ARG_VARIANCE, vector("variance")},
                                                    {DNNL_ARG_DIFF_SCALE, vector("gradWeight")},
                                                    {DNNL_ARG_DIFF_SHIFT, vector("gradBias")}};
    // The second edition asks for what it does not need, the third refuses it.
    if (DNNL_VERSION_MAJOR < 3) arguments.emplace(DNNL_ARG_SHIFT, vector("bias"));
    return {Backward(backward), std::move(arguments), arrays.result,
            named(backward.impl_info_str())};
  }

#if DNNL_VERSION_MAJOR >= 3
  Forward::primitive_desc forward_desc(dnnl::prop_kind kind, const dnnl::memory::desc& data,
                                       dnnl::normalization_flags flags) {
    return {engine_, kind, data, data, eps, flags};
  }
  Backward::primitive_desc backward_desc(const dnnl::memory::desc& data,
                                         const Forward::primitive_desc& forward) {
    return {engine_, dnnl::prop_kind::backward, data, data, data, eps, affine, forward};
  }
#else
  Forward::primitive_desc forward_desc(dnnl::prop_kind kind, const dnnl::memory::desc& data,
                                       dnnl::normalization_flags flags) {
    return {{kind, data, eps, flags}, engine_};
  }
  Backward::primitive_desc backward_desc(const dnnl::memory::desc& data,
                                         const Forward::primitive_desc& forward) {
    return {{dnnl::prop_kind::backward, data, data, eps, affine}, engine_, forward};
  }
#endif

  dnnl::memory reordered(const bench::Floats& floats, const Layout& layout,
                         const dnnl::memory::desc& desc) {
    dnnl::memory from({layout.dims, f32, layout.plain}, engine_, floats.data());
    if (layout.is_plain()) return from;
    dnnl::memory to(desc, engine_);
    dnnl::reorder(from, to).execute(stream_, from, to);
    stream_.wait();
    return to;
  }

  std::optional<bench::Floats>& per_channel(const std::string& name) { return vectors_[name]; }

  dnnl::memory vector(const std::string& name) {
    const dnnl::memory::desc desc({static_cast<dnnl_dim_t>(extent_.channels)}, f32, Format::x);
    return {desc, engine_, per_channel(name)->data()};
  }

  bool plain_only_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  bench::Extent extent_{};
  std::vector<Layout> layouts_;
  std::vector<Arrays> arrays_;  // of each layout
  std::optional<bench::Floats> x_, grad_output_;
  std::optional<bench::Floats> plain_;  // a result in the order of (outer, channels, inner)
  std::map<std::string, std::optional<bench::Floats>> vectors_;
  // The fastest layout, by operation and threads.
  std::map<std::pair<std::string, unsigned>, std::pair<std::size_t, Ready>> chosen_;
  const Ready* last_ = nullptr;
  const Layout* last_layout_ = nullptr;
};

}  // namespace

int main(int count, char** words) {
  OneDnn worker(count == 2 && std::string(words[1]) == "plain");
  return bench::serve(worker);
}
