"""Schedules' formulas as expressions: run once on a stand-in for the steps, recording what is computed.

Every kind's `factor` is NumPy arithmetic on an array of steps. Here it meets an object that answers NumPy's
own protocols (`__array_ufunc__`, `__array_function__`) with a growing expression, so that exported code is the
formula itself and a new kind needs no exporter of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class UntraceableError(Exception):
    """The formula does something that cannot be written as an expression of the step."""


@dataclass(frozen=True, eq=False)
class Node:
    """An operation on nodes: `op` names it; constants are Python numbers or tuples of them. Equal means same."""

    op: str
    args: tuple[Node | float | tuple[float, ...], ...] = ()


#: The step itself.
STEP = Node("step")
#: What an array holds before anything is written into it.
_UNSET = Node("unset")

_UFUNCS = {
    **{name: name for name in ("sin", "cos", "tan", "tanh", "exp", "sqrt", "log", "log1p", "floor", "ceil")},
    **{name: name for name in ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum")},
    **{name: name for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "exp2")},
    "bitwise_and": "and",
    "bitwise_or": "or",
    "invert": "not",
    "logical_and": "and",
    "logical_or": "or",
    "logical_not": "not",
    "negative": "negative",
    "absolute": "absolute",
    "float_power": "power",
    "clip": "clip",
}


def trace(function: Callable[[Any], Any]) -> Node | float:
    """The expression of `function` in its argument; UntraceableError where it has none."""
    try:
        result = function(Traced(STEP))
    except (TypeError, AttributeError, IndexError, ValueError) as error:
        # What a formula may hit when it treats the stand-in as an array of numbers.
        raise UntraceableError(str(error)) from error
    if isinstance(result, Traced):
        return result.node
    values = np.asarray(result, dtype=np.float64)
    if values.size != 1:
        raise UntraceableError("the result does not depend on the step as an expression")
    return float(values.reshape(-1)[0])


class Traced(NDArrayOperatorsMixin):
    """Stands for an array of steps; `node` is what has been computed from it."""

    def __init__(self, node: Node | float) -> None:
        self.node = node

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Traced:
        out = kwargs.pop("out", None)
        if method != "__call__" or kwargs or ufunc.__name__ not in _UFUNCS:
            raise UntraceableError(f"{ufunc.__name__} cannot be exported")
        node = simplified(_UFUNCS[ufunc.__name__], *map(_argument, inputs))
        if out is None:
            return Traced(node)
        target: Traced = out[0]
        target.node = node
        return target

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Traced:
        handler = _FUNCTIONS.get(function)
        if handler is None:
            raise UntraceableError(f"{function.__name__} cannot be exported")
        result: Traced = handler(*args, **kwargs)
        return result

    def __getitem__(self, mask: Traced) -> Traced:
        """The elements where a mask holds: the same expression, used under that condition only."""
        if not isinstance(mask, Traced):
            raise UntraceableError("only masks select elements")
        return Traced(self.node)

    def __setitem__(self, mask: Traced, value: Any) -> None:
        self.node = simplified("where", _argument(mask), _argument(value), self.node)

    def any(self) -> bool:
        """Whether a mask holds anywhere: somewhere it does."""
        return True

    def clip(self, low: Any = None, high: Any = None) -> Traced:
        """As an array's method."""
        return _clip(self, low, high)

    def astype(self, dtype: Any) -> Traced:
        """As an array's method; Python's numbers need no types."""
        return self


def simplified(op: str, *args: Any) -> Node | float:
    """The node of an operation, without what changes nothing."""
    match op, args:
        case ("multiply", (1, other)) | ("multiply", (other, 1)) | ("divide", (other, 1)) | ("power", (other, 1)):
            return other  # type: ignore[no-any-return]
        case ("add", (0, other)) | ("add", (other, 0)) | ("subtract", (other, 0)):
            return other  # type: ignore[no-any-return]
        case ("multiply", (0, _)) | ("multiply", (_, 0)):
            return 0.0
        case ("maximum", (node, 0)) if node is STEP:
            return STEP  # type: ignore[no-any-return]
        case ("minimum", (Node("minimum", (_, inner)) as node, bound)) if inner == bound:
            return node
        case ("where", (_, value, other)) if other is _UNSET or value is other:
            return value  # type: ignore[no-any-return]
        case ("floor", (Node("divide", quotient),)):
            return Node("floor_divide", quotient)
        case ("clip", (value, low, high)):
            return simplified("minimum", simplified("maximum", value, low), high)
    if op != "where" and not any(isinstance(arg, Node) for arg in args):
        raise UntraceableError(f"{op} of constants")
    return Node(op, args)


def _argument(value: Any) -> Any:
    if isinstance(value, Traced):
        return value.node
    array = np.asarray(value)
    if array.ndim > 1:
        raise UntraceableError("arrays of more than one dimension cannot be exported")
    plain = array.tolist()
    return tuple(plain) if isinstance(plain, list) else plain


def _where(condition: Any, value: Any, other: Any) -> Traced:
    return Traced(simplified("where", *map(_argument, (condition, value, other))))


def _clip(value: Any, low: Any = None, high: Any = None, **kwargs: Any) -> Traced:
    if kwargs:
        raise UntraceableError("clip with options cannot be exported")
    if low is not None:
        value = np.maximum(value, low)
    return value if high is None else np.minimum(value, high)  # type: ignore[no-any-return]


def _full_like(like: Any, value: Any, **kwargs: Any) -> Traced:
    return Traced(_argument(value))


def _searchsorted(values: Any, step: Any, side: str = "left") -> Traced:
    return Traced(Node(f"bisect_{side}", (_argument(values), _argument(step))))


def _take(values: Any, index: Any, axis: int = 0) -> Traced:
    return Traced(Node("take", (_argument(values), _argument(index))))


def _interp(step: Any, at: Any, values: Any) -> Traced:
    last = len(at) - 1
    if np.array_equal(at, np.arange(last + 1)):
        # Every step has a value of its own.
        return Traced(Node("take", (_argument(values), Node("int", (simplified("minimum", step.node, last),)))))
    return Traced(Node("interp", tuple(map(_argument, (step, at, values)))))


_FUNCTIONS: dict[Any, Callable[..., Traced]] = {
    np.where: _where,
    np.clip: _clip,
    np.full_like: _full_like,
    np.empty_like: lambda like, **_: Traced(_UNSET),
    np.zeros_like: lambda like, **_: Traced(0.0),
    np.ones_like: lambda like, **_: Traced(1.0),
    np.searchsorted: _searchsorted,
    np.take_along_axis: _take,
    np.interp: _interp,
}
