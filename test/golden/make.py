#!/usr/bin/python3
"""Makes the golden files: what PyTorch's batch norms answer, for golden.test.ts to replay.

    /usr/bin/python3 test/golden/make.py [FOLDER]

PyTorch 1.13 makes all of them but samples-2.6: that one PyTorch 2.6 makes, from the samples that 1.13 does not
compute or answers with other bits. All the others it answers with the same ones.

PyTorch mostly computes in float64, from numbers of the type in question, so that its own rounding does
not have to be allowed for: only the meaning is in question. What it answers in float32, and in bfloat16
beside float32, is in files of its own; so are the samples, in each type's own arithmetic.

The same bits come out again: every case has a seed of its own, there is one thread, and PyTorch's
kernels are those for any processor.
"""

import json
import os
import pathlib
import sys

sys.dont_write_bytecode = True
os.environ["ATEN_CPU_CAPABILITY"] = "default"

try:
    import torch
except ImportError:
    sys.exit("make.py needs PyTorch (Debian: apt-get install python3-torch)")

import cases
import safetensors_file
from answers import answer
from second_answers import second_answer

IS_1_13 = torch.__version__.startswith("1.13")


def write(folder, name, answers):
    """`answers`: for each name of a case its words and its tensors."""
    tensors = {f"{case}/{key}": tensor for case, (_, of_case) in answers.items() for key, tensor in of_case.items()}
    words = {case: of_case for case, (of_case, _) in answers.items()}
    metadata = {"torch": torch.__version__, "cases": json.dumps(words, separators=(",", ":"))}
    path = folder / f"{name}.safetensors"
    safetensors_file.write(path, tensors, metadata)
    print(f"{path.name}: {len(answers)} cases of PyTorch {torch.__version__}, {path.stat().st_size} bytes")


def answers_to(questions, ask=answer):
    questions = list(questions)
    answers = {case.name: ask(case) for case in questions}
    if len(answers) < len(questions):
        sys.exit("two cases have one name")
    return answers


def computes(case):
    """Whether this PyTorch computes a sample on the CPU, in float32 where its values are halves.

    1.13 has no float16, and rounds to bfloat16 between the steps where the channels of 3d are the last.
    """
    rounds_between = case.dtype == "bfloat16" and case.form.name == "3d-last"
    return not IS_1_13 or not (case.dtype == "float16" or rounds_between)


def samples():
    return answers_to(filter(computes, cases.sample_cases()))


def other_than(path, answers):
    """Those that the file has not, or with other bits."""
    known = safetensors_file.read_bits(path)

    def is_known(case, tensors):
        return all(known.get(f"{case}/{key}") == safetensors_file.little_endian(tensors[key]) for key in tensors)

    return {case: (words, tensors) for case, (words, tensors) in answers.items() if not is_known(case, tensors)}


def main():
    torch.set_num_threads(1)
    here = pathlib.Path(__file__).parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    if not IS_1_13:
        # PyTorch 2.6 shares with 1.13 all that is not here.
        write(folder, "samples-2.6", other_than(here / "samples.safetensors", samples()))
        return
    write(folder, "float32", answers_to(cases.float32_cases()))
    write(folder, "pytorch-float32", answers_to(cases.pytorch_float32_cases()))
    write(folder, "float64", answers_to(cases.float64_cases()))
    write(folder, "halves", answers_to(cases.half_cases()))
    write(folder, "pytorch-bfloat16", answers_to(cases.pytorch_bfloat16_cases()))
    write(folder, "samples", samples())
    write(folder, "frozen", answers_to(cases.frozen_cases()))
    write(folder, "double-backward", answers_to(cases.double_backward_cases(), second_answer))


main()
