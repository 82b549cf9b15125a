#!/usr/bin/python3
"""Makes batchnorm1d.json: what PyTorch's BatchNorm1d answers, for golden.test.ts to replay.

    /usr/bin/python3 test/golden/make.py

Inputs, parameters and initial buffers are float32 numbers; PyTorch computes from them in float64, so
that its own rounding does not have to be allowed for. Every step of a case is a forward and a
backward; gradients of the parameters add up from step to step, as they do without zero_grad().
"""

import base64
import itertools
import json
import pathlib
import sys

try:
    import torch
except ImportError:
    sys.exit("make.py needs PyTorch (Debian: apt-get install python3-torch)")

# Positions after the channel (None: the input is (N, C)), channels, and the batch size of each step.
SHAPES = [(None, 5, (10, 3, 7, 17)), (6, 4, (4, 1, 3, 9)), (70, 3, (2, 1, 2, 3))]
MODES = ("train", "train", "eval", "train")


def packed(tensor, dtype):
    little_endian = tensor.detach().to(dtype).contiguous().numpy()
    little_endian = little_endian.astype(little_endian.dtype.newbyteorder("<"))
    return {
        "shape": list(tensor.shape),
        "dtype": str(dtype).removeprefix("torch."),
        "data": base64.b64encode(little_endian.tobytes()).decode("ascii"),
    }


def packed_state(module):
    return {
        key: packed(value, torch.int64 if value.dtype == torch.int64 else torch.float32)
        for key, value in module.state_dict().items()
    }


def random_float32(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float32).double()


def make_case(seed, inner, channels, batches, affine, tracking, momentum):
    generator = torch.Generator().manual_seed(seed)
    eps = 1e-5 if seed % 2 == 0 else 1e-3
    settings = dict(eps=eps, momentum=momentum, affine=affine, track_running_stats=tracking)
    module = torch.nn.BatchNorm1d(channels, **settings).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(random_float32(generator, channels))
        if tracking and seed % 3 == 0:
            module.running_mean.copy_(random_float32(generator, channels))
            module.running_var.copy_(random_float32(generator, channels).square().float())
            module.num_batches_tracked.fill_(5)
    case = {"name": repr(module), "settings": settings, "channels": channels, "state": packed_state(module)}

    steps = []
    for mode, batch in zip(MODES, batches):
        shape = (batch, channels) if inner is None else (batch, channels, inner)
        per_channel = (1, channels) if inner is None else (1, channels, 1)
        spread = random_float32(generator, *per_channel).exp()
        offset = 10 * random_float32(generator, *per_channel)
        x = (random_float32(generator, *shape) * spread + offset).float().double().requires_grad_()
        grad_output = random_float32(generator, *shape)
        y = module.train(mode == "train")(x)
        y.backward(grad_output)
        steps.append(
            {
                "mode": mode,
                "input": packed(x, torch.float32),
                "gradOutput": packed(grad_output, torch.float32),
                "output": packed(y, torch.float32),
                "gradInput": packed(x.grad, torch.float32),
                "gradients": {key: packed(p.grad, torch.float64) for key, p in module.named_parameters()},
                "state": packed_state(module),
            }
        )
    return {**case, "steps": steps}


def main():
    choices = itertools.product(SHAPES, (True, False), ((True, 0.1), (True, None), (True, 0.7), (False, 0.1)))
    cases = [
        make_case(seed, *shape, affine, tracking, momentum)
        for seed, (shape, affine, (tracking, momentum)) in enumerate(choices)
    ]
    target = pathlib.Path(__file__).with_name("batchnorm1d.json")
    target.write_text(json.dumps({"torch": torch.__version__, "cases": cases}, indent=1) + "\n")
    print(f"{len(cases)} cases of PyTorch {torch.__version__} written to {target.name}")


main()
