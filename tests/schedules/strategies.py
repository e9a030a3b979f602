"""Random valid schedules of every kind."""

from functools import cache

from hypothesis import strategies as st

SHARE = st.floats(0.0, 1.0)
GAMMA = st.floats(0.01, 1.0)
LEVEL = st.floats(0.0, 100.0).map(lambda p: f"{p:.6f}%")


def _increasing(length: int):
    return st.lists(st.integers(0, length), unique=True, max_size=4).map(sorted)


def _piecewise(length: int):
    def with_values(milestones):
        n = len(milestones)
        values = st.lists(LEVEL, min_size=n + 1, max_size=n + 1).map(lambda v: {"values": v})
        factors = st.lists(SHARE, min_size=n, max_size=n).map(lambda v: {"factors": v})
        return (values | factors).map(lambda fields: {"milestones": milestones, **fields})

    return _increasing(length).flatmap(with_values)


def _momentum():
    return {"cycle_momentum": st.booleans(), "base_momentum": st.floats(0.5, 0.8), "max_momentum": st.floats(0.8, 0.99)}


@cache
def _fields(length: int) -> dict:
    """Kind → strategy of its own fields, for `length` updates after warm-up."""
    some = st.integers(1, max(length, 1))
    any_ = st.integers(0, length)
    final = {"final": LEVEL}
    simple = {
        "constant": {"level": LEVEL},
        "linear": {"start": LEVEL, **final},
        "polynomial": {"power": st.floats(0.1, 5), **final},
        "step": {"every": some, "gamma": GAMMA},
        "multistep": {"milestones": _increasing(length), "gamma": GAMMA},
        "inverse_time": {"rate": st.floats(0, 10), "every": some, "staircase": st.booleans()},
        "inverse_sqrt": {"timescale": some, "shift": any_},
        "power": {"exponent": st.floats(0, 3), "timescale": some},
        "cosine": {"exponent": st.floats(0.2, 4), "k": st.floats(0.2, 4), **final},
        "flat_cosine": {"flat": any_, **final},
        "cosine_restarts": {
            "t_0": some,
            "t_mult": st.sampled_from([1, 2, 3]) | st.floats(1, 3),
            "peak_decay": GAMMA,
            "cycles": st.none() | st.integers(1, 4),
            "reach_final": st.booleans(),
            **final,
        },
        "cyclical": {
            "step_size_up": some,
            "step_size_down": st.none() | some,
            "base": LEVEL,
            "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]),
            "gamma": GAMMA,
            **_momentum(),
        },
        "one_cycle": {
            "rise": st.integers(0, length // 2),
            "start": LEVEL,
            "phases": st.sampled_from([2, 3]),
            "shape": st.sampled_from(["cosine", "linear"]),
            **final,
            **_momentum(),
        },
        "slanted_triangular": {"cut": any_, "ratio": st.floats(1, 100)},
        "wsd": {
            "decay": any_,
            "shape": st.sampled_from(["linear", "cosine", "1-sqrt", "1-square", "mirror-cosine", "exponential"]),
            "final": st.floats(0.1, 100).map(lambda p: f"{p:.6f}%"),
        },
        "rex": final,
        "tanh": {"lower": st.floats(-20, -0.1), "upper": st.floats(0, 20), **final},
        "hyperbolic": {"upper_bound": st.none() | st.integers(length, 3 * length + 1), **final},
    }
    fields = {kind: st.fixed_dictionaries({}, optional=options) for kind, options in simple.items()}
    speed = st.fixed_dictionaries({"gamma": GAMMA, "every": some, "staircase": st.booleans(), **final})
    fields["exponential"] = speed | st.fixed_dictionaries({"rate": st.floats(0, 2), **final})
    fields["piecewise"] = _piecewise(length)
    # Defaults are percentages of the run, which need not fit into what a long warm-up leaves.
    for kind in ("multistep", "flat_cosine", "wsd", "slanted_triangular", "one_cycle", "cosine_restarts", "step"):
        fields[kind] = st.fixed_dictionaries(simple[kind])
    return fields


@cache
def _composed(length: int) -> dict:
    simple = _fields(length)
    inner = one_of(simple)
    levels = st.tuples(LEVEL, LEVEL).map(lambda pair: sorted(pair, key=lambda text: float(text[:-1])))

    def segments(cuts):
        ends = [*sorted(cuts), length]
        lengths = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        return st.tuples(*(one_of(_fields(n)).map(lambda fields, n=n: {**fields, "duration": n}) for n in lengths))

    def rounds(every):
        fixed = {"kind": st.just("repeated"), "every": st.just(every), "schedule": one_of(_fields(every))}
        return st.fixed_dictionaries(fixed, optional={"times": st.integers(1, 4), "decay": GAMMA})

    return {
        "scaled": st.fixed_dictionaries({"schedule": inner, "by": GAMMA}),
        "clipped": st.builds(lambda s, pair: {"schedule": s, "low": pair[0], "high": pair[1]}, inner, levels),
        "repeated": st.integers(1, max(length, 1)).flatmap(rounds),
        "sequence": st.lists(st.integers(0, length), max_size=3)
        .flatmap(segments)
        .map(lambda parts: {"segments": list(parts)}),
    }


def one_of(fields: dict):
    """A kind and its fields."""
    return st.sampled_from(sorted(fields)).flatmap(
        lambda kind: fields[kind].map(lambda values: {"kind": kind, **values})
    )


KINDS_DRAWN = frozenset(_fields(1)) | frozenset(_composed(1))


@st.composite
def schedules(draw, kinds=None):
    """(config, updates of the run, updates of warm-up) of a random kind."""
    steps = draw(st.integers(1, 40))
    warmup = draw(st.integers(0, steps))
    fields = {**_fields(steps - warmup), **_composed(steps - warmup)}
    if steps == warmup:
        fields.pop("repeated")  # a round has at least one update
    kind = draw(st.sampled_from(sorted(fields if kinds is None else fields.keys() & kinds)))
    config = {"kind": kind, **draw(fields[kind])}
    shape = draw(st.sampled_from(["linear", "cosine", "constant", "exponential"]))
    start = draw(st.floats(0.01, 100)) if shape == "exponential" else draw(st.floats(0, 100))
    return {**config, "warmup": warmup, "warmup_start": f"{start:.6f}%", "warmup_shape": shape}, steps, warmup
