"""One step in PyTorch for each line of standard input: for accuracy-table.ts.

A line is JSON: shape, eps, running (null in training), type, and x, gradOutput, weight and bias as float64 in base64. The answer, a
line too, has the results of the step under the names of judge.ts, as float64 in base64.
"""

import base64
import json
import sys

import numpy
import torch


def decoded(text, dtype):
    numbers = numpy.frombuffer(base64.b64decode(text), dtype=numpy.float64)
    return torch.from_numpy(numbers.copy()).to(dtype)


def encoded(values):
    return base64.b64encode(values.detach().to(torch.float64).numpy().tobytes()).decode()


def answer(question):
    dtype = getattr(torch, question["type"])
    parameters = torch.float64 if dtype == torch.float64 else torch.float32
    shape = question["shape"]
    module = torch.nn.BatchNorm1d(shape[1], eps=question["eps"], momentum=1.0, dtype=parameters)
    with torch.no_grad():
        module.weight.copy_(decoded(question["weight"], parameters))
        module.bias.copy_(decoded(question["bias"], parameters))
    if question["running"]:
        module.eval()
        module.running_mean.fill_(question["running"]["mean"])
        module.running_var.fill_(question["running"]["variance"])
    x = decoded(question["x"], dtype).reshape(shape).requires_grad_()
    y = module(x)
    y.backward(decoded(question["gradOutput"], dtype).reshape(shape))
    return {
        "y": encoded(y),
        "gradInput": encoded(x.grad),
        "gradWeight": encoded(module.weight.grad),
        "gradBias": encoded(module.bias.grad),
        "runningMean": encoded(module.running_mean),
        "runningVar": encoded(module.running_var),
    }


print(torch.__version__)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))))
