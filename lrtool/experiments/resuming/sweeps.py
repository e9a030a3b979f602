"""What a sweep is made with: its config, its code, its files of data, and what its own code gives as data.

Its trials may be trained on other machines, so the data of every combination are not at hand here; the files that it
names are, and the base's data.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from lrtool import __version__
from lrtool.config.code_files import changed_code, code_digests
from lrtool.config.schema import computed
from lrtool.config.sweep.load import Sweep
from lrtool.errors import LrtoolError
from lrtool.experiments.resuming.data_digest import changed_data, data_digest
from lrtool.experiments.resuming.file_digests import file_digests
from lrtool.experiments.resuming.made_with import changed_keys, refusal
from lrtool.experiments.spread.travel import named_files
from lrtool.runs.changes import flattened
from lrtool.runs.folder import RunFolder
from lrtool.runs.sweep.store import SweepStore
from lrtool.tasks.base import BuildContext, Data

#: Under which keys the store remembers it, and what was gone on with though it was changed.
_MADE_WITH, _FORCED = "made_with", "forced"
#: What of a sweep's config decides nothing of what is computed.
_FREE = ("name", "base.name", "base.device", "base.logging", "base.cluster", "base.train.checkpoint_every")


def made_with_sweep(sweep: Sweep, allow_import: Collection[str]) -> dict[str, Any]:
    """All of it, as plain data."""
    data = _own_data(sweep, allow_import)
    return {
        "lrtool": __version__,
        "config": _plain(sweep),
        "code": code_digests(sweep.config),
        "files": _file_digests(sweep),
        "data": data_digest(data) if data is not None else {},
    }


def check_unchanged(
    store: SweepStore, sweep: Sweep, folder: RunFolder, allow_import: Collection[str], force: bool
) -> list[str]:
    """Raise UsageError where a sweep is not what its store was made with; with `force` give in words what is not.

    Where its config was changed, the trials that are there belong to another sweep: with `force` all are trained again.
    Changes of code and data leave them, and are said. Nothing is written where it is refused.
    """
    plan, known = sweep.config.hash(), store.fact("plan")
    then: Mapping[str, Any] | None = store.fact(_MADE_WITH)
    other_plan = known is not None and known != plan
    changed = _changes(then, sweep, allow_import) if then is not None and known is not None else []
    if other_plan and not any(each.startswith("its config") for each in changed):
        changed.insert(0, "its config")
    if changed and not force:
        raise refusal(changed, str(folder.path))
    if other_plan:
        store.forget("")
        changed = [f"changed, so everything is trained again: {each}" for each in changed]
    else:
        changed = [f"gone on with --force though changed: {each}" for each in changed]
    notes = [*(store.fact(_FORCED) or []), *changed]
    if known is None or other_plan:
        store.remember("plan", plan)
    if then is None or changed:
        store.remember(_MADE_WITH, made_with_sweep(sweep, allow_import))
    if changed:
        store.remember(_FORCED, notes)
    return notes


def _changes(then: Mapping[str, Any], sweep: Sweep, allow_import: Collection[str]) -> list[str]:
    found = [
        f"its config: {each}"
        for each in changed_keys(then["config"], _plain(sweep), same_version=then["lrtool"] == __version__)
    ]
    found += [f"the code in {name}" for name in changed_code(then["code"], sweep.config)]
    before, now = then["files"], _file_digests(sweep)
    found += [f"the data in {name}" for name in {**before, **now} if before.get(name) != now.get(name)]
    if then["data"] and (data := _own_data(sweep, allow_import)) is not None:
        found += changed_data(then["data"], data)
    return found


def _plain(sweep: Sweep) -> dict[str, Any]:
    document = sweep.config.model_dump(mode="json")
    flat = dict(flattened({**document, "base": computed(document["base"])}))
    return {key: value for key, value in flat.items() if not any(f"{key}.".startswith(f"{each}.") for each in _FREE)}


def _own_data(sweep: Sweep, allow_import: Collection[str]) -> Data | None:
    """The data that the user's own code gives for the base; None where it runs none, or it needs what is elsewhere."""
    base = sweep.base
    if base.data.kind != "use":
        return None
    try:
        return base.data.load(BuildContext(base.folder, frozenset(allow_import), base.code_beside))
    except (LrtoolError, OSError):  # its trials will say what is wrong
        return None


def _file_digests(sweep: Sweep) -> dict[str, str]:
    """A digest of every file and folder of data, weights and LRs that the sweep names, by its name there."""
    _, names = named_files(sweep.config)
    return file_digests(sweep.config.folder, names)
