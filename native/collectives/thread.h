// The thread of an engine, on which its library is called.
//
// Not one of libuv's pool: a collective waits for other processes, and the pool's other users, and
// the end of this process, would wait with it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>

namespace batchnorm::collectives {

class Thread {
 public:
  using Task = std::function<void()>;

  // Detached: it may be in a library that does not come back. It keeps alive what its tasks keep.
  static std::shared_ptr<Thread> start() {
    auto thread = std::make_shared<Thread>();
    std::thread([thread] { thread->run(); }).detach();
    return thread;
  }

  void post(Task task) {
    std::lock_guard lock(mutex_);
    tasks_.push(std::move(task));
    changed_.notify_all();
  }

  // Waits until a task has run.
  void call(const Task& task) {
    bool is_done = false;
    post([&] {
      task();
      std::lock_guard lock(mutex_);
      is_done = true;
      changed_.notify_all();
    });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is_done; });
  }

  // Runs what was posted, and no more after it.
  void stop() {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }

  // After stop. Gives up at the limit.
  void wait_for_end(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, [&] { return has_ended_; });
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return is_stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) break;
      auto task = std::move(tasks_.front());
      tasks_.pop();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
    has_ended_ = true;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<Task> tasks_;
  bool is_stopping_ = false;
  bool has_ended_ = false;
};

}  // namespace batchnorm::collectives
