#!/usr/bin/python3
"""Makes two models as PyTorch exports them, for the tests of .onnx files to read: pytorch.onnx, whose three batch norms
all differ, and pytorch-fresh.onnx, whose equal parameters it merges.

    /usr/bin/python3 test/golden/make-onnx.py
"""

import pathlib
import sys

try:
    import onnx
    import torch
except ImportError:
    sys.exit("make-onnx.py needs PyTorch and ONNX (Debian: apt-get install python3-torch python3-onnx)")

PATH = str(pathlib.Path(__file__).with_name("pytorch.onnx"))
FRESH = str(pathlib.Path(__file__).with_name("pytorch-fresh.onnx"))


def batch_norm(module, offset):
    """Numbers that say where they belong: 1.5, 2.5, 3.5 in a weight, 10 more in a bias, and so on."""
    channels = torch.arange(module.num_features) + offset
    with torch.no_grad():
        module.weight.copy_(channels)
        module.bias.copy_(channels + 10)
    module.running_mean.copy_(channels + 20)
    module.running_var.copy_(channels + 30)
    return module


torch.manual_seed(1)
model = torch.nn.Sequential(
    torch.nn.Conv2d(2, 3, 3),
    batch_norm(torch.nn.BatchNorm2d(3, eps=1e-3, momentum=0.25), 1.5),
    torch.nn.ReLU(),
    batch_norm(torch.nn.BatchNorm2d(3, affine=True), 100.0),
    torch.nn.Flatten(),
    batch_norm(torch.nn.BatchNorm1d(12), 0.25),
).eval()

torch.onnx.export(
    model,
    torch.zeros(1, 2, 4, 4),
    PATH,
    # PyTorch folds a batch norm into the convolution before it unless the training mode is preserved.
    training=torch.onnx.TrainingMode.PRESERVE,
    do_constant_folding=False,
    opset_version=15,
    input_names=["image"],
    dynamic_axes={"image": {0: "N"}},
)

# Without it, no shape is known but those of the input and the output.
onnx.save(onnx.shape_inference.infer_shapes(onnx.load(PATH)), PATH)

# As it comes: in inference, of the latest operator set that this PyTorch knows.
fresh = torch.nn.Sequential(
    torch.nn.BatchNorm2d(3),
    torch.nn.ReLU(),
    torch.nn.BatchNorm2d(3, eps=1e-3, affine=False),
    torch.nn.BatchNorm2d(3, momentum=None),
)
torch.onnx.export(fresh, torch.zeros(2, 3, 4, 4), FRESH, opset_version=17, do_constant_folding=False)
