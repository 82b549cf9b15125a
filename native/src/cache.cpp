#include "cache.h"

#if defined(__linux__)
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace batchnorm {
namespace {

std::size_t ask_second_level_cache() {
#if defined(_SC_LEVEL2_CACHE_SIZE)  // glibc has it, musl has not
  const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0) return static_cast<std::size_t>(bytes);
#elif defined(__APPLE__)
  std::size_t bytes = 0;
  std::size_t size = sizeof(bytes);
  if (sysctlbyname("hw.l2cachesize", &bytes, &size, nullptr, 0) == 0 && bytes > 0) return bytes;
#endif
  return 1024 * 1024;
}

}  // namespace

std::size_t second_level_cache() {
  static const std::size_t bytes = ask_second_level_cache();
  return bytes;
}

}  // namespace batchnorm
