// Arrays that end at a page that nobody may touch: what goes beyond them stops the process, in code
// too that a sanitizer does not see, such as stores with a mask.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>

namespace batchnorm::test {

template <class T>
class Fenced {
 public:
  // `length` values, of which the last lies `slack` values before the fence.
  Fenced(std::size_t length, std::size_t slack) : length_(length) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    inside_ = ((length + slack) * sizeof(T) + page - 1) / page * page + page;
    mapped_ = inside_ + page;
    void* const memory =
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    begin_ = static_cast<unsigned char*>(memory);
    mprotect(begin_ + inside_, page, PROT_NONE);
    std::memset(begin_, untouched, inside_);
    data_ = reinterpret_cast<T*>(begin_ + inside_) - slack - length;
  }
  // The same, with a copy of `from`.
  Fenced(const T* from, std::size_t length, std::size_t slack) : Fenced(length, slack) {
    std::copy(from, from + length, data_);
  }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;
  ~Fenced() { munmap(begin_, mapped_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t length() const { return length_; }
  T& operator[](std::size_t index) { return data_[index]; }

  // From now on nobody may write here.
  void seal() { mprotect(begin_, inside_, PROT_READ); }

  // Whether nothing was written before the array, and between it and the fence.
  bool intact() const {
    unsigned char* const first = reinterpret_cast<unsigned char*>(data_);
    unsigned char* const last = reinterpret_cast<unsigned char*>(data_ + length_);
    return std::all_of(begin_, first, is_untouched) &&
           std::all_of(last, begin_ + inside_, is_untouched);
  }

 private:
  static constexpr unsigned char untouched = 0xa5;
  static bool is_untouched(unsigned char byte) { return byte == untouched; }

  std::size_t length_;
  std::size_t inside_;  // bytes before the fence
  std::size_t mapped_;
  unsigned char* begin_;
  T* data_;
};

}  // namespace batchnorm::test
