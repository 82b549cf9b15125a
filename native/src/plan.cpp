#include "plan.h"

#include <cassert>

#include "cache.h"
#include "threads.h"

namespace batchnorm {
namespace {

// Below this many values, 15 to 25 microseconds of work, waking other threads costs what it saves.
constexpr std::size_t smallest_shared_work = 96 * 1024;

// A task has at least this many values where there are enough: claiming one costs some 50 ns.
constexpr std::size_t smallest_task = 16 * 1024;

// A tile's piece of a sample has at least this many bytes: a page, which a prefetcher does not
// cross.
constexpr std::size_t shortest_piece = 4096;

// An elementwise share has this many bytes where there are enough: what a second-level cache holds
// of inputs and outputs.
constexpr std::size_t share_bytes = 256 * 1024;

// Results larger than this many second-level caches bypass them. Stores around the cache and
// through it took the same time at 16 MB beside 2 MB of L2 (Intel Xeon) and at 4 MB beside 1 MB
// (AMD EPYC, Zen 4), and 0.65 : 1 at four times and 0.6 : 1 at twice as much.
constexpr std::size_t streamed_caches = 8;

std::size_t least(std::size_t a, std::size_t b) { return a < b ? a : b; }
std::size_t most(std::size_t a, std::size_t b) { return a > b ? a : b; }

}  // namespace

Plan::Plan(Extent extent, std::size_t bytes) : order(order_of(extent)), workers(threads()) {
  const std::size_t size = values(extent);
  shared = size >= smallest_shared_work && workers > 1;
  stream = size * bytes >= streamed_caches * second_level_cache();
  tile = extent.channels;
  if (shared && order.samples_per_row == 1) {
    // At least two tasks for each thread, where pieces and tasks do not get too short.
    const std::size_t wanted = divide_up(2 * workers, order.segments);
    const std::size_t piece = divide_up(shortest_piece, extent.inner * bytes);
    const std::size_t task = divide_up(smallest_task * order.segments, extent.outer * extent.inner);
    tile = least(tile, most(divide_up(extent.channels, wanted), most(piece, task)));
  }
  tiles = divide_up(extent.channels, tile);
  elementwise_shares = 1;
  if (extent.outer > 0) {
    const std::size_t few = shared ? 4 * workers : 1;
    const std::size_t wanted = most(few, size * bytes / share_bytes);
    elementwise_shares =
        extent.outer >= wanted
            ? wanted
            : extent.outer * least(extent.channels, divide_up(wanted, extent.outer));
  }
}

Share Plan::tile_share(Extent extent, std::size_t index) const {
  assert(index < tiles);
  return {0, extent.outer, index * tile, least((index + 1) * tile, extent.channels)};
}

Share Plan::elementwise_share(Extent extent, std::size_t index) const {
  const std::size_t count = elementwise_shares;
  assert(index < count);
  // The caller has taken the tasks of the pass before from the front and the others from the back:
  // alone it ended at the end, with others in the middle.
  const std::size_t middle = shared ? count / 2 : count;
  const std::size_t place = index < middle ? middle - 1 - index : middle + (count - 1 - index);
  if (count <= extent.outer) {
    return {extent.outer * place / count, extent.outer * (place + 1) / count, 0, extent.channels};
  }
  const std::size_t parts = count / extent.outer;
  const std::size_t sample = place / parts;
  const std::size_t part = place % parts;
  assert(sample < extent.outer);
  return {sample, sample + 1, extent.channels * part / parts, extent.channels * (part + 1) / parts};
}

double values_before(Extent extent, const Order& order, std::size_t segment) {
  const std::size_t chunks = segment * chunks_per_segment;
  if (order.parts_per_sample == 1) {
    return static_cast<double>(least(chunks * order.samples_per_chunk, extent.outer) *
                               extent.inner);
  }
  if (chunks >= order.chunks) return static_cast<double>(extent.outer * extent.inner);
  const std::size_t part = chunks % order.parts_per_sample * run_part;
  return static_cast<double>(chunks / order.parts_per_sample * extent.inner + part);
}

}  // namespace batchnorm
