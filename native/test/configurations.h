// Every way to compute the same: each instruction set that this CPU supports, with 1 to 4 threads.
#pragma once

#include <doctest.h>

#include <string>

#include "batchnorm/batchnorm.h"

namespace batchnorm::test {

// Puts the instruction set and the threads back as they were.
class Restored {
 public:
  Restored() = default;
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;
  ~Restored() {
    use_instruction_set(name_);
    set_threads(count_);
  }

 private:
  const char* name_ = instruction_set();
  unsigned count_ = threads();
};

// Calls body() with each instruction set in use, and proves that it is.
template <class Body>
void for_each_instruction_set(const Body& body) {
  const Restored restored;
  for (const char* const* name = supported_instruction_sets(); *name; ++name) {
    REQUIRE(use_instruction_set(*name));
    REQUIRE(instruction_set() == std::string(*name));
    INFO("instruction set ", std::string(*name));
    body();
  }
}

// The same, with each count of threads too.
template <class Body>
void for_each_configuration(const Body& body) {
  for_each_instruction_set([&] {
    for (unsigned count = 1; count <= 4; ++count) {
      set_threads(count);
      REQUIRE(threads() == count);
      INFO(count, " threads");
      body();
    }
  });
}

}  // namespace batchnorm::test
