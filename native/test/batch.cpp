#include "batch.h"

#include <cstring>

namespace batchnorm::test {
namespace {

void next(float& value, Random& random, Data data, bool special) {
  if (special) {
    const std::uint32_t word = random.integer();
    std::memcpy(&value, &word, sizeof value);
  } else {
    value = static_cast<float>(data.offset + data.scale * random.uniform());
  }
}

void next(double& value, Random& random, Data data, bool special) {
  if (special) {
    const std::uint64_t low = random.integer();
    const std::uint64_t words = low | static_cast<std::uint64_t>(random.integer()) << 32;
    std::memcpy(&value, &words, sizeof value);
  } else {
    value = data.offset + data.scale * random.uniform();
  }
}

// A sign, one of six exponents around the bias, and a fraction.
std::uint16_t half(std::uint32_t word, unsigned bias, unsigned fraction_bits) {
  const std::uint32_t exponent = bias - 3 + (word >> 16) % 6;
  const std::uint32_t fraction = word & ((1u << fraction_bits) - 1);
  return static_cast<std::uint16_t>((word >> 31) << 15 | exponent << fraction_bits | fraction);
}

void next(bfloat16& value, Random& random, Data, bool special) {
  const std::uint32_t word = random.integer();
  value.bits = special ? static_cast<std::uint16_t>(word) : half(word, 127, 7);
}

void next(float16& value, Random& random, Data, bool special) {
  const std::uint32_t word = random.integer();
  value.bits = special ? static_cast<std::uint16_t>(word) : half(word, 15, 10);
}

}  // namespace

template <class Value>
InputOf<Value>::InputOf(std::size_t length, std::size_t offset, Random& random, Data data)
    : offset_(offset), memory_(offset + length) {
  for (std::size_t i = 0; i < length; ++i) {
    const bool special = data.special_every > 0 && random.integer() % data.special_every == 0;
    next(memory_[offset + i], random, data, special);
  }
}

template class InputOf<float>;
template class InputOf<double>;
template class InputOf<bfloat16>;
template class InputOf<float16>;

template <class Value>
BatchOf<Value>::BatchOf(Recipe recipe, std::size_t away)
    : extent(recipe.extent),
      offset(away),
      random(recipe.seed),
      x(values(extent), offset, random, recipe.data),
      grad_output(values(extent), offset, random, {}),
      weight(extent.channels, offset, random, {}),
      bias(extent.channels, offset, random, {}),
      running_mean(extent.channels, offset, random, {}),
      running_variance(extent.channels, offset, random, {1, 1}),
      residual(values(extent), offset, random, {}) {}

template struct BatchOf<float>;
template struct BatchOf<double>;
template struct BatchOf<bfloat16>;
template struct BatchOf<float16>;

}  // namespace batchnorm::test
