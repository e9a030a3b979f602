"""Commands whose modules are imported when they are used: whoever asks for one does not wait for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, NamedTuple

import typer

from lrtool.cli.parts.commands import Command, Commands


class Late(NamedTuple):
    """Where a command stands, and what it says of itself in a line.

    `module`: it has `command`, or an `app` of commands below this one.
    """

    module: str
    short_help: str

    def made(self, name: str) -> Any:
        """The command, its module imported."""
        module = import_module(self.module)
        if not hasattr(module, "command"):
            group = typer.main.get_group(module.app)
            group.name, group.short_help = name, self.short_help
            return group
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(name, cls=Command, short_help=self.short_help)(module.command)
        return typer.main.get_command(single)


class _Commands(MutableMapping[str, Any]):
    """Commands by name, each made when it is looked up."""

    def __init__(self, late: Mapping[str, Late]) -> None:
        self._late, self._made = late, dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._late[name].made(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"the command {name} stays")

    def __iter__(self) -> Iterator[str]:
        yield from self._late

    def __len__(self) -> int:
        return len(self._late)


def late_group(late: Mapping[str, Late]) -> type[Commands]:
    """The class of a group of such commands, in this order."""

    class LateCommands(Commands):
        """A group whose commands are imported when they are used."""

        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = _Commands(late)

        def format_commands(self, ctx: Any, formatter: Any) -> None:
            """The names with their lines; nothing is imported for that."""
            with formatter.section("Commands"):
                formatter.write_dl([(name, each.short_help) for name, each in late.items()])

    return LateCommands
