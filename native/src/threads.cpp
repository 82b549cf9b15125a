#include "threads.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <system_error>
#include <thread>

#include "batchnorm/batchnorm.h"
#include "isa/cpu.h"
#include "placement.h"

#if defined(_WIN32)
#include <condition_variable>
#include <mutex>
#else
#include <pthread.h>
#endif

namespace batchnorm {
namespace {

#if defined(_WIN32)
class Bell {
 public:
  // Sleeps until `value` is no longer `old`.
  void wait(const std::atomic<unsigned>& value, unsigned old) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return value.load() != old; });
  }
  void ring() {
    { std::lock_guard<std::mutex> lock(mutex_); }
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};
#else
// pthread's own, because std::condition_variable::wait would ask for GLIBCXX_3.4.30 (GCC 12).
class Bell {
 public:
  // Sleeps until `value` is no longer `old`.
  void wait(const std::atomic<unsigned>& value, unsigned old) {
    pthread_mutex_lock(&mutex_);
    while (value.load() == old) pthread_cond_wait(&changed_, &mutex_);
    pthread_mutex_unlock(&mutex_);
  }
  void ring() {
    pthread_mutex_lock(&mutex_);
    pthread_mutex_unlock(&mutex_);
    pthread_cond_broadcast(&changed_);
  }

 private:
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
};
#endif

// A worker that finds nothing to do looks again this many times, about 50 microseconds, before it
// goes to sleep: the next call of a training step often comes within that, and waking a sleeper
// costs 6 to 12 microseconds.
constexpr int spins = 1000;

// A pool larger than any machine would only eat memory.
constexpr unsigned most_threads = 1024;

class Pool {
 public:
  unsigned threads() const { return threads_.load(std::memory_order_relaxed); }
  void set_threads(unsigned count) {
    threads_.store(std::min(std::max(count, 1u), most_threads), std::memory_order_relaxed);
  }

  void run(std::size_t count, void (*task)(const void*, std::size_t), const void* context) {
    const unsigned wanted = threads();
    if (count < 2 || wanted < 2 || owned_.test_and_set(std::memory_order_acquire)) {
      for (std::size_t index = 0; index < count; ++index) task(context, index);
      return;
    }
    start_workers(wanted - 1);
    placement_.keep_off_this_processor();
    task_ = task;
    context_ = context;
    unclaimed_.store(static_cast<std::ptrdiff_t>(count), std::memory_order_relaxed);
    next_.store(count, std::memory_order_relaxed);
    helpers_.store(wanted - 1, std::memory_order_relaxed);
    open_.store(true);
    round_.fetch_add(1);
    if (asleep_.load() > 0) bell_.ring();

    for (std::size_t index = 0; claim(); ++index) task_(context_, index);
    // A worker that comes now finds the round closed and leaves the task alone; those inside
    // finish.
    open_.store(false);
    while (inside_.load() > 0) cpu_pause();
    owned_.clear(std::memory_order_release);
  }

 private:
  // Whether a task is left for the one who asks. The caller takes its tasks from the front and the
  // workers from the back, so that call after call each finds in its cache what it had there.
  bool claim() { return unclaimed_.fetch_sub(1, std::memory_order_relaxed) > 0; }

  void take_tasks() {
    while (claim()) task_(context_, next_.fetch_sub(1, std::memory_order_relaxed) - 1);
  }

  void start_workers(unsigned wanted) noexcept {
    try {
      for (; started_ < wanted; ++started_) {
        placement_.make_room(started_ + 1);  // what runs on a thread must not throw
        std::thread(&Pool::work, this).detach();
      }
    } catch (const std::system_error&) {
      // The system has no more threads to give; those that run will do.
    } catch (const std::bad_alloc&) {
      // Nor more memory.
    }
  }

  void work() {
    placement_.add_this_thread();
    unsigned seen = 0;
    for (;;) {
      wait_for_round(seen);
      seen = round_.load();
      inside_.fetch_add(1);
      if (open_.load() && helpers_.fetch_sub(1) > 0) take_tasks();
      inside_.fetch_sub(1);
    }
  }

  void wait_for_round(unsigned seen) {
    for (int spin = 0; spin < spins; ++spin) {
      if (round_.load(std::memory_order_acquire) != seen) return;
      cpu_pause();
    }
    asleep_.fetch_add(1);
    bell_.wait(round_, seen);
    asleep_.fetch_sub(1);
  }

  static unsigned default_threads() {
    const unsigned count = std::thread::hardware_concurrency();
    return count > 0 ? count : 1;
  }

  std::atomic_flag owned_ = ATOMIC_FLAG_INIT;  // by the caller whose tasks are being done
  std::atomic<unsigned> threads_{default_threads()};
  unsigned started_ = 0;
  Placement placement_;

  void (*task_)(const void*, std::size_t) = nullptr;
  const void* context_ = nullptr;

  alignas(64) std::atomic<std::ptrdiff_t> unclaimed_{0};  // tasks; below 0 when all are claimed
  std::atomic<std::size_t> next_{0};                      // the workers' next task is before it
  alignas(64) std::atomic<unsigned> round_{0};
  std::atomic<bool> open_{false};
  std::atomic<int> helpers_{0};  // how many more may join, when fewer threads are wanted than run
  std::atomic<int> inside_{0};
  std::atomic<int> asleep_{0};
  Bell bell_;
};

// Never destroyed: its threads outlive main, and a worker_thread's exit.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

unsigned threads() { return pool().threads(); }
void set_threads(unsigned count) { pool().set_threads(count); }

void run_tasks(std::size_t count, void (*task)(const void* context, std::size_t index),
               const void* context) {
  pool().run(count, task, context);
}

}  // namespace batchnorm
