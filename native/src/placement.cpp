#include "placement.h"

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace batchnorm {

#if defined(__linux__)

void Placement::make_room(std::size_t workers) {
  const std::lock_guard<std::mutex> lock(mutex_);
  workers_.reserve(workers);
}

void Placement::add_this_thread() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  // Not gettid(), which asks for glibc 2.30.
  workers_.push_back(static_cast<int>(syscall(SYS_gettid)));
  processor_.store(-1, std::memory_order_relaxed);
}

void Placement::keep_off_this_processor() {
  const int here = sched_getcpu();
  if (here == processor_.load(std::memory_order_relaxed) || here < 0) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  processor_.store(here, std::memory_order_relaxed);
  cpu_set_t others;
  if (sched_getaffinity(0, sizeof others, &others) != 0) return;
  CPU_CLR(static_cast<unsigned>(here), &others);
  if (CPU_COUNT(&others) == 0) return;
  for (const int worker : workers_) sched_setaffinity(worker, sizeof others, &others);
}

#else

void Placement::make_room(std::size_t) {}
void Placement::add_this_thread() noexcept {}
void Placement::keep_off_this_processor() {}

#endif

}  // namespace batchnorm
