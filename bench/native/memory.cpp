#include "memory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bench {
namespace {

constexpr std::size_t line = 64;

// Whole numbers, because a sum of floats would take long over subnormal ones.
#if defined(__AVX512F__)
constexpr std::size_t width = 64;
#elif defined(__AVX2__)
constexpr std::size_t width = 32;
#else
constexpr std::size_t width = 16;
#endif
typedef std::uint32_t Vector __attribute__((vector_size(width), may_alias));

// Sums that hide the latency of each other's additions.
constexpr std::size_t sums = 8;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

void store(char* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }

void stream(char* to, Vector value) {
#if defined(__AVX512F__)
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), reinterpret_cast<__m512i>(value));
#elif defined(__AVX2__)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(value));
#elif defined(__x86_64__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(to), reinterpret_cast<__m128i>(value));
#else
  store(to, value);
#endif
}

const Vector& vector_at(const char* from, std::size_t index) {
  return *reinterpret_cast<const Vector*>(from + index);
}

// A last part of less than `sums` vectors is left out: it is less than 512 bytes.
void read(const char* from, std::size_t begin, std::size_t end) {
  Vector totals[sums] = {};
  for (std::size_t index = begin; index + sums * width <= end; index += sums * width) {
    for (std::size_t s = 0; s < sums; ++s) totals[s] += vector_at(from, index + s * width);
  }
  // So that the compiler believes the sums are wanted.
  __asm__ __volatile__("" : : "m"(totals));
}

// A last part of a vector is left out.
template <void (*put)(char*, Vector)>
void write(const char* x, const char* grad_output, char* y, std::size_t begin, std::size_t end,
           unsigned sources) {
  if (sources == 1) {
    for (std::size_t index = begin; index + width <= end; index += width) {
      put(y + index, vector_at(x, index));
    }
  } else {
    for (std::size_t index = begin; index + width <= end; index += width) {
      put(y + index, vector_at(x, index) + vector_at(grad_output, index));
    }
  }
}

// Of two sources one is read block by block beside the copy of the other, in blocks of which two
// fit any first-level cache.
void write_by_memcpy(const char* x, const char* grad_output, char* y, std::size_t begin,
                     std::size_t end, unsigned sources) {
  if (sources == 1) {
    std::memcpy(y + begin, x + begin, end - begin);
    return;
  }
  constexpr std::size_t block = 8192;
  for (std::size_t at = begin; at < end; at += block) {
    const std::size_t size = std::min(block, end - at);
    read(x, at, at + size);
    std::memcpy(y + at, grad_output + at, size);
  }
}

}  // namespace

Team::Team(unsigned threads) : threads_(threads) {
  for (unsigned index = 1; index < threads; ++index) {
    workers_.emplace_back([this, index] {
      for (unsigned seen = 0;;) {
        while (round_.load(std::memory_order_acquire) == seen) pause();
        ++seen;
        if (over_.load()) return;
        part(index);
        busy_.fetch_sub(1, std::memory_order_release);
      }
    });
  }
}

Team::~Team() {
  over_.store(true);
  round_.fetch_add(1);
  for (std::thread& worker : workers_) worker.join();
}

void Team::run(std::size_t bytes, const std::function<void(std::size_t, std::size_t)>& share) {
  bytes_ = bytes;
  share_ = &share;
  busy_.store(threads_ - 1, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  part(0);
  while (busy_.load(std::memory_order_acquire) > 0) pause();
}

void Team::part(unsigned index) const {
  const std::size_t lines = (bytes_ + line - 1) / line;
  const std::size_t begin = lines * index / threads_ * line;
  const std::size_t end = lines * (index + 1) / threads_ * line;
  (*share_)(begin, std::min(end, bytes_));
}

const char* name_of(Stores stores) {
  switch (stores) {
    case Stores::memcpy:
      return "memcpy";
    case Stores::plain:
      return "plain stores";
    case Stores::streaming:
      return "streaming stores";
  }
  return "";
}

void move(Team& team, Traffic traffic, Stores stores, const void* x, const void* grad_output,
          void* y, std::size_t bytes) {
  const auto* first = static_cast<const char*>(x);
  const auto* second = static_cast<const char*>(grad_output);
  auto* to = static_cast<char*>(y);
  team.run(bytes, [=](std::size_t begin, std::size_t end) {
    if (traffic.read > 0) read(first, begin, end);
    if (traffic.read > 1) read(second, begin, end);
    if (traffic.sources == 0) return;
    switch (stores) {
      case Stores::memcpy:
        write_by_memcpy(first, second, to, begin, end, traffic.sources);
        break;
      case Stores::plain:
        write<store>(first, second, to, begin, end, traffic.sources);
        break;
      case Stores::streaming:
        write<stream>(first, second, to, begin, end, traffic.sources);
#if defined(__x86_64__)
        _mm_sfence();
#endif
        break;
    }
  });
}

}  // namespace bench
