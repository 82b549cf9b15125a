// The machine's own speed over sizes from the first-level cache to main memory, to hold beside the
// bytes_per_second of kernels.cpp.
#include <benchmark/benchmark.h>

#include <string>

#include "memory.h"
#include "register.h"

namespace {

enum class Movement { read, copy, stream };

void run(benchmark::State& state, Movement movement, std::size_t bytes, unsigned threads) {
  bench::Team team(threads);
  const bench::Floats x(bytes / sizeof(float));
  const bench::Floats y(x.size());
  for (auto _ : state) {
    switch (movement) {
      case Movement::read:
        bench::read(team, x);
        break;
      case Movement::copy:
        bench::copy(team, x, y);
        break;
      case Movement::stream:
        bench::stream(team, x, y);
        break;
    }
    benchmark::ClobberMemory();
  }
  const int passes = movement == Movement::read ? 1 : 2;
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes) * passes);
}

}  // namespace

void bench::register_machine() {
  const struct {
    const char* name;
    Movement movement;
  } movements[] = {{"machine-read", Movement::read},
                   {"machine-copy", Movement::copy},
                   {"machine-stream", Movement::stream}};
  for (const auto& [name, movement] : movements) {
    for (const std::size_t kilobytes : {8, 512, 4096, 16384, 65536, 131072}) {
      for (const unsigned threads : {1u, 2u}) {
        const std::string full = std::string(name) + "/" + std::to_string(kilobytes) +
                                 "KiB/threads:" + std::to_string(threads);
        benchmark::RegisterBenchmark(full.c_str(), run, movement, kilobytes * 1024, threads)
            ->UseRealTime()
            ->MinTime(0.02)
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
}
