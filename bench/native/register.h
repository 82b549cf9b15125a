// The benchmarks that main.cpp runs.
#pragma once

namespace bench {

// machine-read, machine-copy and machine-stream, over sizes and threads.
void register_machine();

// OPERATION/SHAPE/INSTRUCTION_SET/threads:N
void register_kernels();

}  // namespace bench
