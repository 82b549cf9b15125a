#include "plan.h"

#include "cache.h"

namespace batchnorm {
namespace {

// Below so many values, 15 to 25 microseconds of work, waking other threads costs what it saves.
constexpr std::size_t smallest_shared_work = 96 * 1024;

// A task has at least so many values where there are enough: claiming one costs some 50 ns.
constexpr std::size_t smallest_task = 16 * 1024;

constexpr std::size_t line = 64;

// A tile's rows have at least so many bytes where they lie apart.
constexpr std::size_t shortest_tile_row = 4 * line;

// A tile's rows fill the cache's sets evenly from so many bytes on: half a page.
constexpr std::size_t shortest_kept_row = 2048;

// Results of so many bytes do not stay in the caches. Measured on a server of 2 MB L2 a core:
// stores around the cache and through it take the same time at 16 MB, and 0.65 : 1 at 64 MB.
constexpr std::size_t smallest_stream = 32 * 1024 * 1024;

std::size_t least(std::size_t a, std::size_t b) { return a < b ? a : b; }
std::size_t most(std::size_t a, std::size_t b) { return a > b ? a : b; }

}  // namespace

Plan::Plan(Extent extent, std::size_t inputs, std::size_t bytes) : order(order_of(extent)) {
  const std::size_t size = values(extent);
  const std::size_t position = extent.inner * bytes;       // of a channel of a sample, in bytes
  const std::size_t cache = own_cache() / bytes / inputs;  // values of one tensor
  const std::size_t channel = most(extent.outer * extent.inner, 1);  // values
  const std::size_t workers = threads();
  shared = size >= smallest_shared_work && workers > 1;
  stream = size * bytes >= smallest_stream;
  tile = extent.channels;
  if (!order.together) {
    tile = least(extent.channels, divide_up(smallest_task, channel));
  } else if (order.samples_per_row == 1) {
    tile = channels_per_tile(extent);
    // Where a few channels make long rows, so few that the tile stays in the cache.
    const std::size_t fitting = most(cache / channel, divide_up(shortest_kept_row, position));
    if (extent.inner >= lone_columns) tile = least(tile, fitting);
    if (shared) {
      // Two tiles for each thread, that begin at a cache line where a channel does.
      const std::size_t in_line = divide_up(line, position);
      const std::size_t share = divide_up(extent.channels, 2 * workers);
      const std::size_t wide = most(share, divide_up(shortest_tile_row, position));
      tile = least(tile, divide_up(wide, in_line) * in_line);
    }
  }
  tiles = divide_up(extent.channels, tile);
  // What a task keeps between its two passes. Short rows that lie apart fall into few of the
  // cache's sets: then only what fits whole will stay. And at both ends of such a row lies a line
  // that two threads would write: (1024, 256) took two threads 1.3 times as long as one.
  const bool dense_rows = tile * position >= shortest_kept_row;
  const std::size_t kept = dense_rows ? channel * tile : size;
  const bool enough = !shared || tiles >= workers || order.segments == 1;
  local = kept <= cache && enough && (dense_rows || !shared);
  elementwise_shares = 1;
  if (shared && extent.outer > 0) {
    const std::size_t wanted = most(4 * workers, size / (8 * smallest_task));
    elementwise_shares =
        extent.outer >= wanted
            ? wanted
            : extent.outer * least(extent.channels, divide_up(wanted, extent.outer));
  }
}

Share Plan::tile_share(Extent extent, std::size_t index) const {
  return {0, extent.outer, index * tile, least((index + 1) * tile, extent.channels)};
}

Share Plan::elementwise_share(Extent extent, std::size_t index) const {
  const std::size_t count = elementwise_shares;
  const std::size_t reversed = count - 1 - index;
  if (count <= extent.outer) {
    return {extent.outer * reversed / count, extent.outer * (reversed + 1) / count, 0,
            extent.channels};
  }
  const std::size_t parts = count / extent.outer;
  const std::size_t sample = reversed / parts;
  const std::size_t part = reversed % parts;
  return {sample, sample + 1, extent.channels * part / parts, extent.channels * (part + 1) / parts};
}

double values_before(Extent extent, const Order& order, std::size_t segment) {
  const std::size_t chunks = segment * chunks_per_segment;
  if (order.parts_per_sample == 1) {
    return static_cast<double>(least(chunks * order.samples_per_chunk, extent.outer) *
                               extent.inner);
  }
  if (chunks >= order.chunks) return static_cast<double>(extent.outer * extent.inner);
  const std::size_t part = chunks % order.parts_per_sample * rows_per_chunk * lone_columns;
  return static_cast<double>(chunks / order.parts_per_sample * extent.inner + part);
}

}  // namespace batchnorm
