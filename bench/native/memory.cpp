#include "memory.h"

#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bench {
namespace {

constexpr std::size_t line = 16;  // floats of a cache line

#if defined(__AVX512F__)
constexpr std::size_t width = 16;
#elif defined(__AVX__)
constexpr std::size_t width = 8;
#else
constexpr std::size_t width = 4;
#endif
typedef float Vector __attribute__((vector_size(width * sizeof(float))));

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

void stream_vector(float* to, const float* from) {
#if defined(__AVX512F__)
  _mm512_stream_ps(to, _mm512_load_ps(from));
#elif defined(__AVX__)
  _mm256_stream_ps(to, _mm256_load_ps(from));
#elif defined(__x86_64__)
  _mm_stream_ps(to, _mm_load_ps(from));
#else
  std::memcpy(to, from, sizeof(Vector));
#endif
}

void read_share(const float* x, std::size_t begin, std::size_t end) {
  Vector sums[8] = {};
  std::size_t index = begin;
  for (; index + 8 * width <= end; index += 8 * width) {
    for (std::size_t s = 0; s < 8; ++s) {
      sums[s] += *reinterpret_cast<const Vector*>(x + index + s * width);
    }
  }
  float rest = 0;
  for (; index < end; ++index) rest += x[index];
  // So that the compiler believes the sums are wanted.
  __asm__ __volatile__("" : : "m"(sums), "m"(rest));
}

void stream_share(const float* x, float* y, std::size_t begin, std::size_t end) {
  std::size_t index = begin;
  for (; index + width <= end; index += width) stream_vector(y + index, x + index);
  for (; index < end; ++index) y[index] = x[index];
#if defined(__x86_64__)
  _mm_sfence();
#endif
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

void Team::run(std::size_t count, const std::function<void(std::size_t, std::size_t)>& share) {
  count_ = count;
  share_ = &share;
  busy_.store(threads_ - 1, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  part(0);
  while (busy_.load(std::memory_order_acquire) > 0) pause();
}

void Team::part(unsigned index) const {
  const std::size_t lines = (count_ + line - 1) / line;
  const std::size_t begin = lines * index / threads_ * line;
  const std::size_t end = lines * (index + 1) / threads_ * line;
  (*share_)(begin, end < count_ ? end : count_);
}

void read(Team& team, const Floats& x) {
  team.run(x.size(), [&](std::size_t begin, std::size_t end) { read_share(x.data(), begin, end); });
}

void copy(Team& team, const Floats& x, const Floats& y) {
  team.run(x.size(), [&](std::size_t begin, std::size_t end) {
    std::memcpy(y.data() + begin, x.data() + begin, (end - begin) * sizeof(float));
  });
}

void stream(Team& team, const Floats& x, const Floats& y) {
  team.run(x.size(), [&](std::size_t begin, std::size_t end) {
    stream_share(x.data(), y.data(), begin, end);
  });
}

}  // namespace bench
