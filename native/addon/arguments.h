// Unpacking the arguments of a call. lib/backend/native.ts is the only caller and has checked
// shapes and types; what is checked here once more is only what keeps memory safe: sizes, and the
// type and length of every array.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "batchnorm/batchnorm.h"
#include "failures.h"

namespace addon {

// The JavaScript array that holds elements of a C++ type.
template <class Element>
struct ArrayOf {  // halves
  static constexpr napi_typedarray_type type = napi_uint16_array;
  static constexpr const char* name = "a Uint16Array";
};
template <>
struct ArrayOf<float> {
  static constexpr napi_typedarray_type type = napi_float32_array;
  static constexpr const char* name = "a Float32Array";
};
template <>
struct ArrayOf<double> {
  static constexpr napi_typedarray_type type = napi_float64_array;
  static constexpr const char* name = "a Float64Array";
};

// The arguments of one call, in order, and their names, with spaces between them: those of the
// labels in lib/backend/native.ts, which test/boundary.test.ts compares. Raw Node-API: a typed
// array takes 51 ns this way, and 134 ns as a checked Napi::Float32Array.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info, const char* names) : env_(env), names_(names) {
    require(napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr));
    if (count_ > most) count_ = most;  // those are counted too that there was no room for
  }

  napi_env env() const { return env_; }

  double number() {
    double value = 0;
    expect(napi_get_value_double(env_, next(), &value), napi_number_expected, "a number");
    return value;
  }
  std::size_t size() {
    const double value = number();
    if (!(value >= 0 && value <= largest_size)) fail("a size");
    return static_cast<std::size_t>(value);
  }
  bool boolean() {
    bool value = false;
    expect(napi_get_value_bool(env_, next(), &value), napi_boolean_expected, "a boolean");
    return value;
  }
  std::string string() {
    const napi_value value = next();
    std::size_t length = 0;
    const napi_status status = napi_get_value_string_utf8(env_, value, nullptr, 0, &length);
    expect(status, napi_string_expected, "a string");
    std::string text(length, '\0');
    require(napi_get_value_string_utf8(env_, value, &text[0], length + 1, nullptr));
    return text;
  }
  batchnorm::Extent extent() {
    const std::size_t outer = size();
    const std::size_t channels = size();
    const std::size_t inner = size();
    // In floating point, where no product wraps around.
    const double values =
        static_cast<double>(outer) * static_cast<double>(channels) * static_cast<double>(inner);
    if (!(values >= 1 && values <= largest_size)) fail("the last size of an extent with values");
    return {outer, channels, inner};
  }

  // Values, or the numbers of a channel.
  template <class Element>
  Element* array(std::size_t length) {
    const Found found = find(ArrayOf<Element>::type);
    if (found.length != length) fail_array(ArrayOf<Element>::name, length);
    return static_cast<Element*>(found.data);
  }
  // The same, or null. Most are there, so null is looked for last.
  template <class Element>
  Element* optional_array(std::size_t length) {
    const Found found = find(ArrayOf<Element>::type);
    if (found.length == length) return static_cast<Element*>(found.data);
    if (!is_null()) fail_array(ArrayOf<Element>::name, length);
    return nullptr;
  }
  // One of `length` numbers or of `parts` times as many; which, says *is_whole.
  double* numbers(std::size_t length, std::size_t parts, bool* is_whole) {
    const Found found = find(napi_float64_array);
    *is_whole = found.length == length * parts;
    if (found.length != length && !*is_whole) fail_array(ArrayOf<double>::name, length);
    return static_cast<double*>(found.data);
  }
  // The memory of an ArrayBuffer.
  struct Buffer {
    void* data = nullptr;
    std::size_t bytes = 0;
  };
  Buffer buffer() {
    Buffer found;
    const napi_status status = napi_get_arraybuffer_info(env_, next(), &found.data, &found.bytes);
    expect(status, napi_invalid_arg, "an ArrayBuffer");
    return found;
  }
  void skip() { ++index_; }

  // (mean, m2, meanLow)
  batchnorm::Moments moments(std::size_t channels) {
    double* mean = array<double>(channels);
    double* m2 = array<double>(channels);
    return {mean, m2, optional_array<double>(channels)};
  }
  // An array whose elements are the arguments that follow, or null: then false. One null is cheaper
  // than a null for each of them.
  bool list() {
    const napi_value list = next();
    bool is_array = false;
    require(napi_is_array(env_, list, &is_array));
    if (!is_array) return false;
    std::uint32_t length = 0;
    require(napi_get_array_length(env_, list, &length));
    for (std::uint32_t i = 0; i < length && count_ < most; ++i) {
      require(napi_get_element(env_, list, i, &values_[count_]));
      ++count_;
    }
    return true;
  }
  // (activation, negativeSlope); activation: 0 none, 1 relu, 2 leakyRelu
  batchnorm::Activation activation() {
    const auto name = static_cast<batchnorm::ActivationName>(size());
    return {name, number()};
  }

  // Throws, about the last argument that was taken.
  [[noreturn]] void fail(const std::string& expected) const {
    throw Mistake{"Expected argument " + std::to_string(index_) + " to be " + expected + " (" +
                  name() + ")"};
  }

  // All of them in one JavaScript array: who holds it keeps every array alive.
  napi_value kept() const {
    napi_value all = nullptr;
    require(napi_create_array_with_length(env_, count_, &all));
    for (std::size_t i = 0; i < count_; ++i) {
      require(napi_set_element(env_, all, static_cast<std::uint32_t>(i), values_[i]));
    }
    return all;
  }

 private:
  // Of the last argument that was taken; those of the list at the end have no name of their own.
  std::string name() const {
    const char* name = names_;
    for (std::size_t i = 1; i < index_; ++i) {
      if (const char* space = std::strchr(name, ' ')) name = space + 1;
    }
    return std::string(name, std::strcspn(name, " "));
  }

  static constexpr std::size_t most = 24;
  static constexpr double largest_size = 0x1p53;  // up to here a double holds every whole number

  // What Node-API says of the last argument: `mistaken`, if it is something else.
  void expect(napi_status status, napi_status mistaken, const char* expected) const {
    if (status == mistaken) fail(expected);
    require(status);
  }
  napi_value next() {
    if (index_ >= count_) fail("given");
    return values_[index_++];
  }
  // An array and its length; that of any other argument is one that no array has.
  struct Found {
    void* data = nullptr;
    std::size_t length = std::numeric_limits<std::size_t>::max();
  };
  Found find(napi_typedarray_type wanted) {
    napi_typedarray_type type;
    Found found;
    const napi_status status =
        napi_get_typedarray_info(env_, next(), &type, &found.length, &found.data, nullptr, nullptr);
    if (status == napi_invalid_arg) return Found();
    require(status);
    return type == wanted ? found : Found();
  }
  // Whether the last argument that was taken is null.
  bool is_null() const {
    napi_valuetype type = napi_undefined;
    require(napi_typeof(env_, values_[index_ - 1], &type));
    return type == napi_null;
  }
  [[noreturn]] void fail_array(const char* name, std::size_t length) const {
    fail(std::string(name) + " of length " + std::to_string(length));
  }
  napi_env env_;
  const char* names_;
  std::size_t count_ = most;
  std::size_t index_ = 0;
  napi_value values_[most];
};

// What most calls on values have none of: null, or an array of (activation, negativeSlope, values,
// gradResidual). `values` are the residual of a forward, or what a backward's activation gave.
template <class Value>
struct EpilogueArguments {
  batchnorm::Activation activation = {};
  Value* values = nullptr;
  Value* grad_residual = nullptr;

  EpilogueArguments(Arguments& arguments, batchnorm::Extent extent) {
    if (!arguments.list()) return;
    const std::size_t length = batchnorm::values(extent);
    activation = arguments.activation();
    values = arguments.optional_array<Value>(length);
    grad_residual = arguments.optional_array<Value>(length);
  }
};

// The numbers of each channel that a forward leaves for its backward. Each comes as an array of its
// own, or all four as one in the place of the mean: an array takes 51 ns, and what stands in the
// places of the others is not looked at then.
class ChannelNumbers {
 public:
  // Takes the mean.
  ChannelNumbers(Arguments& arguments, std::size_t channels)
      : arguments_(arguments), channels_(channels) {
    mean_ = arguments.numbers(channels, parts, &is_whole_);
  }
  double* mean() const { return mean_; }
  // Each takes the next argument.
  double* m2() { return is_whole_ ? part(1) : arguments_.array<double>(channels_); }
  double* mean_low() { return is_whole_ ? part(2) : arguments_.optional_array<double>(channels_); }
  double* invstd() { return is_whole_ ? part(3) : arguments_.array<double>(channels_); }

 private:
  static constexpr std::size_t parts = 4;

  double* part(std::size_t index) {
    arguments_.skip();
    return mean_ + index * channels_;
  }

  Arguments& arguments_;
  std::size_t channels_;
  double* mean_;
  bool is_whole_ = false;
};

}  // namespace addon
