// The order of additions, as lib/backend/typescript/order.ts defines it: rows of columns, groups
// and chunks of rows, segments of chunks. What is here is the shape of the work; the kernels walk
// it.
#pragma once

#include "batchnorm/batchnorm.h"

namespace batchnorm {

constexpr std::size_t rows_per_chunk = 64;
constexpr std::size_t fewest_columns = 64;  // of a row that holds whole samples
constexpr std::size_t rows_per_group = 8;   // summed on their own
constexpr std::size_t shortest_run = 64;    // from so many positions on a channel stands alone
constexpr std::size_t run_columns = 16;     // of its rows
constexpr std::size_t run_lanes = run_columns / 2;
constexpr std::size_t run_chunk = 2048;  // values of a chunk of its whole samples
constexpr std::size_t run_part = 4096;   // positions of a part of a long sample
constexpr std::size_t chunks_per_segment = 16;
constexpr std::size_t pivot_rows = 16;
constexpr std::size_t pivot_samples = 8;     // that the pivot of a gradient is taken from
constexpr std::size_t pivot_positions = 16;  // of each

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
  order.together = extent.inner < shortest_run;
  order.samples_per_row = 1;
  order.parts_per_sample = 1;
  if (order.together) {
    const std::size_t sample = extent.channels * extent.inner;
    while (order.samples_per_row * sample < fewest_columns) order.samples_per_row *= 2;
    order.samples_per_chunk = order.samples_per_row * rows_per_chunk;
  } else {
    const std::size_t samples = run_chunk / extent.inner;
    order.samples_per_chunk = samples > 1 ? samples : 1;
    const std::size_t parts = extent.inner / run_part;
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

// Calls add(into, from) until everything is in number 0 of `count`.
template <class Add>
void by_halving(std::size_t count, const Add& add) {
  while (count > 1) {
    const std::size_t half = divide_up(count, 2);
    for (std::size_t i = 0; i + half < count; ++i) add(i, i + half);
    count = half;
  }
}

}  // namespace batchnorm
