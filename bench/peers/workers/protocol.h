// The line protocol of bench/peers/worker.ts for a C++ program: reads requests from standard input
// and answers each with one line on standard output.
//
//   load FOLDER OUTER CHANNELS INNER          ok
//   time OPERATION THREADS CALLS SAMPLES      SAMPLES numbers: microseconds a call, each the mean
//   of
//                                             CALLS calls; then, if there is one, # and a note
//   values OPERATION THREADS STRIDE           every STRIDE-th value of the first result of one
//   call,
//                                             and all values of the others
//
// An answer that begins with `error` says what went wrong.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "memory.h"

namespace bench {

struct Extent {
  std::size_t outer;
  std::size_t channels;
  std::size_t inner;
  std::size_t size() const { return outer * channels * inner; }
};

struct View {
  const float* data;
  std::size_t size;
};

inline View view(const Floats& floats) { return {floats.data(), floats.size()}; }

class Worker {
 public:
  virtual ~Worker() = default;
  // Whose speed is measured: a name and a version.
  virtual std::string title() const = 0;
  virtual void load(const std::string& folder, Extent extent) = 0;
  // One call, ready to be timed as often as wanted.
  virtual std::function<void()> call(const std::string& operation, unsigned threads) = 0;
  // What the last call of `operation` wrote: the large result, in the order of (outer, channels,
  // inner), then the small ones.
  virtual std::vector<View> results(const std::string& operation) = 0;
  virtual std::string note(const std::string&, unsigned) const { return {}; }
};

// The file NAME.f32 of `folder`, `count` floats.
Floats load_floats(const std::string& folder, const std::string& name, std::size_t count);

// The least of seven calls, in microseconds; of fewer, where they take longer than 0.1 s together.
double least_time(const std::function<void()>& call);

// Answers requests until the input ends.
int serve(Worker& worker);

}  // namespace bench
