// Where the pool's threads may run.
#pragma once

#include <thread>
#include <vector>

namespace batchnorm {

// Keeps workers off the processor that the caller runs on. Linux may wake a worker there, behind
// the caller, while another processor is idle, and leave it there call after call, because it
// sleeps again before a balancer sees it: after a pause of 50 ms, (4096, 256) often took two
// threads as long as one for 20 ms and more. Elsewhere than on Linux it does nothing.
class Placement {
 public:
  // Memory for one more; throws std::bad_alloc.
  void make_room();
  // There is room for it.
  void add(std::thread& worker) noexcept;

  // To be called by the caller before each round; does nothing while it stays where it was.
  void keep_off_this_processor();

 private:
  std::vector<std::thread::native_handle_type> workers_;
  int processor_ = -1;  // that the workers are kept off
};

}  // namespace batchnorm
