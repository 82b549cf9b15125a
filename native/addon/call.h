// Running an operation: at once, or on a thread of libuv's, with a promise.
#pragma once

#include <napi.h>

#include <memory>
#include <new>
#include <optional>
#include <type_traits>

#include "arguments.h"
#include "failures.h"

namespace addon {

// An operation is a constructor that unpacks the arguments, in the order of its `parameters`, and
// run, which touches no JavaScript and so may run on any thread. It answers true if it has nothing
// else to say.
template <class Operation>
napi_value run(Arguments& arguments) {
  const Answers answers(arguments.env());
  return answers(Operation(arguments).run());
}

// An operation under way. Raw Node-API, because a Napi::AsyncWorker aborts the process when its
// worker_thread is terminated meanwhile. Node waits for it before it frees a thread's memory.
template <class Operation>
class Pending {
 public:
  // Returns a promise of the answer. It is rejected with undefined where there is none.
  static napi_value start(Arguments& arguments) {
    std::unique_ptr<Pending> pending(new Pending(arguments));
    const napi_value promise = pending->queue(arguments.kept());
    static_cast<void>(pending.release());  // it is complete's now
    return promise;
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() {
    napi_delete_reference(env_, kept_);
    napi_delete_async_work(env_, work_);
  }

 private:
  explicit Pending(Arguments& arguments) : env_(arguments.env()), operation_(arguments) {}

  napi_value queue(napi_value arguments) {
    napi_value name = nullptr;
    napi_value promise = nullptr;
    require(napi_create_reference(env_, arguments, 1, &kept_));
    require(napi_create_string_utf8(env_, "batchnorm", NAPI_AUTO_LENGTH, &name));
    require(napi_create_async_work(env_, nullptr, name, execute, complete, this, &work_));
    require(napi_create_promise(env_, &promise_, &promise));
    if (napi_queue_async_work(env_, work_) != napi_ok) {
      // Nobody will see the promise; it is settled so that it can be freed.
      napi_resolve_deferred(env_, promise_, name);
      throw Refusal();
    }
    return promise;
  }

  static void execute(napi_env, void* data) {
    Pending& self = *static_cast<Pending*>(data);
    try {
      self.answer_ = self.operation_.run();
    } catch (const std::bad_alloc&) {
    }
  }

  // Within a handle scope of Node's.
  static void complete(napi_env, napi_status, void* data) {
    const std::unique_ptr<Pending> self(static_cast<Pending*>(data));
    if (!self->resolve()) self->reject();
  }

  bool resolve() {
    napi_value value = nullptr;
    if (!answer_ || napi_get_boolean(env_, *answer_, &value) != napi_ok) return false;
    const napi_status status = napi_resolve_deferred(env_, promise_, value);
    // After a generic failure the deferred is freed: V8 was asked, and is ending.
    return status == napi_ok || status == napi_generic_failure;
  }
  // By calls that resolve does not make. Where they fail too the thread is ending, and there is
  // nobody to tell.
  void reject() {
    napi_value value = nullptr;
    if (napi_get_undefined(env_, &value) == napi_ok) napi_reject_deferred(env_, promise_, value);
  }

  napi_env env_;
  Operation operation_;
  std::optional<bool> answer_;
  napi_ref kept_ = nullptr;  // the arguments, so that no array is collected
  napi_async_work work_ = nullptr;
  napi_deferred promise_ = nullptr;
};

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
        return Pending<Chosen>::start(arguments);
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
