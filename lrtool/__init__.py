"""lrtool: which learning rate, which schedule? Measured, not guessed."""

from __future__ import annotations

__version__ = "0.1.0"

# As type checkers read it too; `typing` itself takes longer to import than all that is here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from lrtool.api.compare import compare
    from lrtool.api.load import load
    from lrtool.api.range_test import range_test
    from lrtool.api.report import html_report
    from lrtool.api.schedule import schedule
    from lrtool.api.sweep import sweep
    from lrtool.api.theory import backtest, bound, predict, refine
    from lrtool.api.train import train
    from lrtool.api.transfer import transfer
    from lrtool.api.tune import tune

__all__ = [
    "backtest",
    "bound",
    "compare",
    "html_report",
    "load",
    "predict",
    "range_test",
    "refine",
    "schedule",
    "sweep",
    "train",
    "transfer",
    "tune",
]

#: Functions that stand in a file of another name than theirs.
_PLACES = {**dict.fromkeys(("backtest", "bound", "predict", "refine"), "theory"), "html_report": "report"}


def __getattr__(name: str) -> object:
    """The functions of the API, each imported when it is first asked for: importing lrtool costs nothing."""
    if name not in (*__all__, "integrations"):
        raise AttributeError(f"module 'lrtool' has no attribute {name!r}")
    from importlib import import_module

    if name == "integrations":
        return import_module("lrtool.integrations")
    found = globals()[name] = getattr(import_module(f"lrtool.api.{_PLACES.get(name, name)}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
