// What this CPU can run, and the operating system saves.
#pragma once

namespace batchnorm {
bool cpu_has_avx2();
bool cpu_has_avx512();
}  // namespace batchnorm
