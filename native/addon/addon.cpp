// The glue between JavaScript and batchnorm.h: unpack, call, return.
#include <napi.h>

#include "call.h"
#include "operations.h"

namespace addon {
namespace {

// (): string[], best first
napi_value supported_instruction_sets(napi_env env, napi_callback_info) {
  return guarded(env, [&]() -> napi_value {
    Napi::Array names = Napi::Array::New(env);
    for (const char* const* name = batchnorm::supported_instruction_sets(); *name; ++name) {
      names.Set(names.Length(), *name);
    }
    return names;
  });
}

// (): string
napi_value instruction_set(napi_env env, napi_callback_info) {
  return guarded(
      env, [&]() -> napi_value { return Napi::String::New(env, batchnorm::instruction_set()); });
}

// (name): boolean, whether it is supported
napi_value use_instruction_set(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const std::string name = Arguments(env, info).string();
    return Napi::Boolean::New(env, batchnorm::use_instruction_set(name.c_str()));
  });
}

// (): number
napi_value threads(napi_env env, napi_callback_info) {
  return guarded(env, [&]() -> napi_value { return Napi::Number::New(env, batchnorm::threads()); });
}

// (count)
napi_value set_threads(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    batchnorm::set_threads(static_cast<unsigned>(Arguments(env, info).size()));
    return nullptr;
  });
}

}  // namespace
}  // namespace addon

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  using namespace addon;
  const auto add = [&](const char* name, napi_callback function) {
    napi_value value;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    exports.Set(name, value);
  };
  add("statistics", call<Statistics>);
  add("merge", call<Merge>);
  add("updateRunning", call<UpdateRunning>);
  add("evalStatistics", call<EvalStatistics>);
  add("normalize", call<Normalize>);
  add("normalizeAsync", call_async<Normalize>);
  add("forward", call<Forward>);
  add("forwardAsync", call_async<Forward>);
  add("backward", call<Backward>);
  add("backwardAsync", call_async<Backward>);
  add("supportedInstructionSets", supported_instruction_sets);
  add("instructionSet", instruction_set);
  add("useInstructionSet", use_instruction_set);
  add("threads", threads);
  add("setNumThreads", set_threads);
  return exports;
}

NODE_API_MODULE(batchnorm, initialize)
