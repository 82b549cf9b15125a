// Prints the instruction sets that the CPU supports, best first.
#include <cstdio>

#include "batchnorm/batchnorm.h"

int main() {
  const char* const* name = batchnorm::supported_instruction_sets();
  for (; *name; ++name) std::printf("%s ", *name);
  std::printf("in use: %s\n", batchnorm::instruction_set());
}
