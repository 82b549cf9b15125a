// What this CPU can run, and the operating system saves; and how to wait on it.
#pragma once

namespace batchnorm {
bool cpu_has_avx2();
bool cpu_has_avx512();

// Tells the CPU that this thread is only waiting: some 50 ns.
void cpu_pause();
}  // namespace batchnorm
