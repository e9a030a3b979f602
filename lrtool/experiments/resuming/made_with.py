"""What a run is made with: its config, its code and its data, by which a resumed run notices what was changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrtool import __version__
from lrtool.config.code_files import changed_code, code_digests
from lrtool.config.schema import Config
from lrtool.errors import UsageError
from lrtool.experiments.resuming.data_digest import changed_data, data_digest
from lrtool.experiments.resuming.file_digests import file_digests
from lrtool.experiments.setup import Setup
from lrtool.experiments.spread.travel import named_files
from lrtool.runs.changes import flattened

#: Keys that decide nothing of what is computed, by what they begin with.
_FREE = ("name", "device", "logging", "range_test", "train.checkpoint_every")
#: Sections whose files decide what is trained, though neither code nor data stand in them. Weights that a run began
#: with count no more once it has a checkpoint.
NAMING = ("schedule", "schedules")
#: Values longer than this are not shown.
_SHOWN = 60


def made_with(setup: Setup, free: Sequence[str] = _FREE, naming: Sequence[str] = NAMING) -> dict[str, Any]:
    """All of it, as plain data for a checkpoint. `configs`: those that may be found in the folder.

    `free`: keys that decide nothing, by what they begin with. `naming`: sections whose files count.
    """
    return {
        "lrtool": __version__,
        "configs": [plain(setup.config, free)],
        "code": code_digests(setup.config),
        "files": _digests(setup.config, naming),
        "data": {} if setup.lent else data_digest(setup.task),
    }


def plain(config: Config, free: Sequence[str] = _FREE) -> dict[str, Any]:
    """A config's values by their dotted keys, without those that decide nothing of what is computed."""
    flat = dict(flattened(config.model_dump(mode="json")))
    return {key: value for key, value in flat.items() if not any(f"{key}.".startswith(f"{each}.") for each in free)}


def changes(
    then: Mapping[str, Any],
    setup: Setup,
    config: Config,
    free: Sequence[str] = _FREE,
    naming: Sequence[str] = NAMING,
) -> list[str]:
    """What is not as it was, in words. `config`: the one in the run folder; `setup`: what is to be trained."""
    known = then.get("lrtool") == __version__
    found = [changed_keys(before, plain(config, free), same_version=known) for before in then["configs"]]
    keys = min(found, key=len, default=[])
    files = [f"the code in {name}" for name in changed_code(then["code"], setup.config)]
    # What is named no more, or is new, is a matter of the keys; older versions knew nothing of files.
    before, now = then.get("files", {}), _digests(setup.config, naming)
    files += [f"what stands in {name}" for name in now if before.get(name, now[name]) != now[name]]
    return [*keys, *files, *changed_data(then["data"], setup.task)]


def _digests(config: Config, naming: Sequence[str]) -> dict[str, str]:
    return file_digests(config.folder, named_files(config, naming)[1])


def refusal(changed: list[str], where: str) -> UsageError:
    """The error for a run whose parts are not as they were."""
    return UsageError(
        f"changed since the run was made: {'; '.join(changed)}",
        where=where,
        remedy="put it back as it was, start a new run, or go on all the same with --force",
    )


def changed_keys(before: Mapping[str, Any], now: Mapping[str, Any], *, same_version: bool) -> list[str]:
    """Which keys of a config have other values, in words; `same_version`: of lrtool, as when it was made."""
    # Another version of lrtool may have further keys, with their defaults.
    keys = [*before, *(key for key in now if key not in before)] if same_version else [*before]
    return [f"{key} ({_change(before.get(key), now.get(key))})" for key in keys if before.get(key) != now.get(key)]


def _change(before: Any, now: Any) -> str:
    """Two values, of long ones the part in which they differ."""
    one, other = repr(before), repr(now)
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    at = max(same - _SHOWN // 2, 0) if max(len(one), len(other)) > _SHOWN else 0
    return " → ".join(
        f"{'…' * (at > 0)}{text[at : at + _SHOWN]}{'…' * (len(text) > at + _SHOWN)}" for text in (one, other)
    )
