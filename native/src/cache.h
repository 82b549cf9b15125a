// The caches of this machine.
#pragma once

#include <cstddef>

namespace batchnorm {

// Bytes that a task may keep in the second-level cache, which a core has for itself: half of it.
std::size_t own_cache();

}  // namespace batchnorm
