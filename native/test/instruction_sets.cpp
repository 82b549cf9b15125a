#include <doctest.h>

#include <string>
#include <vector>

#include "configurations.h"

namespace batchnorm::test {
namespace {

std::vector<std::string> supported() {
  std::vector<std::string> names;
  for (const char* const* name = supported_instruction_sets(); *name; ++name) {
    names.emplace_back(*name);
  }
  return names;
}

}  // namespace

TEST_CASE("the best instruction set is in use until another is chosen, and scalar is the last") {
  CHECK(instruction_set() == supported().front());
  CHECK(supported().back() == "scalar");
#if defined(__x86_64__)
  CHECK(supported()[supported().size() - 2] == "sse2");
#elif defined(__aarch64__)
  CHECK(supported() == std::vector<std::string>{"neon", "scalar"});
#endif
}

TEST_CASE("an unknown instruction set is refused, and the one in use stays") {
  for_each_instruction_set([] {
    const std::string before = instruction_set();
    for (const char* name : {"", "AVX2", "avx", "avx5122", "scalar ", "altivec"}) {
      CHECK(!use_instruction_set(name));
      CHECK(instruction_set() == before);
    }
  });
}

}  // namespace batchnorm::test
