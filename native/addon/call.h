// Running an operation: at once, or on a thread of libuv's, with a promise.
#pragma once

#include <napi.h>

#include <new>
#include <type_traits>

#include "arguments.h"

namespace addon {

constexpr const char* out_of_memory = "Expected scratch memory but the system has none left";

// Calls unpack, which may throw; what it throws becomes a JavaScript exception.
template <class Unpack>
napi_value guarded(napi_env env, const Unpack& unpack) {
  try {
    return unpack();
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, "ENOMEM", out_of_memory);
  }
  return nullptr;
}

// An operation is a constructor that unpacks the arguments, in the order of its `parameters`, and
// run, which touches no JavaScript and so may run on any thread.
template <class Operation>
napi_value run(Arguments& arguments) {
  Operation operation(arguments);
  operation.run();
  napi_value value = nullptr;
  operation.result(arguments.env(), &value);
  return value;
}

// An operation under way. Raw Node-API, because a Napi::AsyncWorker aborts the process when its
// worker_thread is terminated meanwhile. Node waits for it before it frees a thread's memory.
template <class Operation>
struct Pending {
  Operation operation;
  napi_ref kept = nullptr;  // the arguments, so that no array is collected
  napi_deferred promise = nullptr;
  napi_async_work work = nullptr;
  bool failed = false;

  static void execute(napi_env, void* data) {
    Pending& self = *static_cast<Pending*>(data);
    try {
      self.operation.run();
    } catch (const std::bad_alloc&) {
      self.failed = true;
    }
  }

  // The thread may be ending: then every call fails, and there is nobody to tell.
  static void complete(napi_env env, napi_status, void* data) {
    Pending* self = static_cast<Pending*>(data);
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) == napi_ok) {
      settle(env, *self);
      napi_close_handle_scope(env, scope);
    }
    napi_delete_reference(env, self->kept);
    napi_delete_async_work(env, self->work);
    delete self;
  }

  static void settle(napi_env env, Pending& self) {
    napi_value value = nullptr;
    if (self.failed) {
      napi_value message;
      if (napi_create_string_utf8(env, out_of_memory, NAPI_AUTO_LENGTH, &message) != napi_ok)
        return;
      if (napi_create_error(env, nullptr, message, &value) != napi_ok) return;
      napi_reject_deferred(env, self.promise, value);
    } else {
      if (self.operation.result(env, &value) != napi_ok) return;
      napi_resolve_deferred(env, self.promise, value);
    }
  }
};

template <class Operation>
napi_value start(Arguments& arguments) {
  const napi_env env = arguments.env();
  auto* pending = new Pending<Operation>{Operation(arguments)};
  napi_value promise = nullptr;
  napi_value name = nullptr;
  const bool is_queued =
      napi_create_reference(env, arguments.kept(), 1, &pending->kept) == napi_ok &&
      napi_create_promise(env, &pending->promise, &promise) == napi_ok &&
      napi_create_string_utf8(env, "batchnorm", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_async_work(env, nullptr, name, Pending<Operation>::execute,
                             Pending<Operation>::complete, pending, &pending->work) == napi_ok &&
      napi_queue_async_work(env, pending->work) == napi_ok;
  if (!is_queued) {
    // Nobody would ever settle the promise.
    const Napi::Error error = Napi::Error::New(env);
    napi_delete_reference(env, pending->kept);
    napi_delete_async_work(env, pending->work);
    delete pending;
    throw error;
  }
  return promise;
}

// What JavaScript calls. Where the first argument is a type (0 float32, 1 float64, 2 bfloat16,
// 3 float16), it chooses among the operations of that name.

template <class Operation>
napi_value call(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    Arguments arguments(env, info, Operation::parameters);
    return run<Operation>(arguments);
  });
}

// For each type of parameters and running buffers.
template <template <class> class Operation>
napi_value call_of_parameters(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    Arguments arguments(env, info, Operation<float>::parameters);
    switch (arguments.size()) {
      case 0:
        return run<Operation<float>>(arguments);
      case 1:
        return run<Operation<double>>(arguments);
      default:
        arguments.fail("0 or 1");
    }
  });
}

// For each type of values: at once, or on another thread, with a promise.
template <template <class> class Operation, bool at_once>
napi_value for_values(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    Arguments arguments(env, info, Operation<float>::parameters);
    const auto perform = [&](auto* operation) {
      using Chosen = std::remove_pointer_t<decltype(operation)>;
      if constexpr (at_once)
        return run<Chosen>(arguments);
      else
        return start<Chosen>(arguments);
    };
    switch (arguments.size()) {
      case 0:
        return perform(static_cast<Operation<float>*>(nullptr));
      case 1:
        return perform(static_cast<Operation<double>*>(nullptr));
      case 2:
        return perform(static_cast<Operation<batchnorm::bfloat16>*>(nullptr));
      case 3:
        return perform(static_cast<Operation<batchnorm::float16>*>(nullptr));
      default:
        arguments.fail("0, 1, 2 or 3");
    }
  });
}
template <template <class> class Operation>
constexpr napi_callback call_of_values = for_values<Operation, true>;
template <template <class> class Operation>
constexpr napi_callback start_of_values = for_values<Operation, false>;

}  // namespace addon
