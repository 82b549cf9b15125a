#include <benchmark/benchmark.h>

#include "register.h"

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  bench::register_machine();
  bench::register_kernels();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
