#include "dispatch.h"

#include <atomic>
#include <cstring>

namespace batchnorm {
namespace {

// Best first, scalar last.
const Kernels* const registry[] = {
#ifdef BATCHNORM_X86
    &avx512_kernels, &avx2_kernels, &sse2_kernels,
#endif
#ifdef BATCHNORM_ARM
    &neon_kernels,
#endif
    &scalar_kernels,
};
constexpr std::size_t registered = sizeof(registry) / sizeof(registry[0]);

const Kernels* best() {
  for (const Kernels* candidate : registry) {
    if (candidate->supported()) return candidate;
  }
  return &scalar_kernels;
}

std::atomic<const Kernels*>& chosen() {
  static std::atomic<const Kernels*> kernels{best()};
  return kernels;
}

struct Names {
  const char* list[registered + 1] = {};
  Names() {
    std::size_t count = 0;
    for (const Kernels* candidate : registry) {
      if (candidate->supported()) list[count++] = candidate->name;
    }
  }
};

}  // namespace

const Kernels& kernels() { return *chosen().load(std::memory_order_relaxed); }

const char* const* supported_instruction_sets() {
  static const Names names;
  return names.list;
}

const char* instruction_set() { return kernels().name; }

bool use_instruction_set(const char* name) {
  for (const Kernels* candidate : registry) {
    if (std::strcmp(candidate->name, name) == 0 && candidate->supported()) {
      chosen().store(candidate, std::memory_order_relaxed);
      return true;
    }
  }
  return false;
}

}  // namespace batchnorm
