// Running the shares of a call, on one thread or on several.
#pragma once

#include "threads.h"

namespace batchnorm {

template <class Task>
void run_shares(bool shared, std::size_t count, const Task& task) {
  if (shared) {
    parallel_for(count, task);
  } else {
    for (std::size_t index = 0; index < count; ++index) task(index);
  }
}

}  // namespace batchnorm
