// Huge pages for the memory of results. The first touch of a page costs a visit to the kernel, 2 to
// 14 us in a virtual machine, and there are 512 small pages to a huge one.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace addon {

// Asks the system to back the memory with huge pages, where it waits to be asked: Linux with
// transparent_hugepage=madvise. Only whole huge pages of it: what lies beside them is not ours. It
// may be refused, and then nothing is lost.
inline void ask_for_huge_pages(void* data, std::size_t bytes) {
#if defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t page = 2 * 1024 * 1024;
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t begin = (address + page - 1) / page * page;
  const std::uintptr_t end = (address + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  static_cast<void>(data);
  static_cast<void>(bytes);
#endif
}

}  // namespace addon
