// The bits of the specification, lib/backend/typescript, as known-answers.ts wrote them down.
#include <doctest.h>

#include "answers.h"
#include "configurations.h"

namespace batchnorm::test {
namespace {

enum class Type { float32, float64, bfloat16, float16 };

struct KnownAnswer {
  Type type;
  Recipe recipe;
  Answers answers;
};

const KnownAnswer known_answers[] = {
#include "known_answers.inc"
};

template <class Value>
void check_known(Recipe recipe, const Answers& expected) {
  const BatchOf<Value> batch(recipe);
  for_each_instruction_set([&] {
    for (const unsigned count : {1, 4}) {
      set_threads(count);
      INFO(count, " threads");
      check_equal(answers(batch), expected);
    }
  });
}

}  // namespace

TEST_CASE("every instruction set gives the bits of the specification") {
  for (const KnownAnswer& known : known_answers) {
    const Recipe& recipe = known.recipe;
    const Answers& expected = known.answers;
    INFO("type ", static_cast<int>(known.type), ", (", recipe.extent.outer, ", ",
         recipe.extent.channels, ", ", recipe.extent.inner, "), seed ", recipe.seed);
    switch (known.type) {
      case Type::float32:
        check_known<float>(recipe, expected);
        break;
      case Type::float64:
        check_known<double>(recipe, expected);
        break;
      case Type::bfloat16:
        check_known<bfloat16>(recipe, expected);
        break;
      case Type::float16:
        check_known<float16>(recipe, expected);
        break;
    }
  }
}

}  // namespace batchnorm::test
