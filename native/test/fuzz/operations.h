// What a case's call gives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "../bits.h"
#include "inputs.h"

namespace batchnorm::test {

// The bits of all outputs, one after another.
using Outcome = std::vector<std::uint64_t>;

template <class T>
void add(Outcome& outcome, const Fenced<T>& array) {
  if (!array.intact()) std::abort();
  for (std::size_t i = 0; i < array.length(); ++i) outcome.push_back(bits(array.data()[i]));
}

template <class... Arrays>
Outcome outcome_of(const Arrays&... arrays) {
  Outcome outcome;
  (add(outcome, arrays), ...);
  return outcome;
}

// The call, with outputs of its own. `apart`: not over inputs, wherever the case has them.
template <class Value>
class Call {
 public:
  using Real = batchnorm::Real<Value>;

  Call(const Case& call, const Inputs<Value>& inputs, bool apart)
      : is(call),
        in(inputs),
        channels(call.extent.channels),
        place(apart ? Place::apart : call.place),
        residual_place(apart ? Place::apart : call.residual_place) {}

  Outcome run() const {
    switch (is.operation) {
      case Operation::statistics:
        return run_statistics();
      case Operation::merge:
        return run_merge();
      case Operation::update_running:
        return run_update_running();
      case Operation::eval_statistics:
        return run_eval_statistics();
      case Operation::normalize:
        return run_normalize();
      case Operation::forward:
        return run_forward();
      case Operation::backward:
        return run_backward();
      case Operation::gradient_sums:
        return run_gradient_sums();
      case Operation::input_gradient:
        return run_input_gradient();
    }
    std::abort();
  }

 private:
  template <class T>
  static T* optional(bool wanted, T* array) {
    return wanted ? array : nullptr;
  }
  template <class T>
  Fenced<T> output(std::size_t length) const {
    return Fenced<T>(length, is.slack * 5 % 16);
  }
  template <class T>
  Fenced<T> copy(const Fenced<T>& from) const {
    return Fenced<T>(from.data(), from.length(), is.slack);
  }
  // By channel there may be none.
  std::size_t some_channels() const { return channels - 1; }

  Affine<Real> affine() const {
    return {optional(is.weight, in.weight.data()), optional(is.bias, in.bias.data())};
  }
  Statistics given_statistics() const {
    return {in.mean.data(), in.spread.data(), optional(is.mean_low, in.mean_low.data())};
  }
  bool is_activated() const { return is.activation.name != ActivationName::none; }

  Outcome run_statistics() const {
    auto mean = output<double>(channels), m2 = output<double>(channels);
    auto mean_low = output<double>(channels);
    statistics(in.x.data(), is.extent,
               {mean.data(), m2.data(), optional(is.mean_low, mean_low.data())});
    return outcome_of(mean, m2, mean_low);
  }

  Outcome run_merge() const {
    auto mean = copy(in.gradient), m2 = copy(in.spread), mean_low = copy(in.product);
    merge(some_channels(), is.into_count,
          {mean.data(), m2.data(), optional(is.weight, mean_low.data())}, is.from_count,
          {in.mean.data(), in.spread.data(), optional(is.mean_low, in.mean_low.data())});
    return outcome_of(mean, m2, mean_low);
  }

  Outcome run_update_running() const {
    auto mean = copy(in.running_mean), variance = copy(in.running_variance);
    const double correction = is.mean_low ? 1 : 0;
    update_running<Real>(some_channels(), {mean.data(), variance.data(), correction},
                         std::max(is.from_count, 2.0), {in.mean.data(), in.spread.data()},
                         is.momentum);
    return outcome_of(mean, variance);
  }

  Outcome run_eval_statistics() const {
    auto mean = output<double>(channels), invstd = output<double>(channels);
    eval_statistics(some_channels(), in.running_mean.data(), in.running_variance.data(), is.eps,
                    mean.data(), invstd.data());
    return outcome_of(mean, invstd);
  }

  // Calls run(x, y, epilogue): y may be x, or the residual.
  template <class Run>
  Outcome with_epilogue(Place at, const Run& run) const {
    const bool over_x = at == Place::first;
    const bool over_residual = at == Place::second && is.residual;
    auto y = over_x ? copy(in.x) : over_residual ? copy(in.other) : output<Value>(in.x.length());
    const Value* const residual = over_residual ? y.data() : in.other.data();
    run(over_x ? y.data() : in.x.data(), y.data(),
        Epilogue<Value>{is.activation, optional(is.residual, residual)});
    return outcome_of(y);
  }

  Outcome run_normalize() const {
    return with_epilogue(place, [&](const Value* x, Value* y, Epilogue<Value> epilogue) {
      normalize(x, is.extent, given_statistics(), affine(), y, epilogue);
    });
  }

  Outcome run_forward() const {
    auto running_mean = copy(in.running_mean), running_variance = copy(in.running_variance);
    auto mean = output<double>(channels), m2 = output<double>(channels);
    auto mean_low = output<double>(channels), invstd = output<double>(channels);
    bool fit = false;
    // What stays in y shows where it was, unless it is an array of its own.
    const Place at = is.non_finite == NonFinite::throws ? Place::apart : place;
    Outcome all = with_epilogue(at, [&](const Value* x, Value* y, Epilogue<Value> epilogue) {
      fit = forward(x, is.extent, {is.eps, is.momentum, is.non_finite}, affine(),
                    {optional(is.running, running_mean.data()),
                     optional(is.running, running_variance.data())},
                    {mean.data(), m2.data(), optional(is.mean_low, mean_low.data())}, invstd.data(),
                    y, epilogue);
    });
    all.push_back(fit);
    for (const auto* array : {&mean, &m2, &mean_low, &invstd}) add(all, *array);
    for (const auto* array : {&running_mean, &running_variance}) add(all, *array);
    return all;
  }

  struct Tensors {
    const Value* grad_output;
    const Value* x;
    const Value* activated;
    Value* grad_input;
    Value* grad_residual;
  };
  // Calls run(tensors): an output may be the gradient, x or what was activated.
  template <class Run>
  Outcome with_gradients(const Run& run) const {
    const Fenced<Value>* const sources[] = {&in.grad_output, &in.x, &in.other};
    const Place first = is.grad_input ? place : Place::apart;
    // Without an activation nothing is written to it.
    const Place second = is_activated() && residual_place != first ? residual_place : Place::apart;
    const auto array_at = [&](Place at) {
      return at == Place::apart ? output<Value>(in.x.length())
                                : copy(*sources[static_cast<int>(at) - 1]);
    };
    Fenced<Value> input = array_at(first);
    Fenced<Value> residual = array_at(second);
    const auto read = [&](Place at) -> const Value* {
      if (first == at) return input.data();
      if (second == at) return residual.data();
      return sources[static_cast<int>(at) - 1]->data();
    };
    run(Tensors{read(Place::first), read(Place::second), read(Place::third),
                optional(is.grad_input, input.data()), optional(is.residual, residual.data())});
    Outcome all;
    if (is.grad_input) add(all, input);
    if (is.residual) add(all, residual);
    return all;
  }

  Outcome run_backward() const {
    auto weight = output<Real>(channels), bias = output<Real>(channels);
    Outcome all = with_gradients([&](const Tensors& of) {
      backward(of.grad_output, of.x, is.extent, given_statistics(), affine().weight, is.training,
               {of.grad_input, optional(is.grad_weight, weight.data()),
                optional(is.grad_bias, bias.data()), of.grad_residual},
               {is.activation, of.activated});
    });
    add(all, weight);
    add(all, bias);
    return all;
  }

  Outcome run_gradient_sums() const {
    auto gradient = output<double>(channels), product = output<double>(channels);
    gradient_sums(in.grad_output.data(), in.x.data(), is.extent, given_statistics(),
                  {gradient.data(), product.data()}, {is.activation, in.other.data()});
    return outcome_of(gradient, product);
  }

  Outcome run_input_gradient() const {
    return with_gradients([&](const Tensors& of) {
      input_gradient(of.grad_output, of.x, is.extent, given_statistics(), affine().weight,
                     {in.gradient.data(), in.product.data()}, std::max(is.from_count, 1.0),
                     of.grad_input, {is.activation, of.activated}, of.grad_residual);
    });
  }

  const Case& is;
  const Inputs<Value>& in;
  std::size_t channels;
  Place place;
  Place residual_place;
};

}  // namespace batchnorm::test
