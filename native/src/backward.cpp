#include "batchnorm/batchnorm.h"
#include "dispatch.h"
#include "plan.h"
#include "scratch.h"
#include "shares.h"

namespace batchnorm {
namespace {

// What a call reads, writes and keeps; the arrays by channel are [extent.channels].
struct Backward {
  const float* grad_output;
  const float* x;
  Extent extent;
  Statistics statistics;
  const float* weight;
  Gradients gradients;
  float* mean;  // statistics, rounded
  float* invstd;
  Sums sums;
  GradientTransform transform;

  Backward(const float* g, const float* from, Extent e, Statistics s, const float* w, Gradients to,
           Scratch& scratch)
      : grad_output(g), x(from), extent(e), statistics(s), weight(w), gradients(to) {
    const std::size_t channels = extent.channels;
    mean = scratch.floats(channels);
    invstd = scratch.floats(channels);
    sums = {scratch.doubles(channels), scratch.doubles(channels)};
    transform = {scratch.floats(channels), scratch.floats(channels), scratch.floats(channels),
                 scratch.floats(channels)};
    for (std::size_t c = 0; c < channels; ++c) {
      mean[c] = static_cast<float>(statistics.mean[c]);
      invstd[c] = static_cast<float>(statistics.invstd[c]);
    }
  }

  std::size_t stride() const { return extent.channels * extent.inner; }
  Input of(const float* data, const Share& share) const {
    return {share.in(data, extent), stride()};
  }
  Output input_gradient(const Share& share) const {
    return {share.in(gradients.input, extent), stride()};
  }
  bool streams(const Plan& plan) const {
    return plan.stream && gradients.input != grad_output && gradients.input != x;
  }
  Sums sums_from(std::size_t channel) const {
    return {sums.gradient + channel, sums.product + channel};
  }
  GradientTransform transform_from(std::size_t channel) const {
    return {transform.mean + channel, transform.slope + channel, transform.offset + channel,
            transform.scale + channel};
  }

  // After the sums of channels [begin, end): the gradients of weight and bias, and what the
  // gradient of the input needs.
  void settle(std::size_t begin, std::size_t end) const {
    const Kernels& k = kernels();
    const std::size_t channels = end - begin;
    const Statistics here{statistics.mean + begin, statistics.invstd + begin};
    k.settle_sums(channels, here, sums_from(begin));
    for (std::size_t c = begin; c < end; ++c) {
      if (gradients.weight) gradients.weight[c] = static_cast<float>(sums.product[c]);
      if (gradients.bias) gradients.bias[c] = static_cast<float>(sums.gradient[c]);
    }
    const double count = static_cast<double>(extent.outer * extent.inner);
    k.gradient_transform(channels, count, here, weight ? weight + begin : nullptr, sums_from(begin),
                         transform_from(begin));
  }
};

// The sums of a tile of channels, segment by segment, on this thread.
void sums_of_tile(const Backward& call, const Plan& plan, const Share& share) {
  const Kernels& k = kernels();
  const Extent tile = share.extent(call.extent.inner);
  const std::size_t first = share.channel_begin;
  const Sums sums = call.sums_from(first);
  const auto segment_sums = [&](std::size_t segment, Sums to) {
    k.segment_sums(call.of(call.grad_output, share), call.of(call.x, share), tile, plan.order,
                   segment, call.mean + first, call.invstd + first, to);
  };
  segment_sums(0, sums);
  if (plan.order.segments == 1) return;
  Scratch scratch;
  const Sums later{scratch.doubles(tile.channels), scratch.doubles(tile.channels)};
  for (std::size_t segment = 1; segment < plan.order.segments; ++segment) {
    segment_sums(segment, later);
    k.add_sums(tile.channels, sums, later);
  }
}

// The sums of every channel, the segments shared out among threads.
void sums_of_all(const Backward& call, const Plan& plan) {
  const Kernels& k = kernels();
  const std::size_t channels = call.extent.channels;
  const std::size_t segments = plan.order.segments;
  Scratch scratch;
  double* gradient = scratch.doubles((segments - 1) * channels);
  double* product = scratch.doubles((segments - 1) * channels);
  const auto sums_of = [&](std::size_t segment) {
    const std::size_t at = (segment - 1) * channels;
    return segment == 0 ? call.sums : Sums{gradient + at, product + at};
  };
  run_shares(plan.shared, segments * plan.tiles, [&](std::size_t index) {
    const Share share = plan.tile_share(call.extent, index % plan.tiles);
    const std::size_t first = share.channel_begin;
    const Sums whole = sums_of(index / plan.tiles);
    k.segment_sums(call.of(call.grad_output, share), call.of(call.x, share),
                   share.extent(call.extent.inner), plan.order, index / plan.tiles,
                   call.mean + first, call.invstd + first,
                   {whole.gradient + first, whole.product + first});
  });
  for (std::size_t segment = 1; segment < segments; ++segment) {
    k.add_sums(channels, call.sums, sums_of(segment));
  }
}

void backward_by_tiles(const Backward& call, const Plan& plan) {
  run_shares(plan.shared, plan.tiles, [&](std::size_t index) {
    const Share share = plan.tile_share(call.extent, index);
    const Extent tile = share.extent(call.extent.inner);
    sums_of_tile(call, plan, share);
    call.settle(share.channel_begin, share.channel_end);
    kernels().training_gradient(call.of(call.grad_output, share), call.of(call.x, share), tile,
                                call.transform_from(share.channel_begin),
                                call.input_gradient(share), call.streams(plan));
  });
}

void training_gradient_of_all(const Backward& call, const Plan& plan) {
  run_shares(plan.shared, plan.elementwise_shares, [&](std::size_t index) {
    const Share share = plan.elementwise_share(call.extent, index);
    kernels().training_gradient(
        call.of(call.grad_output, share), call.of(call.x, share), share.extent(call.extent.inner),
        call.transform_from(share.channel_begin), call.input_gradient(share), call.streams(plan));
  });
}

void eval_gradient_of_all(const Backward& call, const Plan& plan) {
  run_shares(plan.shared, plan.elementwise_shares, [&](std::size_t index) {
    const Share share = plan.elementwise_share(call.extent, index);
    kernels().eval_gradient(call.of(call.grad_output, share), share.extent(call.extent.inner),
                            call.transform.scale + share.channel_begin, call.input_gradient(share),
                            call.streams(plan));
  });
}

}  // namespace

void backward(const float* grad_output, const float* x, Extent extent, Statistics statistics,
              const float* weight, bool training, Gradients gradients) {
  const Plan plan(extent, 2);
  Scratch scratch;
  const Backward call(grad_output, x, extent, statistics, weight, gradients, scratch);
  if (training && gradients.input && plan.local) {
    backward_by_tiles(call, plan);
    return;
  }
  if (training || gradients.weight || gradients.bias) {
    sums_of_all(call, plan);
    call.settle(0, extent.channels);
  }
  if (!gradients.input) return;
  if (training) {
    training_gradient_of_all(call, plan);
  } else {
    kernels().transform(extent.channels, statistics, {weight, nullptr},
                        {call.transform.mean, call.transform.scale, call.transform.offset});
    eval_gradient_of_all(call, plan);
  }
}

}  // namespace batchnorm
