// What every operation makes of a batch, as one number each.
#pragma once

#include <array>
#include <cstdint>

#include "batch.h"

namespace batchnorm::test {

constexpr std::size_t operations = 11;

// In the order of `operation_names`.
using Answers = std::array<std::uint64_t, operations>;

constexpr const char* operation_names[operations] = {
    "statistics",
    "merge",
    "forward in training",
    "normalize in eval mode",
    "backward in training",
    "backward in eval mode",
    "forward, a residual and leaky relu",
    "normalize and relu",
    "backward in training through relu",
    "backward in eval mode through leaky relu",
    "the halves of backward",
};

// The hashes of the bits of all results. Checks on the way that no operation wrote outside of its
// outputs. n is at least 2.
template <class Value>
Answers answers(const BatchOf<Value>& batch);

// Checks each operation's answer.
void check_equal(const Answers& actual, const Answers& expected);

}  // namespace batchnorm::test
