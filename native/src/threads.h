// The thread pool. It hands out tasks by number; which thread takes which task never shows in a
// result.
#pragma once

#include <cstddef>

namespace batchnorm {

// Calls task(0) ... task(count - 1), each once, on the calling thread and on as many of the pool's
// as are awake in time. The caller takes tasks too, and waits at the end only for tasks that have
// been started: never for a thread that is asleep. Calls from several threads at once are fine; one
// of them has the pool, the others work alone.
void run_tasks(std::size_t count, void (*task)(const void* context, std::size_t index),
               const void* context);

template <class Task>
void parallel_for(std::size_t count, const Task& task) {
  run_tasks(
      count,
      [](const void* context, std::size_t index) { (*static_cast<const Task*>(context))(index); },
      &task);
}

}  // namespace batchnorm
