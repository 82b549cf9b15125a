// The bits of the specification, lib/backend/typescript, as known-answers.ts wrote them down.
#include <doctest.h>

#include "answers.h"
#include "configurations.h"

namespace batchnorm::test {
namespace {

struct KnownAnswer {
  Recipe recipe;
  Answers answers;
};

const KnownAnswer known_answers[] = {
#include "known_answers.inc"
};

}  // namespace

TEST_CASE("every instruction set gives the bits of the specification") {
  for (const auto& [recipe, expected] : known_answers) {
    const Batch batch(recipe);
    const auto [outer, channels, inner] = recipe.extent;
    INFO("(", outer, ", ", channels, ", ", inner, "), seed ", recipe.seed);
    for_each_instruction_set([&, &wanted = expected] {
      for (const unsigned count : {1, 4}) {
        set_threads(count);
        INFO(count, " threads");
        check_equal(answers(batch), wanted);
      }
    });
  }
}

}  // namespace batchnorm::test
