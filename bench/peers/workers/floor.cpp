// The floor: what reading and copying the same arrays costs on this machine.
#include <memory>
#include <optional>
#include <stdexcept>

#include "protocol.h"

namespace {

class Floor : public bench::Worker {
 public:
  std::string title() const override { return "read, memcpy and streaming stores"; }

  void load(const std::string& folder, bench::Extent extent) override {
    x_.emplace(bench::load_floats(folder, "x", extent.size()));
    y_.emplace(extent.size());
  }

  std::function<void()> call(const std::string& operation, unsigned threads) override {
    // Lives as long as the call: between requests no thread of this process may spin.
    const auto team = std::make_shared<bench::Team>(threads);
    if (operation == "read") return [this, team] { bench::read(*team, *x_); };
    if (operation == "copy") return [this, team] { bench::copy(*team, *x_, *y_); };
    if (operation == "stream") return [this, team] { bench::stream(*team, *x_, *y_); };
    throw std::invalid_argument("unknown operation " + operation);
  }

  std::vector<bench::View> results(const std::string&) override { return {view(*y_)}; }

 private:
  std::optional<bench::Floats> x_, y_;
};

}  // namespace

int main() {
  Floor floor;
  return bench::serve(floor);
}
