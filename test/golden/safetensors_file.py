"""Tensors in the safetensors format: the length of a header, the header as JSON, the values."""

import json
import struct

import torch

TYPES = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}


def little_endian(tensor):
    # NumPy has no bfloat16: its bits are those of an int16.
    array = (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def write(path, tensors, metadata):
    """Writes a dict of tensors, the widest types first, so that each lies at a multiple of its size."""
    header = {"__metadata__": metadata}
    values = bytearray()
    for key, tensor in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        begin = len(values)
        values += little_endian(tensor.detach().contiguous())
        header[key] = {
            "dtype": TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, len(values)],
        }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + values)


def read_bits(path):
    """The bytes of each tensor of a file."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    values = content[8 + length :]
    return {key: values[slice(*words["data_offsets"])] for key, words in header.items() if key != "__metadata__"}
