"""Numbers for inputs, the same on every machine: sums and products alone, of Python's seeded generator."""

import math
import random
import zlib

import torch


def normal(source):
    """About N(0, 1): the sum of twelve uniform numbers, less their mean.

    Python's sum() is not used: from 3.12 on it keeps what additions round away.
    """
    total = 0.0
    for _ in range(12):
        total += source.random()
    return total - 6


def scaled(scale, offset=0.0):
    return lambda source, channel, place, places: offset + scale * normal(source)


def of_each_channel(source, channel, place, places):
    """Another mean and another spread in each channel."""
    return 4 * channel - 5 + (1 + channel) / 2 * normal(source)


def with_special(*special):
    """Channel 0 has special values, one in each of its first places; the other channels are as they were."""

    def value(source, channel, place, places):
        ordinary = of_each_channel(source, channel, place, places)
        return special[place] if channel == 0 and place < len(special) else ordinary

    return value


# The value at `place` of the `places` that a channel has.
KINDS = {
    "normal": of_each_channel,
    "offset-1e4": scaled(1e-2, 1e4),
    "offset-1e6": scaled(1, 1e6),
    "scale-1e-15": scaled(1e-15),
    "scale-1e18": scaled(1e18),
    "outlier": with_special(1e8),
    "sorted": lambda source, channel, place, places: 100 + place / places,
    "zeros": lambda source, channel, place, places: 0.0,
    "constant": lambda source, channel, place, places: 0.1 + channel,
    "constant-channel": lambda *at: 0.1 if at[1] == 0 else of_each_channel(*at),
    # A constant whose sums are exact, so that PyTorch's variance is 0 too.
    "three-channel": lambda *at: 3.0 if at[1] == 0 else of_each_channel(*at),
    "nan-channel": with_special(math.nan),
    "infinity-channel": with_special(math.inf),
    "both-infinities-channel": with_special(-math.inf, math.inf),
}


class Numbers:
    """The numbers of one case. Its name is their seed, so that another case more changes none of them.

    All are float64 tensors; the values of inputs and gradients are numbers of `values` too, and those of
    parameters and statistics numbers of float32, or of float64 beside values of float64.
    """

    def __init__(self, name, values=torch.float32):
        self.source = random.Random(zlib.crc32(name.encode()))
        self.values = values
        self.parameters = torch.float64 if values == torch.float64 else torch.float32

    def input(self, kind, shape):
        """Of the shape (N, C, ...)."""
        channels = shape[1]
        places = math.prod(shape) // channels
        value = KINDS[kind]
        rows = [[value(self.source, c, p, places) for p in range(places)] for c in range(channels)]
        by_channel = torch.tensor(rows, dtype=torch.float64).reshape(channels, shape[0], *shape[2:])
        return by_channel.transpose(0, 1).contiguous().to(self.values).double()

    def gradient(self, shape):
        return self.normals(shape).to(self.values).double()

    def parameter(self, channels):
        return self.normals([channels]).to(self.parameters).double()

    def variance(self, channels):
        return (self.parameter(channels).square() + 0.25).to(self.parameters).double()

    def normals(self, shape):
        values = [normal(self.source) for _ in range(math.prod(shape))]
        return torch.tensor(values, dtype=torch.float64).reshape(shape)
