"""lrtool: which learning rate, which schedule? Measured, not guessed."""

from __future__ import annotations

__version__ = "0.1.0"

# As type checkers read it too; `typing` itself takes longer to import than all that is here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from lrtool.api.check import check
    from lrtool.api.compare import compare
    from lrtool.api.init import init
    from lrtool.api.load import load
    from lrtool.api.look import doctor, list_runs, schema
    from lrtool.api.range_test import range_test
    from lrtool.api.report import html_report
    from lrtool.api.schedule import schedule
    from lrtool.api.schedules import explain_schedule, schedule_kinds, show_schedules
    from lrtool.api.sweep import sweep
    from lrtool.api.theory import backtest, bound, predict, refine
    from lrtool.api.train import train
    from lrtool.api.transfer import transfer
    from lrtool.api.tune import tune
    from lrtool.integrations.export import export_schedule

__all__ = [
    "backtest",
    "bound",
    "check",
    "compare",
    "doctor",
    "explain_schedule",
    "export_schedule",
    "html_report",
    "init",
    "list_runs",
    "load",
    "predict",
    "range_test",
    "refine",
    "schedule",
    "schedule_kinds",
    "schema",
    "show_schedules",
    "sweep",
    "train",
    "transfer",
    "tune",
]

#: Functions that stand in a module of another name than theirs in `lrtool.api`.
_PLACES = {
    **dict.fromkeys(("backtest", "bound", "predict", "refine"), "api.theory"),
    **dict.fromkeys(("doctor", "list_runs", "schema"), "api.look"),
    **dict.fromkeys(("explain_schedule", "schedule_kinds", "show_schedules"), "api.schedules"),
    "html_report": "api.report",
    "export_schedule": "integrations.export",
}


def __getattr__(name: str) -> object:
    """The functions of the API, each imported when it is first asked for: importing lrtool costs nothing."""
    if name not in (*__all__, "integrations"):
        raise AttributeError(f"module 'lrtool' has no attribute {name!r}")
    from importlib import import_module

    if name == "integrations":
        return import_module("lrtool.integrations")
    found = globals()[name] = getattr(import_module(f"lrtool.{_PLACES.get(name, f'api.{name}')}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
