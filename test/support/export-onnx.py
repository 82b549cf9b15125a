"""Exports fresh batch norms as this PyTorch does, for onnx-pytorch.test.ts: a line of JSON for each file, with its bytes in
hexadecimal, its mode, and what each of its modules was.
"""

import io
import json
import sys
import warnings

import torch

warnings.filterwarnings("ignore")


def models():
    yield [torch.nn.BatchNorm1d(4)], (5, 4)
    yield [torch.nn.BatchNorm1d(4, eps=1e-3, momentum=0.25, affine=False)], (5, 4, 3)
    yield [torch.nn.BatchNorm2d(3) for _ in range(3)], (2, 3, 4, 5)
    yield [torch.nn.BatchNorm3d(2).double()], (2, 2, 3, 2, 2)
    shared = torch.nn.BatchNorm2d(3)
    yield [shared, torch.nn.ReLU(), shared], (2, 3, 4, 5)


def state(module):
    tensors = {key: value.tolist() for key, value in module.state_dict().items() if key != "num_batches_tracked"}
    return {"eps": module.eps, "momentum": module.momentum, "tensors": tensors}


for version in range(9, 18):
    for mode in ("EVAL", "TRAINING", "PRESERVE"):
        for folding in (True, False):
            for modules, shape in models():
                model = torch.nn.Sequential(*modules).train(mode == "TRAINING")
                file = io.BytesIO()
                torch.onnx.export(
                    model,
                    torch.ones(shape, dtype=next(model.buffers()).dtype),
                    file,
                    opset_version=version,
                    training=getattr(torch.onnx.TrainingMode, mode),
                    do_constant_folding=folding,
                )
                norms = [state(each) for each in modules if hasattr(each, "eps")]
                line = {"training": mode == "TRAINING", "rank": len(shape), "norms": norms, "hex": file.getvalue().hex()}
                sys.stdout.write(json.dumps(line) + "\n")
