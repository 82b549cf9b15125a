#include "placement.h"

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace batchnorm {

#if defined(__linux__)

void Placement::make_room() { workers_.reserve(workers_.size() + 1); }

void Placement::add(std::thread& worker) noexcept {
  workers_.push_back(worker.native_handle());
  processor_ = -1;
}

void Placement::keep_off_this_processor() {
  const int here = sched_getcpu();
  if (here == processor_ || here < 0) return;
  processor_ = here;
  cpu_set_t others;
  if (sched_getaffinity(0, sizeof others, &others) != 0) return;
  CPU_CLR(static_cast<unsigned>(here), &others);
  if (CPU_COUNT(&others) == 0) return;
  for (const pthread_t worker : workers_) pthread_setaffinity_np(worker, sizeof others, &others);
}

#else

void Placement::make_room() {}
void Placement::add(std::thread&) noexcept {}
void Placement::keep_off_this_processor() {}

#endif

}  // namespace batchnorm
