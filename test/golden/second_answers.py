"""What PyTorch answers to a double backward: the gradients of sums of the gradients."""

import torch
from answers import in_memory, stored, stored_shape
from inputs import Numbers


def second_answer(case):
    """The case in words and in tensors: float32 numbers, from which PyTorch has computed in float64."""
    numbers = Numbers(case.name)
    form, layout = case.form, case.form.layout
    shape, channels = form.shapes[0], form.channels
    x = in_memory(numbers.input(case.data, shape), layout).requires_grad_()
    grad_output = in_memory(numbers.gradient(shape), layout).requires_grad_()
    weight = numbers.parameter(channels).requires_grad_() if case.affine else None
    bias = numbers.parameter(channels).requires_grad_() if case.affine else None
    mean, variance = numbers.parameter(channels), numbers.variance(channels)
    # All are drawn, so that what is left out changes none of the others.
    asked = {
        "gradGradInput": in_memory(numbers.gradient(shape), layout),
        "gradGradWeight": numbers.parameter(channels),
        "gradGradBias": numbers.parameter(channels),
    }
    asked = {key: asked[key] for key in case.present}

    # PyTorch moves the running statistics in training: they are copies.
    running = (mean.clone(), variance.clone())
    y = torch.nn.functional.batch_norm(x, *running, weight, bias, case.training, 0.1, case.eps)
    inputs = [x] + ([weight, bias] if case.affine else [])
    first = torch.autograd.grad(y, inputs, grad_output, create_graph=True)
    named = dict(zip(("gradGradInput", "gradGradWeight", "gradGradBias"), first))
    of = [x, grad_output] + ([weight] if case.affine else [])
    second = torch.autograd.grad([named[key] for key in asked], of, list(asked.values()), allow_unused=True)
    second = [torch.zeros_like(one) if grad is None else grad for one, grad in zip(of, second)]

    given = {"input": x, "gradOutput": grad_output, "running_mean": mean, "running_var": variance, **asked}
    if case.affine:
        given["weight"] = weight
    expected = dict(zip(("gradInput", "gradGradOutput", "gradWeight"), second))

    def values(tensor):
        return stored(tensor.detach(), layout) if tensor.dim() > 1 else tensor.detach()

    tensors = {key: values(tensor).float() for key, tensor in given.items()}
    tensors.update({f"expected.{key}": values(tensor) for key, tensor in expected.items()})
    words = {
        "training": case.training,
        "eps": case.eps,
        "layout": layout,
        "shape": stored_shape(shape, layout),
        "given": list(given),
        "expected": list(expected),
    }
    return words, tensors
