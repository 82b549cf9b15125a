// The order of additions, as lib/backend/typescript/order.ts defines it: rows of columns, groups
// and chunks of rows, segments of chunks. What is here is the shape of the work; the kernels walk
// it.
#pragma once

#include <cassert>

#include "batchnorm/batchnorm.h"

namespace batchnorm {

constexpr std::size_t rows_per_chunk = 128;
constexpr std::size_t fewest_columns = 64;  // of a row that holds whole samples
constexpr std::size_t rows_per_group = 8;   // summed on their own
constexpr std::size_t shortest_run = 64;  // the fewest positions of a channel that is walked alone
constexpr std::size_t run_columns = 16;   // of its rows
constexpr std::size_t run_lanes = run_columns / 2;
constexpr std::size_t run_chunk = 2048;  // values of a chunk of its whole samples
constexpr std::size_t run_part = 2048;   // positions of a part of a long sample
constexpr std::size_t chunks_per_segment = 16;
constexpr std::size_t most_pivot_rows = 16;
constexpr std::size_t fewest_pivot_values = 16;
// Where the gradients of a channel stand that their pivot is taken from, in 64ths: in no period.
constexpr std::size_t pivot_places[] = {3, 13, 20, 30, 37, 46, 53, 61};
constexpr std::size_t pivot_gradients = sizeof(pivot_places) / sizeof(pivot_places[0]);

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
  assert(segment < order.segments);
  const std::size_t begin = segment * chunks_per_segment;
  const std::size_t end = begin + chunks_per_segment;
  return {begin, end < order.chunks ? end : order.chunks};
}

// Of how many of the `rows` full rows of a chunk's first block its pivot is taken, where a channel
// has `columns` columns, and `count` values in the chunk: as many as hold an eighth of the values.
inline std::size_t pivot_rows(std::size_t rows, std::size_t columns, std::size_t count) {
  const std::size_t values = count / 8 > fewest_pivot_values ? count / 8 : fewest_pivot_values;
  assert(rows > 0 && columns > 0);
  const std::size_t wanted = divide_up(values, columns);
  const std::size_t most = rows < most_pivot_rows ? rows : most_pivot_rows;
  return wanted < most ? wanted : most;
}

// Calls add(into, from) for neighbours, and again for the pairs, until everything is in number 0.
template <class Add>
void in_pairs(std::size_t count, const Add& add) {
  for (std::size_t step = 1; step < count; step *= 2) {
    for (std::size_t i = 0; i + step < count; i += 2 * step) add(i, i + step);
  }
}

}  // namespace batchnorm
