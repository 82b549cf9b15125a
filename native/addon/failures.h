// What goes wrong on this side, as C++ exceptions until JavaScript is reached. Not as Napi::Error:
// that asks Node-API for an object, and ends the process where that fails too.
#pragma once

#include <napi.h>

#include <new>
#include <string>

namespace addon {

// An argument is not what it has to be.
struct Mistake {
  std::string message;
};

// A call of Node-API failed. Where it threw, a JavaScript exception is pending.
struct Refusal {};

inline void require(napi_status status) {
  if (status != napi_ok) throw Refusal();
}

// Calls work; what that throws becomes a JavaScript exception. No call that succeeds returns
// undefined: JavaScript takes it for a failure that could not even be thrown.
template <class Work>
napi_value guarded(napi_env env, const Work& work) {
  try {
    return work();
  } catch (const Mistake& mistake) {
    napi_throw_type_error(env, nullptr, mistake.message.c_str());
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, "ENOMEM", "Expected scratch memory but the system has none left");
  } catch (const Refusal&) {
    napi_throw_error(env, nullptr, "Expected Node-API to serve the addon but a call of it failed");
  }
  return nullptr;
}

// true and false, taken before anything is changed: after that nothing may fail.
class Answers {
 public:
  explicit Answers(napi_env env) {
    require(napi_get_boolean(env, true, &yes_));
    require(napi_get_boolean(env, false, &no_));
  }
  napi_value operator()(bool answer) const { return answer ? yes_ : no_; }

 private:
  napi_value yes_ = nullptr;
  napi_value no_ = nullptr;
};

}  // namespace addon
