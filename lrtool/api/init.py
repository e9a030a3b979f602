"""`lrtool.init`: a commented config to start from."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lrtool.errors import OutputError, UsageError


@dataclass(frozen=True)
class NewConfig:
    """A config to start from: its `text`, and the keys that only its user knows (`fill_in`; they stand as `…` in it).

    `file`: where it was written, None where it was not. `next`: the command that checks it.
    """

    text: str
    fill_in: tuple[str, ...]
    file: Path | None = None
    next: str = ""


def init(
    file: str | Path | None = None,
    *,
    model: str = "mlp",
    data: str = "digits",
    optimizer: str = "sgd",
    schedule: str = "one_cycle",
    name: str | None = None,
    force: bool = False,
    allow_import: Iterable[str] = (),
) -> NewConfig:
    """Write a commented config for a built-in task, or for a model and data of one's own.

    file: where to write it; unsaid, nothing is written. With `force` a file that exists is overwritten.
    model, data, optimizer, schedule: a built-in kind; the first three also a target of one's own, my_model.py:Net,
        named from the working folder; for the data also a file (CSV, Parquet, NumPy, text) or a folder of images.
    name: that of the run; unsaid, the file's. `allow_import`: packages and folders whose code the config may run.

    Raises UsageError for an unknown kind or a file that exists, OutputError where it cannot be written.

    >>> import lrtool
    >>> new = lrtool.init(model="my_model.py:Net", schedule="cosine")
    >>> "use: my_model.py:Net" in new.text, "kind: cosine" in new.text, new.fill_in
    (True, True, ())
    """
    from lrtool.config.writing.data_file import data_file
    from lrtool.config.writing.template import own_code, template

    path = None if file is None else Path(file)
    folder, allowed = (path.parent if path is not None else Path()), frozenset(allow_import)
    file_of_data = data_file(data, folder)
    given = {"model": model, "data": data if file_of_data is None else file_of_data.kind, "optimizer": optimizer}
    model, kind, optimizer = (own_code(each, folder, allowed, section) for section, each in given.items())
    called = name or (path.stem if path is not None else "run")
    text, missing = template(called, model, file_of_data or kind, optimizer, schedule)
    if path is None:
        return NewConfig(text, tuple(missing))
    _write(path, text, force)
    more = [word for each in sorted(allowed) for word in ("--allow-import", each)]
    return NewConfig(text, tuple(missing), path, shlex.join(["lrtool", "check", str(path), "--resolve", *more]))


def _write(path: Path, text: str, force: bool) -> None:
    from lrtool.runs.atomic import write_output

    if path.exists() and not force:
        raise UsageError("this file exists already", where=str(path), remedy="choose another, or add --force")
    try:
        write_output(path, text)
    except OutputError as error:
        remedy = "give a FILE in a folder that is there and can be written"
        raise OutputError(error.what, where=error.where, remedy=remedy) from None
