#include "faults.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>

namespace faults {
namespace {

// In the order of `kinds` in test/processes/faulting.ts.
enum Kind { none, calls, exceptions, allocations };

std::atomic<int> kind{none};
std::atomic<long> until_fault{0};
std::atomic<bool> is_for_good{false};
std::atomic<const char*> first{nullptr};  // what failed first

bool is_due(Kind asked, const char* name) {
  if (kind != asked) return false;
  const long left = --until_fault;
  if (left > 0 || (left < 0 && !is_for_good)) return false;
  const char* nothing = nullptr;
  first.compare_exchange_strong(nothing, name);
  return true;
}

// Those that run JavaScript of others, or may.
bool may_throw(const char* name) {
  for (const char* each : {"napi_get_element", "napi_set_element", "napi_set_named_property"}) {
    if (std::strcmp(name, each) == 0) return true;
  }
  return false;
}

void* allocate(std::size_t bytes) noexcept {
  return is_due(allocations, "an allocation") ? nullptr : std::malloc(bytes > 0 ? bytes : 1);
}

// injectFaults(kind, n, isForGood): what failed first of the faults before, or undefined.
napi_value inject(napi_env env, napi_callback_info info) {
  std::size_t count = 3;
  napi_value values[3];
  int wanted = none;
  std::int64_t nth = 0;
  bool for_good = false;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  napi_get_value_int32(env, values[0], &wanted);
  napi_get_value_int64(env, values[1], &nth);
  napi_get_value_bool(env, values[2], &for_good);
  kind = none;
  const char* name = first.exchange(nullptr);
  until_fault = nth;
  is_for_good = for_good;
  kind = wanted;
  napi_value result = nullptr;
  if (name) napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &result);
  return result;
}

}  // namespace

napi_status answer(napi_env env, const char* name) {
  if (may_throw(name) && is_due(exceptions, name)) {
    napi_throw_error(env, nullptr, "Expected no exception but received one");
    return napi_pending_exception;
  }
  if (!is_due(calls, name)) return napi_ok;
  // After a generic failure the real ones have freed the promise.
  return std::strstr(name, "_deferred") ? napi_pending_exception : napi_generic_failure;
}

}  // namespace faults

void* operator new(std::size_t bytes) {
  if (void* const memory = faults::allocate(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return faults::allocate(bytes);
}
void* operator new(std::size_t bytes, std::align_val_t line) {
  const auto alignment = static_cast<std::size_t>(line);
  const std::size_t lines = (bytes + alignment - 1) / alignment * alignment;
  if (faults::is_due(faults::allocations, "an aligned allocation")) throw std::bad_alloc();
  if (void* const memory = std::aligned_alloc(alignment, lines)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

// The addon's own, under the name that faults.cmake gives it.
extern "C" napi_value register_addon(napi_env env, napi_value exports);

extern "C" NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function = nullptr;
  napi_create_function(env, "injectFaults", NAPI_AUTO_LENGTH, faults::inject, nullptr, &function);
  napi_set_named_property(env, exports, "injectFaults", function);
  return register_addon(env, exports);
}
