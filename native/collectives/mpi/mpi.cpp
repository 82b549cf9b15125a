// MPI, as mpirun started it. A process can begin and end it once.
#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "../engine.h"

namespace batchnorm::collectives {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

// MPI counts in int.
constexpr std::size_t most_at_once = std::size_t{1} << 30;

void check(int result) {
  if (result == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(result, text, &length);
  throw Failure("ERR_COLLECTIVE_PEER_LOST", std::string(text, length));
}

class MpiTransport : public Transport {
 public:
  explicit MpiTransport(milliseconds timeout) : timeout_(timeout) {}

  void begin() {
    int provided = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided));
    // Else it ends the process at an error.
    check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank));
    check(MPI_Comm_size(MPI_COMM_WORLD, &size));
  }

  void all_reduce(double* values, std::size_t count) override {
    const auto deadline = Clock::now() + timeout_;
    for (std::size_t begin = 0; begin < count; begin += most_at_once) {
      const auto part = static_cast<int>(std::min(most_at_once, count - begin));
      MPI_Request request;
      check(MPI_Iallreduce(MPI_IN_PLACE, values + begin, part, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD,
                           &request));
      wait(request, deadline);
    }
  }

  void interrupt() noexcept override { is_interrupted_ = true; }

  // After a failure it would wait for ranks that do not come. mpirun sees that this one ends
  // without it, and ends all.
  void end(bool is_orderly) noexcept override {
    if (is_orderly) MPI_Finalize();
  }

  int rank = 0;
  int size = 1;

 private:
  // MPI_Wait would burn a core, and never give up.
  void wait(MPI_Request& request, Clock::time_point deadline) {
    const auto spin_end = Clock::now() + microseconds(50);
    for (;;) {
      int is_done = 0;
      check(MPI_Test(&request, &is_done, MPI_STATUS_IGNORE));
      if (is_done) return;
      if (is_interrupted_) throw Failure("ERR_COLLECTIVE_CLOSED", "closed");
      const auto now = Clock::now();
      if (now > deadline) {
        const auto time = std::to_string(timeout_.count());
        throw Failure("ERR_COLLECTIVE_TIMEOUT", "MPI_Iallreduce took more than " + time + " ms");
      }
      if (now < spin_end) {
        std::this_thread::yield();
      } else {
        std::this_thread::sleep_for(microseconds(20));
      }
    }
  }

  const milliseconds timeout_;
  std::atomic<bool> is_interrupted_{false};
};

Napi::Value create(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  static std::atomic<bool> has_begun{false};
  if (has_begun.exchange(true)) return env.Null();
  const milliseconds timeout(info[0].As<Napi::Number>().Int64Value());
  const auto transport = std::make_shared<MpiTransport>(timeout);
  // At its end the process waits for the others to end, too.
  const auto engine = std::make_shared<Engine>(env, transport, timeout);
  auto face = face_of(env, engine);
  face.Set("begin", Napi::Function::New(
                        env, [engine, transport](const Napi::CallbackInfo& info) -> Napi::Value {
                          return engine->start(info.Env(), [transport]() -> Engine::Then {
                            transport->begin();
                            return [transport](Napi::Env env) -> Napi::Value {
                              auto place = Napi::Object::New(env);
                              place.Set("rank", transport->rank);
                              place.Set("size", transport->size);
                              return place;
                            };
                          });
                        }));
  return face;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("create", Napi::Function::New(env, create));
  return exports;
}

NODE_API_MODULE(mpi, initialize)

}  // namespace
}  // namespace batchnorm::collectives
