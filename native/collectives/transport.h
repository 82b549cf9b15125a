// What an engine's library does, in words that all engines share.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace batchnorm::collectives {

// With a code of CollectiveError.
class Failure : public std::runtime_error {
 public:
  Failure(const char* code, const std::string& message) : std::runtime_error(message), code(code) {}

  const char* code;
};

// Called on one thread alone, the engine's, except for interrupt.
class Transport {
 public:
  virtual ~Transport() = default;

  // Writes the sum over all ranks into values, the same bits on every rank. Throws Failure.
  virtual void all_reduce(double* values, std::size_t count) = 0;

  // From any thread: what is under way ends soon, with a Failure, and so does what comes later.
  virtual void interrupt() noexcept = 0;

  // The last call. Orderly, if nothing has failed and nothing was interrupted.
  virtual void end(bool is_orderly) noexcept = 0;
};

}  // namespace batchnorm::collectives
