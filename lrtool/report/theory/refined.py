"""The refined schedule of a run: words, plot, files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lrtool.config.load import load_config
from lrtool.config.schema import Config
from lrtool.errors import UsageError
from lrtool.report.plots.style import number
from lrtool.report.theory.norms import gradient_norms, no_norms, run_at
from lrtool.report.theory.written import TheoryFolder
from lrtool.runs.metrics import read_metrics
from lrtool.status import Status
from lrtool.theory.bound import last_iterate_bound
from lrtool.theory.refine import refined_schedule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

Norm = Literal["l2", "l1"]
#: By what power of which norm gradients weigh.
POWERS: dict[Norm, float] = {"l2": 2.0, "l1": 1.0}
#: Fewer updates show no course of the norms.
_FEWEST = 20


@dataclass(frozen=True)
class Refined:
    """The refined schedule of a run.

    `factors`: parts of the peak; `rates`: the LRs that the run had; `norms`: of its gradients, all (steps,).
    """

    run: Path
    config: Config
    norm: Norm
    norms: Array
    rates: Array
    factors: Array

    @classmethod
    def of(cls, run: str | Path, norm: Norm | None = None) -> Refined:
        """The refined schedule of a finished training; `norm` unsaid: L1 for optimizers like Adam, L2 for SGD.

        Raises UsageError where the run has logged no norms, did not finish, or is too short.
        """
        folder = run_at(run)
        if folder is None:
            raise UsageError("there is no such folder", where=str(run), remedy="give the folder of a training")
        config = load_config(folder.config)
        chosen: Norm = norm if norm is not None else config.optimizer.refined_by
        norms = gradient_norms(folder, chosen)
        if norms is None:
            raise no_norms(folder.path)
        status = Status(folder.summary()["status"])
        if status is not Status.FINISHED:
            raise UsageError(f"this training is {status}", where=str(folder.path), remedy="give one that finished")
        if len(norms) < _FEWEST:
            raise UsageError(
                f"a run of {len(norms)} updates shows no course of its gradients",
                where=str(folder.path),
                remedy=f"give one of {_FEWEST} updates or more",
            )
        rates = read_metrics(folder.path / "metrics.csv")["lr"]
        return cls(folder.path, config, chosen, norms, rates, refined_schedule(norms, POWERS[chosen]))

    @property
    def peak_at(self) -> int:
        """The update with the highest LR."""
        return int(np.argmax(self.factors))

    @property
    def answer(self) -> str:
        """What the schedule does, in a sentence."""
        rises = f"rises to its peak at update {self.peak_at}" if self.peak_at else "starts at its peak"
        half = np.flatnonzero(self.factors >= 0.5)
        return (
            f"the refined schedule {rises}, is above half of it up to update {int(half[-1])}"
            f" and ends at {number(float(self.factors[-1]))} of it, of {len(self.factors)} updates"
        )

    @property
    def bounds(self) -> dict[str, float]:
        """The least bound of the schedule that the run had, and of the refined one, over that of a linear decay.

        For these gradient norms; of L2 norms only, which the bound is about.
        """
        if self.norm != "l2" or not (self.rates > 0).any():
            return {}
        steps = len(self.factors)
        shapes = {"own": self.rates, "refined": self.factors}
        linear = last_iterate_bound(1 - np.arange(steps) / steps, self.norms).omega
        return {name: last_iterate_bound(shape, self.norms).omega / linear for name, shape in shapes.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing is assumed."""
        return ()

    def rows(self) -> list[dict[str, Any]]:
        """A row an update: its part of the peak, and its gradient's norm."""
        pairs = zip(self.factors.tolist(), self.norms.tolist(), strict=True)
        return [{"step": step, "factor": factor, "norm": norm} for step, (factor, norm) in enumerate(pairs)]

    def text(self) -> str:
        """For a terminal."""
        norm = {"l2": "L2", "l1": "L1"}[self.norm]
        lines = [f"from the {norm} norms of {len(self.norms)} gradients of {self.run} ({self.config.optimizer.kind})"]
        if self.bounds:
            lines.append(
                "bound for these norms, over that of a linear decay: the run's own schedule"
                f" {self.bounds['own']:.3f}, the refined one {self.bounds['refined']:.3f}"
            )
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """Everything, as `lrtool theory refine --json` prints it."""
        return {
            "run": str(self.run),
            "norm": self.norm,
            "updates": len(self.factors),
            "peak_at": self.peak_at,
            "bound_over_linear": self.bounds,
        }

    def plot(self) -> Figure:
        """The refined schedule beside the run's own, and the gradient norms."""
        from lrtool.report.theory.refined_plot import draw_refined

        return draw_refined(self)

    def write(self, output: Path) -> tuple[Path, list[str]]:
        """Write the table, the config that trains with it and the plot into a new folder; gives both."""
        folder = TheoryFolder(output, "refine")
        note = f"the refined schedule of {self.run.name}: the peak is still that of its own schedule"
        commands = folder.schedule(self.factors, 1.0, self.config, note)
        folder.plot(self.plot(), "refined")
        folder.finish(self.document())
        return folder.path, commands
