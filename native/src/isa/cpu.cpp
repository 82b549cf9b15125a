#include "cpu.h"

#include "../kernels.h"

#ifdef BATCHNORM_X86
#include <immintrin.h>
#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
namespace batchnorm {
namespace {
// Leaf 7's EBX, where the operating system saves the registers of `state` (XCR0): Intel's manual,
// volume 1, 14.7.1 and 15.2.
int features_with(unsigned long long state) {
  int leaf1[4];
  __cpuid(leaf1, 1);
  const bool xsave = (leaf1[2] >> 27) & 1;
  if (!xsave || (_xgetbv(0) & state) != state) return 0;
  int leaf7[4];
  __cpuidex(leaf7, 7, 0);
  return leaf7[1];
}
}  // namespace
bool cpu_has_avx2() { return (features_with(0x06) >> 5) & 1; }
bool cpu_has_avx512() { return (features_with(0xe6) >> 16) & 1; }
}  // namespace batchnorm
#else
namespace batchnorm {
bool cpu_has_avx2() { return __builtin_cpu_supports("avx2"); }
bool cpu_has_avx512() { return __builtin_cpu_supports("avx512f"); }
}  // namespace batchnorm
#endif
#endif

namespace batchnorm {
void cpu_pause() {
#if defined(BATCHNORM_X86)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}
}  // namespace batchnorm
