"""Configs and sweep files as no one would write them: shipped ones, made odd here and there."""

from __future__ import annotations

import random
from pathlib import Path

#: What stands where something else belongs.
ODD = (
    "",
    "null",
    "true",
    "no",
    "-1",
    "0",
    "1e400",
    "-.inf",
    ".nan",
    "1e400ep",
    "9" * 5000,
    "0x" + "f" * 300,
    "[]",
    "{}",
    "[[[[[]]]]]",
    "{a: {b: {c: 1}}}",
    '"\\0"',
    '"\\uD800"',
    '"\\UFFFFFFFF"',
    "'",
    '"',
    "&a [*a]",
    "*nothing",
    "!!python/name:os.system",
    "!!binary aGk=",
    "2026-01-01",
    "12:30:45",
    "~",
    "~nouser/x",
    "../" * 40 + "etc/passwd",
    "/dev/zero",
    "x" * 400,
    "é\u202e\x07",
    "os:system",
    "m.py:",
    ":",
    "=HYPERLINK(1)",
    "5ep",
    "10%",
    "-5%",
    "200%",
    "1e308",
    "1e-320",
    "170141183460469231731687303715884105728",
    "{kind: cosine}",
    "{use: 'os:system'}",
    "{log: [1, 0]}",
    "{log: [1e-4, 1], points: 1e9}",
    "|\n  text\n",
    "? a\n: b",
    "%YAML 3.0",
    "---",
    "...",
    "<<: *x",
    "\t",
    "punycode",
    "undefined",
    "{kind: [cosine]}",
    "{kind: {}}",
    "[1, two, {three: 4}]",
    "null ep",
)


def shipped(folder: Path) -> list[str]:
    """The texts that are made odd."""
    return [path.read_text() for path in sorted(folder.rglob("*.yaml"))]


def fuzzed(texts: list[str], number: int) -> bytes:
    """The odd file of a number: always the same one."""
    draw = random.Random(number)
    text = draw.choice(texts)
    for _ in range(draw.randint(1, 3)):
        text = draw.choice(_WAYS)(text, draw)
    data = text.encode("utf-8", "surrogatepass")
    if draw.random() < 0.1 and data:
        at = draw.randrange(len(data))
        data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
    return data


def _value(text: str, draw: random.Random) -> str:
    """Another value behind a colon, a comma or a bracket."""
    places = [at for at, char in enumerate(text) if char in ":,["]
    if not places:
        return text
    at = draw.choice(places) + 1
    end = min((each for each in (text.find(stop, at) for stop in ",\n]}") if each >= 0), default=len(text))
    return f"{text[:at]} {draw.choice(ODD)}{text[end:]}"


def _line(text: str, draw: random.Random) -> str:
    """A line left out, twice, moved, or put in."""
    lines = text.splitlines(keepends=True) or [""]
    at = draw.randrange(len(lines))
    way = draw.randrange(4)
    if way == 0:
        del lines[at]
    elif way == 1:
        lines.insert(at, lines[at])
    elif way == 2:
        lines.insert(draw.randrange(len(lines)), lines.pop(at))
    else:
        lines.insert(
            at, f"{' ' * draw.randrange(5)}{draw.choice(('name', 'x', 'model', 'grid', '1'))}: {draw.choice(ODD)}\n"
        )
    return "".join(lines)


def _letters(text: str, draw: random.Random) -> str:
    """Some letters exchanged for others, or cut out."""
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(text) + 1)
        text = (
            text[:at]
            + draw.choice(["", "\0", ":", "{", "]", "'", "\t", "&", "*", "é", "\r", "- "])
            + text[at + draw.randrange(4) :]
        )
    return text


def _cut(text: str, draw: random.Random) -> str:
    """The beginning, or the end, or a part many times."""
    at = draw.randrange(len(text) + 1)
    return draw.choice([text[:at], text[at:], text[at : at + 20] * draw.randint(1, 200)])


def _nested(text: str, draw: random.Random) -> str:
    """Brackets within brackets."""
    depth = draw.choice([3, 50, 500, 5000])
    return text + "\nzzz: " + "[" * depth + "]" * draw.choice([0, depth])


_WAYS = (_value, _value, _value, _line, _letters, _cut, _nested)
