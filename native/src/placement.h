// Where the pool's threads may run.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

namespace batchnorm {

// Keeps workers off the processor that the caller runs on. Linux may wake a worker there, behind
// the caller, while another processor is idle, and leave it there call after call, because it
// sleeps again before a balancer sees it: after a pause of 50 ms, (4096, 256) often took two
// threads as long as one for 20 ms and more. Elsewhere than on Linux it does nothing.
class Placement {
 public:
  // Memory for so many workers; throws std::bad_alloc.
  void make_room(std::size_t workers);
  // Each worker calls it once, on its own thread. There is room for it.
  void add_this_thread() noexcept;

  // To be called by the caller before each round; does nothing while it stays where it was.
  void keep_off_this_processor();

 private:
  // The system's numbers of the workers, which only they know. pthread_setaffinity_np would do
  // without, but asks for glibc 2.34.
  std::vector<int> workers_;
  std::mutex mutex_;                // of workers_
  std::atomic<int> processor_{-1};  // that all of them are kept off
};

}  // namespace batchnorm
