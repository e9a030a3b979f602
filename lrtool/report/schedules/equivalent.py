"""One schedule in two languages: the entry of the tables of equivalents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: A parameter, or an expression of parameters, in a template.
MARK = re.compile(r"<([^<>]+)>")


@dataclass(frozen=True)
class Equivalent:
    """One schedule in two languages: `ours` in YAML, `theirs` in Python; they agree at every update.

    `plain` is the other library's name for it. A `note` says what to watch for.
    """

    kind: str
    library: str
    plain: str
    ours: str
    theirs: str
    example: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def shown(self) -> str:
        """As `explain` shows it."""
        note = f"  ({self.note})" if self.note else ""
        return MARK.sub(r"\1", f"{self.ours}  =  {self.theirs}") + note
