// The order of additions, as lib/backend/typescript/order.ts defines it: rows of columns, chunks of
// rows, segments of chunks. What is here is the shape of the work; the kernels walk it.
#pragma once

#include "batchnorm/batchnorm.h"

namespace batchnorm {

constexpr std::size_t rows_per_chunk = 64;
constexpr std::size_t lone_columns = 64;   // columns of a row where a channel stands alone
constexpr std::size_t rows_per_group = 8;  // summed on their own
constexpr std::size_t shortest_lone_sample = rows_per_group * lone_columns;
constexpr std::size_t chunks_per_segment = 16;
constexpr std::size_t pivot_rows = 8;

// Where all channels are walked together, a task takes a tile of channels with at most so many
// columns. Free to choose, since columns do not mix: 1024 columns are a page of x, and keep the
// accumulators in the first-level cache.
constexpr std::size_t tile_columns = 1024;

struct Order {
  bool together;                // all channels walked together, or each alone
  std::size_t samples_per_row;  // together
  std::size_t samples_per_chunk;
  std::size_t parts_per_sample;  // alone: chunks that one long sample makes
  std::size_t chunks;
  std::size_t segments;
};

// The chunks [begin, end) of a segment.
struct Chunks {
  std::size_t begin;
  std::size_t end;
};

inline std::size_t divide_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

inline Order order_of(Extent extent) {
  Order order{};
  order.together = extent.inner < shortest_lone_sample;
  order.samples_per_row = 1;
  order.parts_per_sample = 1;
  if (order.together) {
    const std::size_t sample = extent.channels * extent.inner;
    while (order.samples_per_row * sample < lone_columns) order.samples_per_row *= 2;
    order.samples_per_chunk = order.samples_per_row * rows_per_chunk;
  } else {
    const std::size_t samples = rows_per_chunk / divide_up(extent.inner, lone_columns);
    order.samples_per_chunk = samples > 1 ? samples : 1;
    const std::size_t parts = extent.inner / (rows_per_chunk * lone_columns);
    order.parts_per_sample = parts > 1 ? parts : 1;
  }
  order.chunks = divide_up(extent.outer, order.samples_per_chunk) * order.parts_per_sample;
  order.segments = divide_up(order.chunks, chunks_per_segment);
  return order;
}

inline Chunks chunks_of(const Order& order, std::size_t segment) {
  const std::size_t begin = segment * chunks_per_segment;
  const std::size_t end = begin + chunks_per_segment;
  return {begin, end < order.chunks ? end : order.chunks};
}

// Channels of a tile: at most tile_columns columns, at least one channel. Where a row holds several
// samples, all channels are one tile (of less than 128 columns).
inline std::size_t channels_per_tile(Extent extent) {
  const std::size_t channels = tile_columns / extent.inner;
  return channels < extent.channels ? channels : extent.channels;
}

}  // namespace batchnorm
