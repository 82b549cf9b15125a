// How a call is cut into tasks. Nothing here shows in a result: the order of additions does not
// depend on it (order.h).
#pragma once

#include "kernels.h"

namespace batchnorm {

// Samples [begin, end) x channels [begin, end).
struct Share {
  std::size_t sample_begin;
  std::size_t sample_end;
  std::size_t channel_begin;
  std::size_t channel_end;

  // Its size, seen as a tile of its own.
  Extent extent(std::size_t inner) const {
    return {sample_end - sample_begin, channel_end - channel_begin, inner};
  }
  // Where it begins in data of the whole, if there are any.
  template <class Value>
  Value* in(Value* data, Extent whole) const {
    const std::size_t offset = (sample_begin * whole.channels + channel_begin) * whole.inner;
    return data ? data + offset : nullptr;
  }
};

// How many threads there are is read once, when the plan is made: it may change during a call.
struct Plan {
  Order order;
  std::size_t workers;
  bool shared;  // among threads
  // The passes that sum have a task for each segment of each tile of channels: all of them, where
  // the segments are tasks enough, so that memory is read in order.
  std::size_t tile;
  std::size_t tiles;
  // Whether results bypass the caches, which they are too large for.
  bool stream;
  // How many shares an elementwise pass has.
  std::size_t elementwise_shares;

  // `bytes` is the size of a value.
  Plan(Extent extent, std::size_t bytes);

  Share tile_share(Extent extent, std::size_t index) const;

  // A share of an elementwise pass over everything. It begins where the pass before has ended,
  // since that is what is left in the caches.
  Share elementwise_share(Extent extent, std::size_t index) const;
};

// How many values each channel has in the segments before `segment`.
double values_before(Extent extent, const Order& order, std::size_t segment);

}  // namespace batchnorm
