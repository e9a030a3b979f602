"""What each library gets: the schedule's functions and how to use them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrtool.config.specs import Spec
from lrtool.errors import UsageError
from lrtool.integrations.export.code import INTERPOLATE, JAX, PYTHON, Dialect, body
from lrtool.integrations.export.trace import STEP, Node, UntraceableError, simplified, trace
from lrtool.schedules import Schedule
from lrtool.schedules.curve import Binding

#: The longest table of values that is written into code, for formulas that cannot be.
_LONGEST_TABLE = 100_000

_USE_PYTHON = '''\
def make_scheduler(optimizer):
    """A scheduler for an optimizer whose lr is the peak, {lr:g}: call its step() after every optimizer.step()."""
    return {scheduler}


{wiring}if __name__ == "__main__":
    optimizer = {optimizer}
    scheduler = make_scheduler(optimizer)
    for t in range({steps}):
        print(f"{{t}},{{optimizer.param_groups[0]['lr']!r}}")
        optimizer.step()
        scheduler.step()
'''

_SUBCLASS = '''\
class Scheduler(torch.optim.lr_scheduler.LambdaLR):
    """The LR and {names} of every param group."""

    def step(self, epoch=None):
        super().step(epoch)
        for group in self.optimizer.param_groups:
{settings}


'''

_SETTINGS = {
    "momentum": [
        'if "betas" in group:',
        '    group["betas"] = (momentum(self.last_epoch), *group["betas"][1:])',
        "else:",
        '    group["momentum"] = momentum(self.last_epoch)',
    ],
    "beta1": ['group["betas"] = (beta1(self.last_epoch), *group["betas"][1:])'],
    "beta2": ['group["betas"] = (group["betas"][0], beta2(self.last_epoch))'],
}

_TRANSFORMERS = '''\
def make_optimizers(model):
    """For transformers.Trainer(model, ..., optimizers=make_optimizers(model)) with max_steps={steps}."""
    optimizer = torch.optim.AdamW(model.parameters(), lr={lr!r})
    return optimizer, make_scheduler(optimizer)


'''

_LIGHTNING = '''\
def configure_optimizers(self):
    """The method of your LightningModule; train with max_steps={steps}."""
    optimizer = torch.optim.AdamW(self.parameters(), lr={lr!r})
    return {{"optimizer": optimizer, "lr_scheduler": {{"scheduler": make_scheduler(optimizer), "interval": "step"}}}}


'''

_OPTAX = """\
if __name__ == "__main__":
    for t in range({steps}):
        print(f"{{t}},{{float(learning_rate(t))!r}}")
"""


@dataclass(frozen=True)
class _Run:
    """A schedule with the run that it is exported for."""

    spec: Spec
    lr: float
    steps: int

    @property
    def names(self) -> tuple[str, ...]:
        """The scheduled hyperparameters besides the LR."""
        return tuple(name for name in self.spec.curves(self.lr, self.steps) if name != "lr")

    def title(self) -> str:
        """What is exported, as comment lines."""
        schedule = self.spec.schedule
        said = schedule.model_dump(mode="json", exclude_unset=True)
        written = json.dumps({"kind": type(schedule).model_fields["kind"].default, **said}, ensure_ascii=False)
        return f"# Peak LR {self.lr:g}, {self.steps} updates of the schedule\n#   {written}\n# Written by lrtool."


def export(spec: Spec, target: str, lr: float, steps: int) -> str:
    """The text of a schedule for a library: `torch`, `transformers`, `lightning`, `optax`, or `csv`.

    Code is self-contained and prints `step,lr` for every update when it is run. Raises UsageError for an
    unknown target, ScheduleError where the schedule does not fit the run.
    """
    if target not in TARGETS:
        near = f"did you mean {target.lower()!r}? " if target.lower() in TARGETS else ""
        raise UsageError(f"cannot export to {target!r}", remedy=f"{near}choose one of: {', '.join(TARGETS)}")
    return TARGETS[target](_Run(spec, lr, steps))


def _csv(run: _Run) -> str:
    """A row an update, and one more with the value that is held after the last."""
    curves = run.spec.curves(run.lr, run.steps)
    columns = [curve(np.arange(run.steps + 1)).tolist() for curve in curves.values()]
    rows = [",".join(map(repr, row)) for row in zip(range(run.steps + 1), *columns, strict=True)]
    return "\n".join([",".join(["step", *curves]), *rows]) + "\n"


def _torch(run: _Run, wiring: str = "", optimizer: str = "") -> str:
    names = run.names
    subclass = ""
    if names:
        settings = [line for name in names for line in _SETTINGS.get(name, [_plain_setting(name)])]
        subclass = _SUBCLASS.format(
            names=" and ".join(names), settings="\n".join(f"            {line}" for line in settings)
        )
    scheduler = "Scheduler(optimizer, factor)" if names else "torch.optim.lr_scheduler.LambdaLR(optimizer, factor)"
    use = _USE_PYTHON.format(
        lr=run.lr,
        steps=run.steps,
        scheduler=scheduler,
        wiring=wiring,
        optimizer=f"torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr={run.lr!r})",
    )
    return _module(run, PYTHON, _functions(run, PYTHON, "factor") + subclass + use)


def _plain_setting(name: str) -> str:
    return f'group["{name}"] = {name}(self.last_epoch)'


def _transformers(run: _Run) -> str:
    return _torch(run, _TRANSFORMERS.format(lr=run.lr, steps=run.steps))


def _lightning(run: _Run) -> str:
    return _torch(run, _LIGHTNING.format(lr=run.lr, steps=run.steps))


def _optax(run: _Run) -> str:
    hint = _optax_hint(run.names)
    use = f"{hint}.\n{_OPTAX.format(steps=run.steps)}"
    return _module(run, JAX, _functions(run, JAX, "learning_rate") + use)


def _optax_hint(names: tuple[str, ...]) -> str:
    """How an optimizer takes the functions."""
    if not names:
        return "# An optimizer takes it as optax.adamw(learning_rate)"
    theirs = {"beta1": "b1", "beta2": "b2"}
    optimizer = "sgd" if "momentum" in names else "adamw"
    given = ", ".join(f"{theirs.get(name, name)}={name}" for name in names)
    if names == ("momentum",) or "momentum" not in names:
        return f"# optax.inject_hyperparams(optax.{optimizer})(learning_rate, {given}) moves them all"
    return f"# optax.inject_hyperparams around a function of (learning_rate, {', '.join(names)}) moves them all"


TARGETS: Mapping[str, Callable[[_Run], str]] = {
    "torch": _torch,
    "transformers": _transformers,
    "lightning": _lightning,
    "optax": _optax,
    "csv": _csv,
}


def _module(run: _Run, dialect: Dialect, code: str) -> str:
    """The code below the imports that it needs."""
    if dialect is JAX:
        return f"{run.title()}\n\nimport jax.numpy as jnp\n\n\n{code}"
    helper = f"{INTERPOLATE}\n\n" if "interpolate(" in code else ""
    imports = [f"import {name}\n" for name in ("bisect", "math") if f"{name}." in helper + code]
    imports.append("\nimport torch\n" if imports else "import torch\n")
    return f"{run.title()}\n\n{''.join(imports)}\n\n{helper}{code}"


def _functions(run: _Run, dialect: Dialect, name: str) -> str:
    """The LR's function and those of the other hyperparameters."""
    spec = run.spec
    parts = [_function(name, _lr_node(run, dialect), _what(name, run), run.steps, dialect)]
    for other in run.names:
        own = spec.others.get(other)
        node = _momentum_node(run) if own is None else _scheduled(spec.peaks[other], _values(own, run, other))
        parts.append(_function(other, node, f"The {other} of update t.", run.steps, dialect))
    return "".join(parts)


def _what(name: str, run: _Run) -> str:
    if name == "factor":
        return "What update t = 0, 1, ... multiplies the peak LR by; past the end, the final value."
    return f"The LR of update `count` = 0, 1, ...; past the end of {run.steps} updates, the final value."


def _function(name: str, node: Node | float, what: str, steps: int, dialect: Dialect) -> str:
    lines, constants = body(node, dialect, f"{name.upper()}_")
    table = "\n".join(constants) + "\n\n\n" if constants else ""
    argument, first = "t", f"t = min(t, {steps})"
    if dialect is JAX:
        argument, first = "count", f"t = jnp.minimum(jnp.asarray(count, float), {steps})"
    code = "\n".join(f"    {line}" for line in [first, *lines])
    return f'{table}def {name}({argument}):\n    """{what}"""\n{code}\n\n\n'


def _lr_node(run: _Run, dialect: Dialect) -> Node | float:
    node = _values(run.spec.schedule, run, "lr")
    return _scheduled(run.lr, node) if dialect is JAX else node


def _scheduled(peak: float, node: Node | float) -> Node | float:
    return simplified("multiply", peak, node) if isinstance(node, Node) else peak * node


def _values(schedule: Schedule, run: _Run, name: str) -> Node | float:
    """The schedule's fractions of its peak as an expression, or, where it has none, as a table."""
    peak = run.lr if name == "lr" else run.spec.peaks[name]
    schedule.bind(peak, run.steps, run.spec.steps_per_epoch)  # every check of the run
    resolved = schedule.resolve(Binding(peak, run.steps, run.spec.steps_per_epoch))
    try:
        return trace(lambda t: resolved.fractions(t, run.steps))
    except UntraceableError:
        return _table(lambda t: resolved.fractions(t, run.steps), run.steps)


def _momentum_node(run: _Run) -> Node | float:
    resolved = run.spec.schedule.resolve(Binding(run.lr, run.steps, run.spec.steps_per_epoch))
    try:
        return trace(lambda t: resolved.momentum_values(t, run.steps))
    except UntraceableError:
        return _table(lambda t: resolved.momentum_values(t, run.steps), run.steps)


def _table(values: Callable[[Any], Any], steps: int) -> Node:
    if steps > _LONGEST_TABLE:
        raise UsageError(
            f"this schedule has no closed form, and a table of {steps} values is too long for code",
            remedy="export it with --to csv, and read that file",
        )
    table = tuple(values(np.arange(steps + 1, dtype=np.float64)).tolist())
    return Node("take", (table, Node("int", (STEP,))))
