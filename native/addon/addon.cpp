// The glue between JavaScript and batchnorm.h: unpack, call, return. lib/backend/native.ts is its
// only caller and has checked shapes and types; what is checked here once more is only what keeps
// memory safe: the type and length of every array.
#include <napi.h>

#include <new>
#include <string>

#include "batchnorm/batchnorm.h"

namespace {

using batchnorm::Extent;

// The arguments of one call, in order. Raw Node-API: a typed array takes 51 ns this way, and 134 ns
// as a checked Napi::Float32Array.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr);
  }

  Napi::Env env() const { return env_; }

  double number() {
    double value = 0;
    if (napi_get_value_double(env_, next(), &value) != napi_ok) fail("a number");
    return value;
  }
  std::size_t size() { return static_cast<std::size_t>(number()); }
  bool boolean() {
    bool value = false;
    if (napi_get_value_bool(env_, next(), &value) != napi_ok) fail("a boolean");
    return value;
  }
  std::string string() { return Napi::Value(env_, next()).As<Napi::String>(); }
  Extent extent() {
    const std::size_t outer = size();
    const std::size_t channels = size();
    return {outer, channels, size()};
  }

  float* floats(std::size_t length) {
    return static_cast<float*>(array(napi_float32_array, length, "a Float32Array"));
  }
  double* doubles(std::size_t length) {
    return static_cast<double*>(array(napi_float64_array, length, "a Float64Array"));
  }
  // An array, or null.
  float* optional_floats(std::size_t length) {
    napi_valuetype type = napi_undefined;
    napi_typeof(env_, peek(), &type);
    if (type == napi_null) {
      ++index_;
      return nullptr;
    }
    return floats(length);
  }

 private:
  static constexpr std::size_t most = 17;

  napi_value peek() const { return values_[index_]; }
  napi_value next() {
    if (index_ >= count_) fail("an argument");
    return values_[index_++];
  }
  void* array(napi_typedarray_type wanted, std::size_t length, const char* name) {
    napi_typedarray_type type;
    std::size_t actual = 0;
    void* data = nullptr;
    const bool is_array =
        napi_get_typedarray_info(env_, next(), &type, &actual, &data, nullptr, nullptr) == napi_ok;
    if (!is_array || type != wanted || actual != length) fail(name, length);
    return data;
  }
  [[noreturn]] void fail(const char* expected, std::size_t length = 0) const {
    std::string message = "Expected argument " + std::to_string(index_) + " to be " + expected;
    if (length > 0) message += " of length " + std::to_string(length);
    throw Napi::TypeError::New(env_, message);
  }

  napi_env env_;
  std::size_t count_ = most;
  std::size_t index_ = 0;
  napi_value values_[most];
};

std::size_t values(Extent extent) { return extent.outer * extent.channels * extent.inner; }

// Every function takes its arguments in the order of its first comment line.

// statistics(outer, channels, inner, x, mean, m2)
napi_value statistics(Arguments& arguments) {
  const Extent extent = arguments.extent();
  const float* x = arguments.floats(values(extent));
  double* mean = arguments.doubles(extent.channels);
  double* m2 = arguments.doubles(extent.channels);
  batchnorm::statistics(x, extent, {mean, m2});
  return nullptr;
}

// merge(channels, intoCount, intoMean, intoM2, fromCount, fromMean, fromM2)
napi_value merge(Arguments& arguments) {
  const std::size_t channels = arguments.size();
  const double into_count = arguments.number();
  double* into_mean = arguments.doubles(channels);
  double* into_m2 = arguments.doubles(channels);
  const double from_count = arguments.number();
  const double* from_mean = arguments.doubles(channels);
  const double* from_m2 = arguments.doubles(channels);
  batchnorm::merge(channels, into_count, {into_mean, into_m2}, from_count, {from_mean, from_m2});
  return nullptr;
}

// updateRunning(channels, runningMean, runningVariance, count, mean, m2, momentum)
napi_value update_running(Arguments& arguments) {
  const std::size_t channels = arguments.size();
  float* running_mean = arguments.floats(channels);
  float* running_variance = arguments.floats(channels);
  const double count = arguments.number();
  const double* mean = arguments.doubles(channels);
  const double* m2 = arguments.doubles(channels);
  batchnorm::update_running(channels, {running_mean, running_variance}, count, {mean, m2},
                            arguments.number());
  return nullptr;
}

// evalStatistics(channels, runningMean, runningVariance, eps, mean, invstd)
napi_value eval_statistics(Arguments& arguments) {
  const std::size_t channels = arguments.size();
  const float* running_mean = arguments.floats(channels);
  const float* running_variance = arguments.floats(channels);
  const double eps = arguments.number();
  double* mean = arguments.doubles(channels);
  double* invstd = arguments.doubles(channels);
  batchnorm::eval_statistics(channels, running_mean, running_variance, eps, mean, invstd);
  return nullptr;
}

// normalize(outer, channels, inner, x, mean, invstd, weight, bias, y)
napi_value normalize(Arguments& arguments) {
  const Extent extent = arguments.extent();
  const float* x = arguments.floats(values(extent));
  const double* mean = arguments.doubles(extent.channels);
  const double* invstd = arguments.doubles(extent.channels);
  const float* weight = arguments.optional_floats(extent.channels);
  const float* bias = arguments.optional_floats(extent.channels);
  float* y = arguments.floats(values(extent));
  batchnorm::normalize(x, extent, {mean, invstd}, {weight, bias}, y);
  return nullptr;
}

// forward(outer, channels, inner, x, eps, momentum, nonFinite, weight, bias, runningMean,
//         runningVariance, mean, m2, invstd, y): boolean
// nonFinite: 0 propagate, 1 skip, 2 stop.
napi_value forward(Arguments& arguments) {
  const Extent extent = arguments.extent();
  const float* x = arguments.floats(values(extent));
  const double eps = arguments.number();
  const double momentum = arguments.number();
  const auto non_finite = static_cast<batchnorm::NonFinite>(arguments.size());
  const float* weight = arguments.optional_floats(extent.channels);
  const float* bias = arguments.optional_floats(extent.channels);
  float* running_mean = arguments.optional_floats(extent.channels);
  float* running_variance = arguments.optional_floats(extent.channels);
  double* mean = arguments.doubles(extent.channels);
  double* m2 = arguments.doubles(extent.channels);
  double* invstd = arguments.doubles(extent.channels);
  float* y = arguments.floats(values(extent));
  const bool fit = batchnorm::forward(x, extent, {eps, momentum, non_finite}, {weight, bias},
                                      {running_mean, running_variance}, {mean, m2}, invstd, y);
  return Napi::Boolean::New(arguments.env(), fit);
}

// backward(outer, channels, inner, gradOutput, x, mean, invstd, weight, training, gradInput,
//          gradWeight, gradBias)
napi_value backward(Arguments& arguments) {
  const Extent extent = arguments.extent();
  const float* grad_output = arguments.floats(values(extent));
  const float* x = arguments.floats(values(extent));
  const double* mean = arguments.doubles(extent.channels);
  const double* invstd = arguments.doubles(extent.channels);
  const float* weight = arguments.optional_floats(extent.channels);
  const bool training = arguments.boolean();
  float* grad_input = arguments.optional_floats(values(extent));
  float* grad_weight = arguments.optional_floats(extent.channels);
  float* grad_bias = arguments.optional_floats(extent.channels);
  batchnorm::backward(grad_output, x, extent, {mean, invstd}, weight, training,
                      {grad_input, grad_weight, grad_bias});
  return nullptr;
}

// supportedInstructionSets(): string[]
napi_value supported_instruction_sets(Arguments& arguments) {
  Napi::Array names = Napi::Array::New(arguments.env());
  for (const char* const* name = batchnorm::supported_instruction_sets(); *name; ++name) {
    names.Set(names.Length(), *name);
  }
  return names;
}

// instructionSet(): string
napi_value instruction_set(Arguments& arguments) {
  return Napi::String::New(arguments.env(), batchnorm::instruction_set());
}

// useInstructionSet(name): boolean
napi_value use_instruction_set(Arguments& arguments) {
  const std::string name = arguments.string();
  return Napi::Boolean::New(arguments.env(), batchnorm::use_instruction_set(name.c_str()));
}

// threads(): number
napi_value threads(Arguments& arguments) {
  return Napi::Number::New(arguments.env(), batchnorm::threads());
}

// setNumThreads(count)
napi_value set_threads(Arguments& arguments) {
  batchnorm::set_threads(static_cast<unsigned>(arguments.size()));
  return nullptr;
}

template <napi_value (*function)(Arguments&)>
napi_value call(napi_env env, napi_callback_info info) {
  try {
    Arguments arguments(env, info);
    return function(arguments);
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  } catch (const std::bad_alloc&) {
    napi_throw_error(env, "ENOMEM", "Expected scratch memory but the system has none left");
  }
  return nullptr;
}

template <napi_value (*function)(Arguments&)>
void add(Napi::Env env, Napi::Object exports, const char* name) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, call<function>, nullptr, &value);
  exports.Set(name, value);
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  add<statistics>(env, exports, "statistics");
  add<merge>(env, exports, "merge");
  add<update_running>(env, exports, "updateRunning");
  add<eval_statistics>(env, exports, "evalStatistics");
  add<normalize>(env, exports, "normalize");
  add<forward>(env, exports, "forward");
  add<backward>(env, exports, "backward");
  add<supported_instruction_sets>(env, exports, "supportedInstructionSets");
  add<instruction_set>(env, exports, "instructionSet");
  add<use_instruction_set>(env, exports, "useInstructionSet");
  add<threads>(env, exports, "threads");
  add<set_threads>(env, exports, "setNumThreads");
  return exports;
}

}  // namespace

NODE_API_MODULE(batchnorm, initialize)
