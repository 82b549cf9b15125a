// The glue between JavaScript and batchnorm.h: unpack, call, return.

#include <napi.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "batchnorm_identity.h"
#include "call.h"
#include "huge_pages.h"
#include "operations/backward.h"
#include "operations/channels.h"
#include "operations/forward.h"

namespace addon {
namespace {

napi_value text(napi_env env, const char* characters) {
  napi_value value = nullptr;
  require(napi_create_string_utf8(env, characters, NAPI_AUTO_LENGTH, &value));
  return value;
}

// (): string[], best first
napi_value supported_instruction_sets(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    napi_value names = nullptr;
    require(napi_create_array(env, &names));
    std::uint32_t count = 0;
    for (const char* const* name = batchnorm::supported_instruction_sets(); *name; ++name) {
      require(napi_set_element(env, names, count++, text(env, *name)));
    }
    return names;
  });
}

// (): string
napi_value instruction_set(napi_env env, napi_callback_info) {
  return guarded(env, [&] { return text(env, batchnorm::instruction_set()); });
}

// (name): boolean, whether it is supported
napi_value use_instruction_set(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Answers answers(env);
    const std::string name = Arguments(env, info, "name").string();
    return answers(batchnorm::use_instruction_set(name.c_str()));
  });
}

// (): number
napi_value threads(napi_env env, napi_callback_info) {
  return guarded(env, [&] {
    napi_value count = nullptr;
    require(napi_create_uint32(env, batchnorm::threads(), &count));
    return count;
  });
}

// (count): true
napi_value set_threads(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Answers answers(env);
    batchnorm::set_threads(static_cast<unsigned>(Arguments(env, info, "count").size()));
    return answers(true);
  });
}

// (buffer): true
napi_value advise_huge_pages(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const Answers answers(env);
    const auto [data, bytes] = Arguments(env, info, "buffer").buffer();
    ask_for_huge_pages(data, bytes);
    return answers(true);
  });
}

// glibc maps large blocks one by one and gives them back to the system, so that each output of 128
// KiB and more would pay for the first touch of every page: (1000, 128) 1300 us instead of 70. It
// does so only above the largest block of up to 32 MiB that was ever freed. This frees one,
// untouched; glibc takes no notice if the process has set MALLOC_MMAP_THRESHOLD_.
void keep_large_blocks() {
#if defined(__GLIBC__)
  static const bool done = [] {
    // Volatile, or the compiler leaves both calls out.
    void* volatile block = std::malloc(std::size_t{31} << 20);
    std::free(block);
    return true;
  }();
  static_cast<void>(done);
#endif
}

void fill(napi_env env, napi_value exports) {
  const auto add = [&](const char* name, napi_callback function) {
    napi_value value = nullptr;
    require(napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value));
    require(napi_set_named_property(env, exports, name, value));
  };
  add("statistics", call_of_values<Statistics>);
  add("statisticsAsync", start_of_values<Statistics>);
  add("merge", call<Merge>);
  add("updateRunning", call_of_parameters<UpdateRunning>);
  add("evalStatistics", call_of_parameters<EvalStatistics>);
  add("normalize", call_of_values<Normalize>);
  add("normalizeAsync", start_of_values<Normalize>);
  add("forward", call_of_values<Forward>);
  add("forwardAsync", start_of_values<Forward>);
  add("backward", call_of_values<Backward>);
  add("backwardAsync", start_of_values<Backward>);
  add("gradientSums", call_of_values<GradientSums>);
  add("gradientSumsAsync", start_of_values<GradientSums>);
  add("inputGradient", call_of_values<InputGradient>);
  add("inputGradientAsync", start_of_values<InputGradient>);
  add("adviseHugePages", advise_huge_pages);
  add("supportedInstructionSets", supported_instruction_sets);
  add("instructionSet", instruction_set);
  add("useInstructionSet", use_instruction_set);
  add("threads", threads);
  add("setNumThreads", set_threads);
  // Last: without it the addon is refused, as it is where one of these calls failed.
  const napi_value package = text(env, BATCHNORM_IDENTITY);
  require(napi_set_named_property(env, exports, "package", package));
}

}  // namespace
}  // namespace addon

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  addon::keep_large_blocks();
  addon::guarded(env, [&]() -> napi_value {
    addon::fill(env, exports);
    return nullptr;
  });
  return exports;
}

NODE_API_MODULE(batchnorm, initialize)
