"""Which questions PyTorch is asked: groups of cases, each a product over a few choices."""

import dataclasses
import itertools

TRAIN, EVAL = "train", "eval"


@dataclasses.dataclass(frozen=True)
class Form:
    """A module, and the shapes (N, C, ...) of its steps, one after another."""

    name: str
    module: str
    shapes: tuple
    layout: str = "channels-first"

    @property
    def channels(self):
        return self.shapes[0][1]


@dataclasses.dataclass(frozen=True)
class Case:
    """One module and what is done with it: in each step a forward in `modes[step]`, and a backward."""

    form: Form
    scale: bool = True
    center: bool = True
    # A number, None for the cumulative average; or "untracked": track_running_stats=False.
    momentum: object = 0.1
    eps: float = 1e-5
    modes: tuple = (TRAIN, EVAL, TRAIN)
    data: str = "normal"
    # Whether a state from five batches ago is loaded first.
    loaded: bool = False
    # Parameters whose gradient is not wanted.
    frozen: tuple = ()
    # The type of inputs and outputs, and what PyTorch computes in.
    dtype: str = "float32"
    oracle: str = "float64"
    # What stands for the options in the name.
    title: str = None

    @property
    def affine(self):
        parts = {(True, True): "affine", (True, False): "scale", (False, True): "center"}
        return parts.get((self.scale, self.center), "plain")

    @property
    def name(self):
        if self.title:
            return f"{self.dtype}/{self.form.name}/{self.title}"
        momentum = "null" if self.momentum is None else self.momentum
        parts = [self.dtype] if self.dtype != "float32" else []
        parts += [self.form.name, self.affine, momentum if momentum == "untracked" else f"momentum-{momentum}"]
        parts += [f"eps-{self.eps:g}"] if self.eps != 1e-5 else []
        parts += [self.data] if self.data != "normal" else []
        parts += ["loaded"] if self.loaded else []
        parts += [f"{'-'.join(self.frozen)}-frozen"] if self.frozen else []
        parts += ["-".join(self.modes)]
        return "/".join(parts)


FORMS = [
    Form("1d-nc", "BatchNorm1d", ((5, 3), (2, 3), (7, 3), (4, 3), (3, 3))),
    Form("1d-ncl", "BatchNorm1d", ((2, 3, 4), (1, 3, 5), (3, 3, 2), (2, 3, 1), (1, 3, 7))),
    Form("2d", "BatchNorm2d", ((2, 3, 2, 2), (1, 3, 3, 2), (3, 3, 1, 2), (2, 3, 2, 1), (4, 3, 1, 1))),
    Form("3d", "BatchNorm3d", ((2, 2, 1, 2, 2), (1, 2, 3, 2, 1), (3, 2, 2, 1, 1), (2, 2, 1, 1, 2), (1, 2, 2, 2, 2))),
]
CHANNELS_LAST = [
    dataclasses.replace(form, name=f"{form.name}-channels-last", layout="channels-last") for form in FORMS[1:]
]
# Around the widths of vectors, and around the rows, samples and positions that sums begin and end at.
SIZES = (
    [(3, channels) for channels in (1, 7, 8, 9, 16, 17, 33)]
    + [(rows, 2) for rows in (10, 63, 64, 65)]
    + [(rows, 1) for rows in (2, 127, 128, 129, 513, 1025)]
    + [(2, 2, positions) for positions in (1, 7, 8, 15, 16, 17, 31, 33, 63, 65, 70, 129)]
    + [(1, 3, 2), (1, 1, 64), (4, 5, 6), (2, 1, 511), (1, 1, 512), (2, 1, 513)]
)
SEQUENCES = [
    (TRAIN,),
    (EVAL,),
    (EVAL, TRAIN),
    (TRAIN, EVAL),
    (TRAIN, TRAIN, TRAIN),
    (TRAIN, EVAL, TRAIN, EVAL, TRAIN),
]
PARTS = [{"scale": scale, "center": center} for scale in (True, False) for center in (True, False)]
WHOLE = [PARTS[0], PARTS[-1]]


# The samples of PyTorch's own tests of modules (torch/testing/_internal/common_modules.py), in smaller shapes.
SAMPLE_MODES = (TRAIN, TRAIN, TRAIN, EVAL, EVAL, TRAIN)
SAMPLE_FORMS = [
    Form("1d-nc", "BatchNorm1d", ((4, 3), (2, 3), (3, 3), (2, 3), (3, 3), (5, 3))),
    Form("1d-ncl", "BatchNorm1d", ((2, 2, 3), (1, 2, 4), (3, 2, 1), (1, 2, 2), (2, 2, 2), (2, 2, 1))),
    Form("2d", "BatchNorm2d", ((2, 2, 1, 2), (1, 2, 3, 1), (2, 2, 2, 1), (2, 2, 1, 1), (3, 2, 1, 1), (1, 2, 2, 2))),
    Form(
        "3d",
        "BatchNorm3d",
        ((1, 2, 1, 2, 2), (2, 2, 1, 1, 1), (1, 2, 3, 1, 1), (1, 2, 1, 1, 2), (1, 2, 1, 2, 1), (2, 2, 1, 1, 2)),
    ),
]
# Some batches are empty: of samples, or of positions.
EMPTY_FORMS = [
    Form("1d-nc", "BatchNorm1d", ((0, 3), (4, 3), (0, 3), (0, 3), (2, 3), (3, 3))),
    Form("1d-ncl", "BatchNorm1d", ((0, 2, 3), (2, 2, 2), (3, 2, 0), (0, 2, 1), (1, 2, 1), (1, 2, 3))),
    Form("2d", "BatchNorm2d", ((2, 2, 0, 3), (1, 2, 2, 2), (0, 2, 1, 1), (1, 2, 1, 0), (1, 2, 1, 1), (2, 2, 1, 1))),
    Form(
        "3d",
        "BatchNorm3d",
        ((1, 2, 1, 0, 1), (1, 2, 1, 2, 1), (0, 2, 2, 1, 1), (1, 2, 0, 1, 1), (1, 2, 1, 1, 1), (3, 2, 1, 1, 1)),
    ),
]
SAMPLES = {
    "affine": {},
    "not-affine": {"scale": False, "center": False, "momentum": 0.8, "eps": 1e-3},
    "simple-average": {"momentum": None, "eps": 1e-3},
    "not-tracking": {"momentum": "untracked", "eps": 1e-3},
}
DTYPES = ("float32", "float64", "bfloat16", "float16")


def in_both_layouts(forms):
    """PyTorch has a memory format with the channels last for 2d and for 3d."""
    lasts = [dataclasses.replace(form, name=f"{form.name}-last", layout="channels-last") for form in forms[2:]]
    return forms + lasts


def of_size(shape, layout="channels-first"):
    return Form("x".join(map(str, shape)), "BatchNorm1d", (shape,), layout)


def product(**choices):
    """Cases for every combination; choices that begin with "_" are dicts of several fields."""
    for values in itertools.product(*choices.values()):
        fields = {}
        for name, value in zip(choices, values):
            fields.update(value if name.startswith("_") else {name: value})
        yield Case(**fields)


def float32_cases():
    """All that a module of float32 can do, against PyTorch in float64."""
    several = (TRAIN, TRAIN, EVAL, TRAIN)
    yield from product(form=FORMS, _parts=PARTS, momentum=(0.1, 0.3, None, 0, 1, "untracked"), modes=[several])
    yield from product(form=CHANNELS_LAST, _parts=PARTS, momentum=(0.1, None, "untracked"))
    yield from product(form=FORMS, _parts=WHOLE, modes=SEQUENCES, eps=(1e-3,))
    yield from product(form=FORMS, momentum=(0.1, None), loaded=(True,))
    yield from product(form=FORMS, eps=(0, 1e-12, 0.1, 1), modes=[(TRAIN, EVAL)])
    kinds = ("offset-1e4", "offset-1e6", "scale-1e-15", "scale-1e18", "outlier", "sorted", "zeros")
    kinds += ("constant", "constant-channel", "nan-channel", "infinity-channel", "both-infinities-channel")
    yield from product(form=FORMS, data=kinds, modes=[(TRAIN, EVAL)])
    yield from product(form=[of_size(shape) for shape in SIZES], modes=[(TRAIN,)])


def pytorch_float32_cases():
    """The same meaning in PyTorch's own float32, as a user meets it."""
    forms = FORMS + CHANNELS_LAST
    yield from product(form=forms, _parts=WHOLE, momentum=(0.1, None), oracle=("float32",))
    yield from product(form=[of_size((65, 2)), of_size((2, 2, 60))], modes=[(TRAIN,)], oracle=("float32",))


def float64_cases():
    """Values, parameters and statistics of float64."""
    momenta = (0.1, None, "untracked")
    yield from product(form=FORMS, _parts=WHOLE, momentum=momenta, dtype=("float64",))
    yield from product(form=CHANNELS_LAST, _parts=WHOLE, dtype=("float64",))
    kinds = ("offset-1e4", "offset-1e6", "scale-1e-15", "constant-channel", "nan-channel")
    yield from product(form=FORMS, data=kinds, modes=[(TRAIN, EVAL)], dtype=("float64",))
    yield from product(form=[of_size((65, 2)), of_size((2, 2, 60))], modes=[(TRAIN,)], dtype=("float64",))


def half_cases():
    """Values of 16 bits, parameters and statistics of float32; PyTorch in float64 from the same numbers."""
    dtypes = ("bfloat16", "float16")
    yield from product(form=FORMS, _parts=WHOLE, momentum=(0.1, "untracked"), dtype=dtypes)
    yield from product(form=CHANNELS_LAST, dtype=dtypes)
    yield from product(form=[of_size((129, 1)), of_size((2, 2, 65))], modes=[(TRAIN,)], dtype=dtypes)


def pytorch_bfloat16_cases():
    """PyTorch's own mixed types: values of bfloat16, parameters of float32."""
    yield from product(form=FORMS, _parts=WHOLE, dtype=("bfloat16",), oracle=("bfloat16",))


def frozen_cases():
    """Parts of a module that are not trained."""
    frozen = (("weight",), ("bias",), ("weight", "bias"))
    yield from product(form=FORMS, frozen=frozen)


def sample_cases():
    """PyTorch's samples and what lies at the edges, in PyTorch's own arithmetic of each type."""
    for dtype in DTYPES:
        own = {"dtype": dtype, "oracle": dtype, "modes": SAMPLE_MODES}
        for title, options in SAMPLES.items():
            for form in in_both_layouts(SAMPLE_FORMS):
                # PyTorch has two samples of (N, C, L).
                if form.name != "1d-ncl" or title in ("affine", "not-affine"):
                    yield Case(form, **own, **options, title=title)
        # One form of each type, and all of float32.
        whole = slice(None) if dtype == "float32" else slice(1)
        for form, momentum in itertools.product(in_both_layouts(EMPTY_FORMS)[whole], (0.1, None)):
            title = "empty-averaged" if momentum is None else "empty"
            yield Case(form, **own, momentum=momentum, title=title)
        # The momentum of 1 makes the running variance 0 too, and so does eval divide by 0.
        for form in in_both_layouts(SAMPLE_FORMS)[whole]:
            yield Case(form, **own, momentum=1, eps=0, data="three-channel", title="constant-eps-0")


@dataclasses.dataclass(frozen=True)
class DoubleBackwardCase:
    """The gradients of sum(u * gradInput) + sum(v * gradWeight) + sum(w * gradBias)."""

    form: Form
    training: bool
    affine: bool = True
    # Which of u, v and w there are.
    present: tuple = ("gradGradInput", "gradGradWeight", "gradGradBias")
    eps: float = 1e-3
    data: str = "normal"

    @property
    def name(self):
        parts = [self.form.name, "train" if self.training else "eval", "affine" if self.affine else "plain"]
        parts += [self.data] if self.data != "normal" else []
        parts += ["-".join(key.removeprefix("gradGrad").lower() for key in self.present)]
        return "/".join(parts)


def double_backward_cases():
    """Whatever is asked of the three gradients, in any combination."""
    modes = (True, False)
    parts = ("gradGradInput", "gradGradWeight", "gradGradBias")
    subsets = [subset for size in (1, 2, 3) for subset in itertools.combinations(parts, size)]
    for form, training in itertools.product(FORMS, modes):
        yield from (DoubleBackwardCase(form, training, present=subset) for subset in subsets)
        yield DoubleBackwardCase(form, training, affine=False, present=("gradGradInput",))
        yield from (DoubleBackwardCase(form, training, data=kind) for kind in ("offset-1e4", "constant-channel"))
    for form, training in itertools.product(CHANNELS_LAST, modes):
        yield DoubleBackwardCase(form, training)
    for shape, training in itertools.product([(2, 3), (64, 2), (1, 3, 6), (2, 1, 65)], modes):
        yield DoubleBackwardCase(of_size(shape), training)
