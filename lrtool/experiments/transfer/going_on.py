"""Going on with a transfer that was stopped."""

from __future__ import annotations

from collections.abc import Collection

from lrtool.analysis.search.transfer.extrapolate import Transferred
from lrtool.config.load import load_config
from lrtool.errors import UsageError
from lrtool.experiments.engines import Engines
from lrtool.experiments.resuming.searches import found
from lrtool.experiments.session import Session
from lrtool.experiments.setup import Setup
from lrtool.experiments.transfer.request import TransferRequest
from lrtool.experiments.transfer.training import carried_out
from lrtool.loggers import wanted
from lrtool.report.terminal.progress import ProgressObservers
from lrtool.runs.folder import RunFolder


def resume_transfer(
    whole: Setup,
    folder: RunFolder,
    watch: ProgressObservers,
    allow_import: Collection[str] = (),
    force: bool = False,
    engines: Engines | None = None,
) -> tuple[Session, Transferred, tuple[str, ...]]:
    """Go on in the transfer's own folder; its result equals never having stopped. Gives what is to be said, too.

    `whole`: the target, as the folder's config says it. `engines`: where it trains; by which engine is as it was asked
    for. Raises UsageError, and changes nothing, where config, code or data were changed (unless `force`), or it was
    stopped before it had begun.
    """
    loggers = wanted(whole.config.logging)
    with folder.held():
        search = found(folder, whole, force)
        if not search.asked:
            search.memory.close()
            raise UsageError(
                "this transfer was stopped before it had begun, so what it was asked for is not known any more",
                where=str(folder.path),
                remedy="start it again",
            )
        target = dict(text.split("=", 1) for text in search.asked["to"])
        asked = TransferRequest(
            whole, target, lambda more: load_config(folder.config, more, code_beside=False), allow_import
        )
        run, answer = carried_out(asked, folder, watch, search, (engines or Engines()).asked_for(search.asked), loggers)
    return run, answer, search.notes
