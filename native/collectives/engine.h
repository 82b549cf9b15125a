// An engine as JavaScript sees it: an object whose calls run on the engine's thread.
#pragma once

#include <napi.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "thread.h"
#include "transport.h"

namespace batchnorm::collectives {

// Lives until the environment ends and the thread has left it.
class Engine : public std::enable_shared_from_this<Engine> {
 public:
  // Runs on the thread. What it returns runs in JavaScript's, and gives the value of the promise.
  using Then = std::function<Napi::Value(Napi::Env)>;
  using Work = std::function<Then()>;

  Engine(Napi::Env env, std::shared_ptr<Transport> transport, std::chrono::milliseconds longest_end)
      : transport_(std::move(transport)),
        longest_end_(longest_end),
        thread_(Thread::start()),
        to_javascript_(Napi::ThreadSafeFunction::New(
            env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "batchnorm collective",
            0, 1)) {
    // An engine that waits for nothing keeps no process alive.
    to_javascript_.Unref(env);
  }

  // One at a time, as the guard above takes care of.
  Napi::Value start(Napi::Env env, Work work) {
    auto deferred = Napi::Promise::Deferred::New(env);
    pending_.emplace(deferred);
    to_javascript_.Ref(env);
    thread_->post([self = shared_from_this(), work = std::move(work)] {
      self->then_ = nullptr;
      self->failure_.reset();
      self->attempt([&] { self->then_ = work(); });
      self->settle();
    });
    return deferred.Promise();
  }

  Napi::Value all_reduce(const Napi::CallbackInfo& info) {
    auto values = info[0].As<Napi::Float64Array>();
    thread_->call([&, data = values.Data(), count = values.ElementLength()] {
      failure_.reset();
      attempt([&] { transport_->all_reduce(data, count); });
    });
    if (failure_) throw error(info.Env(), *failure_);
    return info.Env().Undefined();
  }

  // On a copy, as JavaScript may free or resize its memory meanwhile.
  Napi::Value all_reduce_async(const Napi::CallbackInfo& info) {
    auto values = info[0].As<Napi::Float64Array>();
    auto sums = std::make_shared<std::vector<double>>(values.Data(),
                                                      values.Data() + values.ElementLength());
    array_ = Napi::Persistent(values);
    return start(info.Env(), [this, sums]() -> Then {
      transport_->all_reduce(sums->data(), sums->size());
      return [this, sums](Napi::Env env) {
        auto array = array_.Value();
        std::copy_n(sums->data(), std::min(sums->size(), array.ElementLength()), array.Data());
        return env.Undefined();
      };
    });
  }

  // An orderly end, unless something is under way, which fails.
  void close(Napi::Env env) {
    if (is_closed_) return;
    if (pending_) {
      pending_->Reject(error(env, Failure("ERR_COLLECTIVE_CLOSED", "closed")).Value());
      forget(env);
      interrupt();
    }
    stop();
  }

  // An end without that of the library, which would wait for the other ranks.
  void abandon() {
    if (is_closed_) return;
    interrupt();
    stop();
  }

  // The environment ends: nothing is called in it any more, and the library has a while for its own
  // end.
  void end() {
    if (std::exchange(has_ended_, true)) return;
    if (pending_) interrupt();
    stop();
    {
      std::lock_guard lock(mutex_);
      has_environment_ = false;
    }
    thread_->wait_for_end(is_interrupted_ ? std::chrono::milliseconds(100) : longest_end_);
    array_.SuppressDestruct();
  }

 private:
  void interrupt() {
    is_interrupted_ = true;
    transport_->interrupt();
  }

  void stop() {
    if (std::exchange(is_closed_, true)) return;
    thread_->post([self = shared_from_this()] {
      self->transport_->end(!self->is_interrupted_ && !self->has_failed_);
    });
    thread_->stop();
  }

  template <typename Action>
  void attempt(Action action) {
    try {
      action();
      return;
    } catch (const Failure& failure) {
      failure_ = failure;
    } catch (const std::exception& exception) {
      failure_ = Failure("ERR_COLLECTIVE_PEER_LOST", exception.what());
    }
    has_failed_ = true;
  }

  void settle() {
    std::lock_guard lock(mutex_);
    if (!has_environment_) return;
    to_javascript_.NonBlockingCall(this, [](Napi::Env env, Napi::Function, Engine* engine) {
      // The environment may be ending, where every call fails.
      if (static_cast<napi_env>(env) == nullptr) return;
      try {
        engine->settled(env);
      } catch (const Napi::Error&) {
      }
    });
  }

  void settled(Napi::Env env) {
    // It was closed meanwhile.
    if (!pending_) return;
    if (failure_) {
      pending_->Reject(error(env, *failure_).Value());
    } else {
      pending_->Resolve(then_(env));
    }
    then_ = nullptr;
    forget(env);
  }

  void forget(Napi::Env env) {
    pending_.reset();
    array_.Reset();
    to_javascript_.Unref(env);
  }

  static Napi::Error error(Napi::Env env, const Failure& failure) {
    auto error = Napi::Error::New(env, failure.what());
    error.Set("code", failure.code);
    return error;
  }

  const std::shared_ptr<Transport> transport_;
  const std::chrono::milliseconds longest_end_;
  std::shared_ptr<Thread> thread_;
  Napi::ThreadSafeFunction to_javascript_;

  // Of JavaScript's thread.
  std::optional<Napi::Promise::Deferred> pending_;
  Napi::Reference<Napi::Float64Array> array_;
  bool is_closed_ = false;
  bool has_ended_ = false;

  // Of the thread while it works, and of JavaScript's when it has ended.
  Then then_;
  std::optional<Failure> failure_;
  bool has_failed_ = false;

  std::atomic<bool> is_interrupted_{false};
  std::mutex mutex_;
  bool has_environment_ = true;
};

// The object of an engine, with the calls that all have.
inline Napi::Object face_of(Napi::Env env, const std::shared_ptr<Engine>& engine) {
  // It runs before the hook of the thread-safe function, which was added earlier.
  env.AddCleanupHook([engine] { engine->end(); });
  auto face = Napi::Object::New(env);
  auto add = [&](const char* name, auto method) {
    face.Set(name, Napi::Function::New(
                       env, [engine, method](const Napi::CallbackInfo& info) -> Napi::Value {
                         return method(*engine, info);
                       }));
  };
  add("allReduce",
      [](Engine& self, const Napi::CallbackInfo& info) { return self.all_reduce(info); });
  add("allReduceAsync",
      [](Engine& self, const Napi::CallbackInfo& info) { return self.all_reduce_async(info); });
  add("end", [](Engine& self, const Napi::CallbackInfo& info) {
    self.end();
    return info.Env().Undefined();
  });
  add("abandon", [](Engine& self, const Napi::CallbackInfo& info) {
    self.abandon();
    return info.Env().Undefined();
  });
  add("close", [](Engine& self, const Napi::CallbackInfo& info) {
    self.close(info.Env());
    return info.Env().Undefined();
  });
  return face;
}

}  // namespace batchnorm::collectives
