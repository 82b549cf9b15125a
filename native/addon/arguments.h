// Unpacking the arguments of a call. lib/backend/native.ts is the only caller and has checked
// shapes and types; what is checked here once more is only what keeps memory safe: sizes, and the
// type and length of every array.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "batchnorm/batchnorm.h"

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

// The arguments of one call, in order. Raw Node-API: a typed array takes 51 ns this way, and 134 ns
// as a checked Napi::Float32Array.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr);
    if (count_ > most) count_ = most;  // those are counted too that there was no room for
  }

  Napi::Env env() const { return env_; }

  double number() {
    double value = 0;
    if (napi_get_value_double(env_, next(), &value) != napi_ok) fail("a number");
    return value;
  }
  std::size_t size() {
    const double value = number();
    if (!(value >= 0 && value <= largest_size)) fail("a size");
    return static_cast<std::size_t>(value);
  }
  bool boolean() {
    bool value = false;
    if (napi_get_value_bool(env_, next(), &value) != napi_ok) fail("a boolean");
    return value;
  }
  std::string string() { return Napi::Value(env_, next()).As<Napi::String>(); }
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
    return static_cast<Element*>(array(ArrayOf<Element>::type, length, ArrayOf<Element>::name));
  }
  // The same, or null.
  template <class Element>
  Element* optional_array(std::size_t length) {
    napi_valuetype type = napi_undefined;
    if (index_ < count_) napi_typeof(env_, values_[index_], &type);
    if (type != napi_null) return array<Element>(length);
    ++index_;
    return nullptr;
  }

  // (mean, m2, lost)
  batchnorm::Moments moments(std::size_t channels) {
    double* mean = array<double>(channels);
    double* m2 = array<double>(channels);
    return {mean, m2, optional_array<double>(channels)};
  }
  // An array whose elements are the arguments that follow, or null: then false. One null is cheaper
  // than a null for each of them.
  bool further() {
    const napi_value list = next();
    bool is_array = false;
    napi_is_array(env_, list, &is_array);
    if (!is_array) return false;
    std::uint32_t length = 0;
    napi_get_array_length(env_, list, &length);
    for (std::uint32_t i = 0; i < length && count_ < most; ++i) {
      if (napi_get_element(env_, list, i, &values_[count_]) != napi_ok) fail("readable");
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
    throw Napi::TypeError::New(
        env_, "Expected argument " + std::to_string(index_) + " to be " + expected);
  }

  // All of them in one JavaScript array: who holds it keeps every array alive. nullptr where the
  // thread is ending.
  napi_value kept() const {
    napi_value all = nullptr;
    napi_create_array_with_length(env_, count_, &all);
    for (std::size_t i = 0; i < count_; ++i) {
      const auto index = static_cast<std::uint32_t>(i);
      if (napi_set_element(env_, all, index, values_[i]) != napi_ok) return nullptr;
    }
    return all;
  }

 private:
  static constexpr std::size_t most = 24;
  static constexpr double largest_size = 0x1p53;  // up to here a double holds every whole number

  napi_value next() {
    if (index_ >= count_) fail("given");
    return values_[index_++];
  }
  void* array(napi_typedarray_type wanted, std::size_t length, const char* name) {
    napi_typedarray_type type;
    std::size_t actual = 0;
    void* data = nullptr;
    const bool is_array =
        napi_get_typedarray_info(env_, next(), &type, &actual, &data, nullptr, nullptr) == napi_ok;
    if (!is_array || type != wanted || actual != length) {
      fail(std::string(name) + " of length " + std::to_string(length));
    }
    return data;
  }
  napi_env env_;
  std::size_t count_ = most;
  std::size_t index_ = 0;
  napi_value values_[most];
};

// What most calls on values have none of: null, or an array of (activation, negativeSlope, values,
// gradResidual). `values` are the residual of a forward, or what a backward's activation gave.
template <class Value>
struct Further {
  batchnorm::Activation activation = {};
  Value* values = nullptr;
  Value* grad_residual = nullptr;

  Further(Arguments& arguments, batchnorm::Extent extent) {
    if (!arguments.further()) return;
    const std::size_t length = batchnorm::values(extent);
    activation = arguments.activation();
    values = arguments.optional_array<Value>(length);
    grad_residual = arguments.optional_array<Value>(length);
  }
};

// An operation that returns nothing.
struct Procedure {
  static napi_status result(napi_env env, napi_value* value) {
    return napi_get_undefined(env, value);
  }
};

}  // namespace addon
