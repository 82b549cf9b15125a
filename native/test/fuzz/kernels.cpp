// A libFuzzer target: each instruction set, with any number of threads, gives the bits of the
// scalar kernels on one; nothing is read beyond an input, nothing written but the outputs.
#include <cstdio>
#include <cstdlib>

#include "../../src/cache.h"
#include "operations.h"

namespace batchnorm {
namespace {
std::size_t bytes_of_cache;
}

// In the place of this machine's, so that small results go around the caches too.
std::size_t second_level_cache() { return bytes_of_cache; }

namespace test {
namespace {

void expect(const Outcome& found, const Outcome& expected, const Case& call, const char* set) {
  if (found == expected) return;
  const auto [here, there] = std::mismatch(found.begin(), found.end(), expected.begin());
  std::fprintf(stderr, "%s gives other bits, first in number %td of %zu: %llx in place of %llx\n",
               set, here - found.begin(), found.size(), static_cast<unsigned long long>(*here),
               static_cast<unsigned long long>(*there));
  describe(call);
  std::abort();
}

template <class Value>
void check(const Case& call) {
  use_instruction_set("scalar");
  set_threads(1);
  const Inputs<Value> inputs(call);
  const Outcome expected = Call<Value>(call, inputs, true).run();
  for (const char* const* name = supported_instruction_sets(); *name; ++name) {
    use_instruction_set(*name);
    set_threads(call.threads);
    expect(Call<Value>(call, inputs, false).run(), expected, call, *name);
  }
}

void check_any(const Case& call) {
  bytes_of_cache = call.second_level_cache;
  switch (call.type) {
    case Type::float32:
      return check<float>(call);
    case Type::float64:
      return check<double>(call);
    case Type::bfloat16:
      return check<bfloat16>(call);
    case Type::float16:
      return check<float16>(call);
  }
}

}  // namespace
}  // namespace test
}  // namespace batchnorm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  batchnorm::test::check_any(batchnorm::test::Case(bytes, size));
  return 0;
}
