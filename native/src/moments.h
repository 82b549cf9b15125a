// The first half of forward: the moments of a tile, or of everything.
#pragma once

#include "plan.h"

namespace batchnorm {

// The moments of a tile of channels, segment by segment, on this thread.
void moments_of_tile(Input x, Extent tile, const Order& order, Moments moments);

// The moments of every channel, the segments shared out among threads.
void moments_of_all(const float* x, Extent extent, const Plan& plan, Moments moments);

}  // namespace batchnorm
