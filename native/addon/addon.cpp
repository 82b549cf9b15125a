// The glue between JavaScript and batchnorm.h: unpack, call, return.

// A worker_thread that is being terminated takes no exception any more; without this, throwing one
// aborts the process.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>

#include "call.h"
#include "operations/backward.h"
#include "operations/channels.h"
#include "operations/forward.h"
#include "output_memory.h"

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

// Runs when an array over a block is collected, on the thread that made it.
void collect(napi_env, void*, void* hint) {
  OutputMemory::shared().collect(static_cast<OutputMemory::Block*>(hint));
}

// (bytes): ArrayBuffer, or undefined where there is no such memory
napi_value take_output(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const std::size_t bytes = Arguments(env, info).size();
    OutputMemory::Block* block = OutputMemory::shared().take(bytes);
    if (!block) return nullptr;
    napi_value buffer = nullptr;
    const napi_status status =
        napi_create_external_arraybuffer(env, block->data, bytes, collect, block, &buffer);
    if (status == napi_ok) return buffer;
    // Some hosts (Electron) allow no memory but their own.
    OutputMemory::shared().collect(block);
    return nullptr;
  });
}

// (ArrayBuffer): boolean, whether it was such memory; it is detached then
napi_value return_output(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    std::size_t count = 1;
    napi_value buffer = nullptr;
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, &buffer, nullptr, nullptr);
    if (napi_get_arraybuffer_info(env, buffer, &data, nullptr) != napi_ok) {
      throw Napi::TypeError::New(env, "Expected argument 1 to be an ArrayBuffer");
    }
    OutputMemory::Block* block = OutputMemory::shared().find(data);
    const bool ours = block && napi_detach_arraybuffer(env, buffer) == napi_ok;
    if (ours) OutputMemory::shared().give_back(*block);
    return Napi::Boolean::New(env, ours);
  });
}

// (): [used, waiting, limit] in bytes
napi_value output_memory(napi_env env, napi_callback_info) {
  return guarded(env, [&]() -> napi_value {
    const OutputMemory& memory = OutputMemory::shared();
    Napi::Array sizes = Napi::Array::New(env, 3);
    sizes.Set(0u, static_cast<double>(memory.used_bytes()));
    sizes.Set(1u, static_cast<double>(memory.waiting_bytes()));
    sizes.Set(2u, static_cast<double>(memory.limit()));
    return sizes;
  });
}

// (bytes)
napi_value set_output_memory_limit(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    OutputMemory::shared().set_limit(Arguments(env, info).size());
    return nullptr;
  });
}

}  // namespace
}  // namespace addon

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  using namespace addon;
  const auto add = [&](const char* name, napi_callback function) {
    napi_value value = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    exports.Set(name, value);
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
  add("inputGradient", call_of_values<InputGradient>);
  add("supportedInstructionSets", supported_instruction_sets);
  add("instructionSet", instruction_set);
  add("useInstructionSet", use_instruction_set);
  add("takeOutput", take_output);
  add("returnOutput", return_output);
  add("outputMemory", output_memory);
  add("setOutputMemoryLimit", set_output_memory_limit);
  add("threads", threads);
  add("setNumThreads", set_threads);
  return exports;
}

NODE_API_MODULE(batchnorm, initialize)
