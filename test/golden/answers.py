"""What PyTorch answers: a module is run step by step, and everything that it shows is kept."""

import torch
from inputs import Numbers

LOADED_BATCHES = 5


def parameters_of(module):
    return {key: parameter for key, parameter in module.named_parameters()}


def make_module(case, numbers, dtype):
    """A module of PyTorch with random parameters; `scale` alone and `center` alone have None for the other."""
    untracked = case.momentum == "untracked"
    module = getattr(torch.nn, case.form.module)(
        case.form.channels,
        eps=case.eps,
        momentum=0.1 if untracked else case.momentum,
        affine=case.scale or case.center,
        track_running_stats=not untracked,
    ).to(dtype)
    if not case.scale:
        module.weight = None
    if not case.center:
        module.bias = None
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(numbers.parameter(case.form.channels))
        if case.loaded:
            module.running_mean.copy_(numbers.parameter(case.form.channels))
            module.running_var.copy_(numbers.variance(case.form.channels))
            module.num_batches_tracked.fill_(LOADED_BATCHES)
    return module


def stored(tensor, layout):
    """The values in the order of memory: (N, C, ...) or, with the channels last, (N, ..., C)."""
    return (tensor.movedim(1, -1) if layout == "channels-last" else tensor).flatten()


def in_memory(tensor, layout):
    """The same tensor (N, C, ...), with the memory of its layout."""
    if layout == "channels-first":
        return tensor.contiguous()
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


def options_of(case):
    """In the words of this library."""
    untracked = case.momentum == "untracked"
    return {
        "eps": case.eps,
        "momentum": 0.1 if untracked else case.momentum,
        "scale": case.scale,
        "center": case.center,
        "trackRunningStats": not untracked,
        "layout": case.form.layout,
    }


def stored_shape(shape, layout):
    return [shape[0], *shape[2:], shape[1]] if layout == "channels-last" else list(shape)


def gradient_of(parameter):
    """Zeros where there is none, because the parameter is frozen."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()


def answer(case):
    """The case in words (for the metadata) and in tensors.

    Values of all steps stand one after another, gradients of the parameters and running statistics in
    rows: one a step, and a first one of running statistics for the state before. All numbers are stored
    as float32, those of cases of float64 as float64: what PyTorch computed in float64 is rounded to that,
    but not to halves.
    """
    values_type = getattr(torch, case.dtype)
    numbers = Numbers(case.name, values_type)
    stored_type = numbers.parameters
    oracle = getattr(torch, case.oracle)
    # Beside halves the parameters are float32: PyTorch's mixed types.
    module = make_module(case, numbers, torch.float32 if torch.finfo(oracle).bits == 16 else oracle)
    layout = case.form.layout
    tracked = case.momentum != "untracked"
    for key in case.frozen:
        getattr(module, key).requires_grad_(False)
    initial = {key: parameter.detach().clone() for key, parameter in parameters_of(module).items()}
    values = {key: [] for key in ("input", "gradOutput", "output", "gradInput")}
    rows = {f"{key}.grad": [] for key in initial}
    rows.update({key: [buffer.clone()] for key, buffer in module.named_buffers()})

    steps = []
    for mode, shape in zip(case.modes, case.form.shapes):
        x = in_memory(numbers.input(case.data, shape).to(oracle), layout).requires_grad_()
        grad_output = in_memory(numbers.gradient(shape).to(oracle), layout)
        module.train(mode == "train")
        y = module(x)
        y.backward(grad_output)
        step = {"input": x, "gradOutput": grad_output, "output": y, "gradInput": x.grad}
        for key, tensor in step.items():
            values[key].append(stored(tensor.detach(), layout))
        for key, parameter in parameters_of(module).items():
            rows[f"{key}.grad"].append(gradient_of(parameter))
        for key, buffer in module.named_buffers():
            rows[key].append(buffer.clone())
        steps.append({"mode": mode, "shape": stored_shape(shape, layout)})

    tensors = {key: torch.cat(parts).to(stored_type) for key, parts in values.items()}
    tensors.update({key: parameter.to(stored_type) for key, parameter in initial.items()})
    for key, parts in rows.items():
        stacked = torch.stack(parts)
        tensors[key] = stacked if stacked.dtype == torch.int64 else stacked.to(stored_type)
    # The rest are options that PyTorch does not have.
    printed = case.scale == case.center and layout == "channels-first"
    words = {
        "module": case.form.module,
        "numFeatures": case.form.channels,
        "options": options_of(case),
        "dtype": case.dtype,
        "oracle": case.oracle,
        "frozen": list(case.frozen),
        "prints": repr(module) if printed else None,
        "state": list(module.state_dict()),
        "steps": steps,
    }
    return words, tensors
