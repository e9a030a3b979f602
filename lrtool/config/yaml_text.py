"""YAML as configs have it: what is read, and what is written so that it reads back as the same, here and elsewhere."""

from __future__ import annotations

import re
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """Safe YAML whose plain scalars follow YAML 1.2: 1e-3 is a number; no, on and 12:30 are strings."""


Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    try:
        value = int(text, 16) if text.lower().startswith("0x") else int(text)
        str(value)  # Python reads any hexadecimal number, but does not show all
        return value
    except ValueError:
        long = f"a number of {len(text)} digits is too long"
        problem = long if len(text) > 1000 else "this is no whole number"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


def _checked(tag: str) -> Any:
    """The constructor of YAML of a plain value, which says what it cannot take."""
    construct = yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{tag}"]

    def checked(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        try:
            return construct(loader, node)
        except (IndexError, KeyError, ValueError):  # such as `!!bool maybe`
            raise yaml.constructor.ConstructorError(None, None, f"this is no {tag}", node.start_mark) from None

    return checked


class FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same, in C where there is any: ten times as fast, but its errors say less."""


# Dates, sets and the like are not for configs: what is not listed here is refused as a tag.
Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in ("null", "bool", "float", "str", "seq", "map")
}
Loader.add_constructor("tag:yaml.org,2002:int", _integer)
for _tag in ("bool", "float"):
    Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _checked(_tag))
FastLoader.yaml_implicit_resolvers = Loader.yaml_implicit_resolvers
FastLoader.yaml_constructors = Loader.yaml_constructors


class _Dumper(yaml.SafeDumper):
    """Safe YAML that quotes what this loader or a YAML 1.1 reader would take for something else than text."""


_Dumper.yaml_implicit_resolvers = {
    first: [*yaml.SafeDumper.yaml_implicit_resolvers.get(first, ()), *Loader.yaml_implicit_resolvers.get(first, ())]
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *Loader.yaml_implicit_resolvers}
}


def write_yaml(data: Any, *, flow: bool = False, width: float = 110) -> str:
    """Data as YAML that reads back as the same data, here and in other YAML readers."""
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width, default_flow_style=flow or None
    )
