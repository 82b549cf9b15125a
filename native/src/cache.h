// The caches of this machine.
#pragma once

#include <cstddef>

namespace batchnorm {

// Bytes of a core's second-level cache.
std::size_t second_level_cache();

}  // namespace batchnorm
