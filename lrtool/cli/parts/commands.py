"""Commands and groups of them, whose help shows on any terminal."""

from __future__ import annotations

import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup

from lrtool import streams


class Command(TyperCommand):
    """A command whose help shows on any terminal."""

    def get_help(self, ctx: Any) -> str:
        """The help; spelled out where stdout cannot show it."""
        return _shown(super().get_help(ctx))


class Commands(TyperGroup):
    """A group of commands whose help shows on any terminal."""

    def get_help(self, ctx: Any) -> str:
        """The help; spelled out where stdout cannot show it."""
        return _shown(super().get_help(ctx))


def _shown(text: str) -> str:
    """The text as stdout can show it; typer itself would write UTF-8 to what takes ASCII."""
    return text if streams.takes(sys.stdout, text) else streams.spelled(text)
