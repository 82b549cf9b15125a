#include "batch.h"

#include <cstring>

namespace batchnorm::test {
namespace {

float next_value(Random& random, Data data) {
  if (data.special_every > 0 && random.integer() % data.special_every == 0) {
    const std::uint32_t bits = random.integer();
    float special;
    std::memcpy(&special, &bits, sizeof special);
    return special;
  }
  return static_cast<float>(data.offset + data.scale * random.uniform());
}

}  // namespace

Input::Input(std::size_t length, std::size_t offset, Random& random, Data data)
    : offset_(offset), memory_(offset + length) {
  for (std::size_t i = 0; i < length; ++i) memory_[offset + i] = next_value(random, data);
}

Batch::Batch(Recipe recipe, std::size_t away)
    : extent(recipe.extent),
      offset(away),
      random(recipe.seed),
      x(values(extent), offset, random, recipe.data),
      grad_output(values(extent), offset, random, {}),
      weight(extent.channels, offset, random, {}),
      bias(extent.channels, offset, random, {}),
      running_mean(extent.channels, offset, random, {}),
      running_variance(extent.channels, offset, random, {1, 1}) {}

}  // namespace batchnorm::test
