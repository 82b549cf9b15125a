"""Trains the network of the examples in PyTorch, for a second, and writes it as model.safetensors and model.onnx.

    python3 make.py      # torch, safetensors; tried with PyTorch 1.13
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch import nn

folder = pathlib.Path(__file__).parent
torch.manual_seed(0)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.bn1 = nn.Linear(4, 16), nn.BatchNorm1d(16)
        self.fc2, self.bn2 = nn.Linear(16, 16), nn.BatchNorm1d(16)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.relu(self.bn1(self.fc1(x)))
        x = torch.relu(self.bn2(self.fc2(x)))
        return self.head(x)


# Three classes around three places, each a unit vector away from 0, of sensors that read from 0 to 1.
labels = torch.arange(3).repeat(200)
x = 0.5 + 0.3 * torch.eye(4)[labels] + 0.1 * torch.randn(600, 4)
network = Network().train()
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
for _ in range(100):
    optimizer.zero_grad()
    nn.functional.cross_entropy(network(x), labels).backward()
    optimizer.step()

network.eval()
print("accuracy", (network(x).argmax(1) == labels).float().mean().item())
save_file(network.state_dict(), folder / "model.safetensors", {"format": "pt"})
torch.onnx.export(
    network,
    x[:1],
    folder / "model.onnx",
    input_names=["x"],
    output_names=["logits"],
    dynamic_axes={"x": {0: "N"}, "logits": {0: "N"}},
    # Otherwise the exporter folds the batch norms itself.
    training=torch.onnx.TrainingMode.PRESERVE,
    do_constant_folding=False,
)
