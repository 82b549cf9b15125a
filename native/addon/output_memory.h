// Memory of outputs, used again. A fresh large array costs more than the work that fills it: its
// pages are mapped and zeroed one by one at the first touch (120 ms for 64 MB; filling it again
// takes 3 ms). Blocks come back when a tensor is disposed of or collected, and wait for the next
// output of their size.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace addon {

class OutputMemory {
 public:
  struct Block {
    void* data;
    std::size_t bytes;
    bool returned = false;   // disposed of, or collected
    bool collected = false;  // no array knows it any more
    unsigned pins = 0;       // calls on other threads that use it
  };

  // Of the process: blocks of one thread serve another. Never destroyed, since a thread may end
  // later.
  static OutputMemory& shared() {
    static OutputMemory& instance = *new OutputMemory;
    return instance;
  }

  // A block, or nullptr where the limit is reached or the system has no memory.
  Block* take(std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto found = waiting_.find(bytes);
    if (found != waiting_.end() && !found->second.empty()) {
      Block* block = new Block{found->second.back(), bytes};
      found->second.pop_back();
      waiting_bytes_ -= bytes;
      return lend(block);
    }
    if (used_bytes_ + bytes > limit_) return nullptr;
    keep_limit(bytes);
    void* data = allocate(bytes);
    if (!data) return nullptr;
    return lend(new Block{data, bytes});
  }

  // The block at an address that is lent out, or nullptr.
  Block* find(const void* data) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = lent_.find(data);
    return found == lent_.end() ? nullptr : found->second;
  }

  // Takes a block's memory back, once no call uses it; it waits for the next output of its size.
  void give_back(Block& block) {
    const std::lock_guard<std::mutex> lock(mutex_);
    block.returned = true;
    settle(&block);
  }

  // The same, when the last array over the block has gone; the block ends here.
  void collect(Block* block) {
    const std::lock_guard<std::mutex> lock(mutex_);
    block->returned = block->collected = true;
    settle(block);
  }

  // Keeps the block at an address, if there is one, until it is unpinned. A worker_thread that ends
  // collects its arrays before it waits for the calls that use them.
  Block* pin(const void* data) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = lent_.find(data);
    if (found == lent_.end()) return nullptr;
    ++found->second->pins;
    return found->second;
  }
  void unpin(Block* block) {
    const std::lock_guard<std::mutex> lock(mutex_);
    --block->pins;
    settle(block);
  }

  std::size_t used_bytes() const { return guarded(used_bytes_); }
  std::size_t waiting_bytes() const { return guarded(waiting_bytes_); }
  std::size_t limit() const { return guarded(limit_); }

  void set_limit(std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    limit_ = bytes;
    keep_limit();
  }

 private:
  static constexpr std::size_t line = 64;

  // Huge pages were tried: where the system has to clear them first, a block of 4 MB cost 11 ms
  // instead of 1.6, and once a block is used again they gain nothing.
  static void* allocate(std::size_t bytes) {
#if defined(_WIN32)
    return _aligned_malloc(bytes, line);
#else
    void* data = nullptr;
    return posix_memalign(&data, line, bytes) == 0 ? data : nullptr;
#endif
  }
  static void release(void* data) {
#if defined(_WIN32)
    _aligned_free(data);
#else
    std::free(data);
#endif
  }

  void settle(Block* block) {
    if (block->pins > 0) return;
    if (block->returned && block->data) {
      lent_.erase(block->data);
      used_bytes_ -= block->bytes;
      waiting_bytes_ += block->bytes;
      waiting_[block->bytes].push_back(block->data);
      block->data = nullptr;
      keep_limit();
    }
    if (block->collected) delete block;
  }

  Block* lend(Block* block) {
    used_bytes_ += block->bytes;
    lent_[block->data] = block;
    return block;
  }

  // Lets go of waiting blocks, the largest first, until there is room for `more` bytes.
  void keep_limit(std::size_t more = 0) {
    while (waiting_bytes_ > 0 && used_bytes_ + waiting_bytes_ + more > limit_) {
      auto largest = std::prev(waiting_.end());
      if (largest->second.empty()) {
        waiting_.erase(largest);
        continue;
      }
      release(largest->second.back());
      largest->second.pop_back();
      waiting_bytes_ -= largest->first;
    }
  }

  std::size_t guarded(const std::size_t& value) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return value;
  }

  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> waiting_;  // by size
  // Not a hash map, which would ask for GLIBCXX_3.4.29 (GCC 11).
  std::map<const void*, Block*> lent_;
  std::size_t used_bytes_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::size_t limit_ = 256 * 1024 * 1024;
};

}  // namespace addon
