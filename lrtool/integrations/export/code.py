"""Expressions as source code: plain Python, or jax.numpy."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lrtool.integrations.export.trace import Node

Value = Node | float | tuple[float, ...]

#: How tightly operators bind, loosest first.
_TERNARY, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(10)
#: operation → sign, precedence, and what it needs of its left and right operand.
_INFIX = {
    "add": ("+", _SUM, _SUM, _PRODUCT),
    "subtract": ("-", _SUM, _SUM, _PRODUCT),
    "multiply": ("*", _PRODUCT, _PRODUCT, _SIGN),
    "divide": ("/", _PRODUCT, _PRODUCT, _SIGN),
    "floor_divide": ("//", _PRODUCT, _PRODUCT, _SIGN),
    "power": ("**", _POWER, _ATOM, _SIGN),
    **{
        name: (sign, _COMPARE, _SUM, _SUM)
        for name, sign in (
            ("less", "<"), ("less_equal", "<="), ("greater", ">"), ("greater_equal", ">="), ("equal", "=="),
            ("not_equal", "!="),
        )
    },
}  # fmt: skip
#: Tuples longer than this get a name of their own.
_SHORT = 6


@dataclass(frozen=True)
class Dialect:
    """How functions are called. `lazy`: conditions choose what is computed, rather than between results."""

    functions: Mapping[str, str]
    lazy: bool


_MATH = ("sin", "cos", "tan", "tanh", "exp", "exp2", "sqrt", "log", "log1p", "floor", "ceil")
PYTHON = Dialect(
    {
        **{name: f"math.{name}" for name in _MATH},
        "maximum": "max",
        "minimum": "min",
        "absolute": "abs",
        "bisect_left": "bisect.bisect_left",
        "bisect_right": "bisect.bisect_right",
        "interp": "interpolate",
        "int": "int",
    },
    lazy=True,
)
JAX = Dialect(
    {
        **{name: f"jnp.{name}" for name in (*_MATH, "maximum", "minimum", "interp", "where", "floor_divide")},
        "absolute": "jnp.abs",
        "int": "jnp.int32",
        "and": "jnp.logical_and",
        "or": "jnp.logical_or",
        "not": "jnp.logical_not",
    },
    lazy=False,
)

#: What `interp` is in plain Python.
INTERPOLATE = '''\
def interpolate(x, at, values):
    """Straight lines between points, level outside."""
    if x <= at[0]:
        return values[0]
    if x >= at[-1]:
        return values[-1]
    i = bisect.bisect_right(at, x)
    slope = (values[i] - values[i - 1]) / (at[i] - at[i - 1])
    return values[i - 1] + slope * (x - at[i - 1])
'''


def body(root: Node | float, dialect: Dialect, prefix: str = "") -> tuple[list[str], list[str]]:
    """The statements that return an expression of `t`, and the constants they need, as lines of code.

    `prefix` starts the names of the constants, so that those of several functions stay apart.
    """
    writer = _Writer(dialect, prefix)
    whole = _interned(root)
    writer.uses.update(arg for node in _nodes(whole) for arg in node.args if isinstance(arg, Node))
    block = _Block()
    writer.give_back(whole, block)
    return block.lines, writer.constants


@dataclass
class _Block:
    """Statements that run together, and the names of what they have computed."""

    names: dict[Node, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def inner(self) -> _Block:
        return _Block(dict(self.names))

    def nest(self, head: str, block: _Block) -> None:
        self.lines += [head, *(f"    {line}" for line in block.lines)]


@dataclass
class _Writer:
    """Writes one function. A node that is used more than once is computed once, where it is first needed."""

    dialect: Dialect
    prefix: str
    uses: Counter[Node] = field(default_factory=Counter)
    constants: list[str] = field(default_factory=list)
    tables: dict[tuple[float, ...], str] = field(default_factory=dict)
    made: int = 0

    def give_back(self, node: Value, block: _Block) -> None:
        """Statements that end with `return`."""
        if self.dialect.lazy and isinstance(node, Node) and node.op == "where":
            condition, value, other = node.args
            test = self.text(condition, block, _TERNARY)
            inner = block.inner()
            self.give_back(value, inner)
            block.nest(f"if {test}:", inner)
            self.give_back(other, block)
        elif isinstance(node, Node) or self.dialect.lazy:
            block.lines.append(f"return {self.text(node, block, _TERNARY)}")
        else:
            block.lines.append(f"return jnp.full_like(t, {node!r})")

    def text(self, node: Value, block: _Block, least: int) -> str:
        """The expression, in parentheses where it binds more loosely than `least`."""
        text, precedence = self._expression(node, block)
        return text if precedence >= least else f"({text})"

    def _expression(self, node: Value, block: _Block) -> tuple[str, int]:
        if not isinstance(node, Node):
            return self._constant(node)
        if node.op == "step":
            return "t", _ATOM
        if node in block.names:
            return block.names[node], _ATOM
        text, precedence = self._operation(node, block)
        if self.uses[node] < 2:
            return text, precedence
        if not text.isidentifier():
            name = self._name()
            block.lines.append(f"{name} = {text}")
            text = name
        block.names[node] = text
        return text, _ATOM

    def _operation(self, node: Node, block: _Block) -> tuple[str, int]:
        args = node.args
        if node.op in self.dialect.functions:
            call = ", ".join(self.text(arg, block, _TERNARY) for arg in args)
            return f"{self.dialect.functions[node.op]}({call})", _ATOM
        match node.op:
            case "where":
                return self._choice(node, block)
            case "take":
                return f"{self.text(args[0], block, _ATOM)}[{self.text(args[1], block, _TERNARY)}]", _ATOM
            case "bisect_left" | "bisect_right":
                side = node.op.removeprefix("bisect_")
                at, step = (self.text(arg, block, _TERNARY) for arg in args)
                return f'jnp.searchsorted({at}, {step}, side="{side}")', _ATOM
            case "negative":
                return f"-{self.text(args[0], block, _SIGN)}", _SIGN
            case "not":
                return f"not {self.text(args[0], block, _NOT)}", _NOT
            case "and" | "or":
                level = _AND if node.op == "and" else _OR
                return f" {node.op} ".join(self.text(arg, block, level + 1) for arg in args), level
        sign, level, left, right = _INFIX[node.op]
        return f"{self.text(args[0], block, left)} {sign} {self.text(args[1], block, right)}", level

    def _choice(self, node: Node, block: _Block) -> tuple[str, int]:
        """One of two values, of which only that one is computed."""
        condition, value, other = node.args
        test = self.text(condition, block, _OR)
        if self._is_simple(value, block) and self._is_simple(other, block):
            return f"{self.text(value, block, _OR)} if {test} else {self.text(other, block, _TERNARY)}", _TERNARY
        name = self._name()
        for head, branch in ((f"if {test}:", value), ("else:", other)):
            inner = block.inner()
            inner.lines.append(f"{name} = {self.text(branch, inner, _TERNARY)}")
            block.nest(head, inner)
        return name, _ATOM

    def _is_simple(self, node: Value, block: _Block) -> bool:
        """Whether an expression takes no statement of its own."""
        if not isinstance(node, Node) or node.op == "step" or node in block.names:
            return True
        shared = self.uses[node] > 1 or node.op == "where"
        return not shared and all(self._is_simple(arg, block) for arg in node.args)

    def _constant(self, value: float | tuple[float, ...]) -> tuple[str, int]:
        if not isinstance(value, tuple):
            return _number(value), _ATOM if value >= 0 else _SIGN
        numbers = ", ".join(map(_number, value)) + ("," if len(value) == 1 else "")
        text = f"({numbers})" if self.dialect.lazy else f"jnp.array([{numbers}])"
        if len(value) <= _SHORT:
            return text, _ATOM
        if value not in self.tables:
            self.tables[value] = f"{self.prefix}TABLE_{len(self.tables) + 1}"
            begin, end = ("(", ")") if self.dialect.lazy else ("jnp.array([", "])")
            wrapped = textwrap.wrap(numbers, 96, initial_indent="    ", subsequent_indent="    ")
            self.constants += [f"{self.tables[value]} = {begin}", *wrapped, end]
        return self.tables[value], _ATOM

    def _name(self) -> str:
        self.made += 1
        return f"x{self.made}"


def _number(value: float) -> str:
    """A number as short as it can be written exactly; whole ones without a fraction."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return repr(int(value))
    return repr(value)


def _nodes(root: Value, seen: set[int] | None = None) -> Iterator[Node]:
    """Every node once."""
    seen = set() if seen is None else seen
    if isinstance(root, Node) and id(root) not in seen:
        seen.add(id(root))
        yield root
        for arg in root.args:
            yield from _nodes(arg, seen)


def _interned(root: Value) -> Node | float:
    """The same expression in which what is computed twice is one node."""
    known: dict[object, Node] = {}
    done: dict[int, Node] = {}

    def visit(node: Value) -> Value:
        if not isinstance(node, Node):
            return node
        if id(node) not in done:
            args = tuple(visit(arg) for arg in node.args)
            key = (node.op, *(("node", id(arg)) if isinstance(arg, Node) else ("value", arg) for arg in args))
            done[id(node)] = known.setdefault(key, Node(node.op, args))
        return done[id(node)]

    whole = visit(root)
    assert not isinstance(whole, tuple)
    return whole
