// Faults on demand: the n-th call of Node-API that the addon makes fails, or its n-th allocation;
// once, or each from there on. addon.cpp is compiled with a macro for each function of Node-API
// (faults.cmake writes them).
#pragma once

#include <node_api.h>

namespace faults {

// What the call is to answer: napi_ok where it is to be made.
napi_status answer(napi_env env, const char* name);

template <class Parameter>
struct Same {
  using type = Parameter;
};

template <class... Parameters>
napi_status call(const char* name, napi_status (*function)(napi_env, Parameters...), napi_env env,
                 typename Same<Parameters>::type... arguments) {
  const napi_status status = answer(env, name);
  return status == napi_ok ? function(env, arguments...) : status;
}

}  // namespace faults
