"""The config of a sweep: a base, what varies, and in which combinations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lrtool.analysis.pruning import PRUNERS, Pruner
from lrtool.config.document import write_yaml
from lrtool.config.schema import AnyLoggers, computed, json_schema
from lrtool.config.settings import InFolder, Settings, digest
from lrtool.units import shown

#: What a variant, or one combination of values, sets: dotted keys of the base's config, with their values.
Assignments = dict[str, Any]

#: Seeds that one key may stand for; a mistyped count must not fill the memory.
_MOST_VALUES = 10_000_000


class Range(Settings):
    """Numbers between two ends, evenly spaced in the logarithm (`log`) or as they are (`linear`).

    In a grid `points` says how many; in a random search it is left out.
    """

    log: tuple[float, float] | None = Field(None, description="Lowest and highest value, spaced in the logarithm.")
    linear: tuple[float, float] | None = Field(None, description="Lowest and highest value, evenly spaced.")
    points: int | None = Field(None, ge=1, le=_MOST_VALUES, description="How many values; the ends are among them.")
    integer: bool = Field(False, description="Round to whole numbers.")

    @model_validator(mode="after")
    def _one_range(self) -> Self:
        if (self.log is None) == (self.linear is None):
            raise ValueError("a range is either log or linear; write for example {log: [1e-4, 1], points: 12}")
        low, high = self.ends
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f"`low < high` must hold, but got [{low:g}, {high:g}]; write the lower end first")
        if self.log is not None and low <= 0:
            raise ValueError(f"a log range lies above 0, but got {low:g}; write for example [1e-4, 1]")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest value."""
        ends = self.log if self.log is not None else self.linear
        assert ends is not None
        return ends

    def values(self) -> list[float | int]:
        """The points, in order; whole numbers that come again are left out."""
        assert self.points is not None
        spaced = np.geomspace if self.log is not None else np.linspace
        values = [self._written(value) for value in spaced(*self.ends, self.points).tolist()]
        if not self.integer and len(set(values)) < self.points:
            # So dense that it takes more digits to tell them apart.
            values = [float(f"{value:.10g}") for value in spaced(*self.ends, self.points).tolist()]
        return list(dict.fromkeys(values))

    def draw(self, part: float) -> float | int:
        """The value at a part (0 … 1) of the range."""
        low, high = self.ends
        value = low * (high / low) ** part if self.log is not None else low + (high - low) * part
        return self._written(value)

    def _written(self, value: float) -> float | int:
        """A value as it is trained with, and stands in every table: in four digits, never beyond the ends."""
        low, high = self.ends
        return round(value) if self.integer else min(max(float(f"{value:.4g}"), low), high)


def drawable(values: Range | list[Any], value: Any) -> bool:
    """Whether a value can have been drawn from a list or a range."""
    if not isinstance(values, Range):
        return value in values
    low, high = values.ends
    # Whole numbers near an end are rounded beyond it.
    slack = 0.5 if values.integer else 0.0
    return isinstance(value, int | float) and low - slack <= value <= high + slack


def _as_values(value: object) -> object:
    """A mapping is a range; any other value is to be a list."""
    if isinstance(value, Range):
        return value
    if isinstance(value, dict):
        try:
            return Range.model_validate(value)
        except ValidationError as error:
            # One sentence: pydantic would nest its own report in ours.
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            said = (
                str(first.get("ctx", {}).get("error", "")) or f"{where}: {first['msg'].lower()}, but got {shown(value)}"
            )
            # Its place is below that of the range.
            raise PydanticCustomError("range", "{said}", {"said": said, "below": first["loc"]}) from None
    if isinstance(value, list):
        if not value:
            raise ValueError("the list is empty, so no trial would be left; write at least one value")
        return value
    raise ValueError(
        f"expected a list or a range, but got {shown(value)};"
        " write for example [0.01, 0.1] or {log: [1e-4, 1], points: 12}"
    )


def _at(said: str, *below: str) -> PydanticCustomError:
    """A mistake of a whole sweep, with the path at which it is to be shown."""
    return PydanticCustomError("range", "{said}", {"said": said, "below": below})


Values = Annotated[Any, BeforeValidator(_as_values)]


class Tune(Settings):
    """Give every variant its own best LR, by `lrtool tune`'s search, before they are compared."""

    key: Literal["lr"] = Field("lr", description="What is tuned.")
    budget: float = Field(12.0, gt=0, allow_inf_nan=False, description="Cost of each search, in training runs.")


if TYPE_CHECKING:
    AnyPruner = Pruner
else:
    AnyPruner = PRUNERS.annotation()


class SweepConfig(InFolder):
    """Many trials of one base config.

    Trials are every variant × every combination of the grid × every random sample.
    """

    name: str = Field("", description="Names the folder below outputs/; unsaid: the file's name.")
    base: dict[str, Any] = Field(description="The config that all trials start from: a file, or written out here.")
    variants: dict[str, Assignments] = Field({}, description="What is compared: a name, and what it sets.")
    grid: dict[str, Values] = Field({}, description="Keys and their values; every combination is trained.")
    random: dict[str, Values] = Field({}, description="Keys and ranges or lists to draw from.")
    samples: int | None = Field(None, ge=1, le=_MOST_VALUES, description="How many random samples.")
    sampler: Literal["random", "tpe"] = Field(
        "random",
        description="tpe: Optuna draws near what did well, for each variant and grid point by itself"
        " (needs the extra optuna).",
    )
    batch: int = Field(
        10,
        ge=1,
        description="How many are trained at a time: samples that tpe draws for each variant and grid point,"
        " or variants that prune: asha lets in.",
    )
    sample_seed: int = Field(
        0, ge=0, description="Seed of the samples, and of the order in which asha lets variants in."
    )
    seeds: int | list[int] | None = Field(
        None, description="Seeds of every combination: how many (from the base's seed on), or which."
    )
    where: dict[str, dict[str, list[Any]]] = Field(
        {}, description="Conditions: this key varies only where other keys have one of these values."
    )
    tune: Tune | None = Field(None, description="`lr`: each variant is compared at its own best LR.")
    prune: AnyPruner | None = Field(
        None, description="Give up early on variants that lag behind; without a kind by halving."
    )

    logging: AnyLoggers | None = Field(
        None, description="What else hears of the sweep, each trial as a run; unsaid: the base's loggers."
    )

    @model_validator(mode="before")
    @classmethod
    def _seed_in_grid(cls, data: Any) -> Any:
        """`seed` in the grid is short for `seeds`: every combination has each of them, so that trials compare."""
        grid = data.get("grid") if isinstance(data, dict) else None
        if not isinstance(grid, dict) or "seed" not in grid:
            return data
        if data.get("seeds") is not None:
            raise _at("seeds are given twice, as grid.seed and as seeds; leave one out", "grid", "seed")
        return {**data, "grid": {key: grid[key] for key in grid if key != "seed"}, "seeds": grid["seed"]}

    @field_validator("seeds")
    @classmethod
    def _some_seeds(cls, value: int | list[int] | None) -> int | list[int] | None:
        if value is not None and (value == [] or (isinstance(value, int) and value < 1)):
            raise ValueError(f"at least one seed is needed, but got {value!r}; write for example seeds: 5")
        if isinstance(value, list) and (len(set(value)) < len(value) or min(value) < 0):
            raise ValueError(f"seeds are different numbers of at least 0, but got {value}; write for example [0, 1, 2]")
        return value

    @field_validator("tune", mode="before")
    @classmethod
    def _tune_in_short(cls, value: object) -> object:
        return {"key": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for key, values in self.grid.items():
            if isinstance(values, Range) and values.points is None:
                what = f"the range of {key} in the grid has no points"
                raise _at(f"{what}; write {{log: [1e-4, 1], points: 12}}", "grid", key)
        if bool(self.random) != (self.samples is not None):
            missing = "samples" if self.random else "random"
            there = "samples" if missing == "random" else "random"
            raise _at(f"random and samples belong together, but there is no {missing}; write samples: 20", there)
        if self.sampler == "tpe" and not self.random:
            raise _at(
                "tpe draws the values of random, but there is none;"
                " write random: {optimizer.lr: {log: [1e-4, 1]}} and samples: 20, or leave out sampler",
                "sampler",
            )
        varied = self.grid.keys() | self.random.keys()
        twice = sorted(self.grid.keys() & self.random.keys())
        twice += sorted({key for each in self.variants.values() for key in each} & varied)
        if twice:
            place = next(name for name in ("random", "grid") if twice[0] in getattr(self, name))
            raise _at(f"{twice[0]} varies in two places; leave it in one of variants, grid and random", place, twice[0])
        everywhere = varied.union(*self.variants.values())
        idle = [key for key in self.where if key not in everywhere]
        if idle:
            what = f"where has a condition for {idle[0]}, which does not vary"
            raise _at(f"{what}; vary it, or leave that out", "where", idle[0])
        if self.tune is not None and "optimizer.lr" in everywhere:
            raise _at("optimizer.lr is to be tuned and varies at once; leave out tune, or the LRs", "tune")
        if not (everywhere or self.variants or self.seeds):
            raise ValueError(
                "nothing varies, so there is one trial; write grid: {optimizer.lr: [0.01, 0.1]}, or use lrtool train"
            )
        return self

    def to_yaml(self) -> str:
        """The whole sweep with its base written out; loading it gives the same sweep."""
        return write_yaml(self.model_dump(mode="json", exclude_none=True))

    def hash(self) -> str:
        """Twelve hex digits that are the same for sweeps that compute the same."""
        data = self.model_dump(mode="json", exclude={"name", "logging"})
        return digest({**data, "base": computed(data["base"])})


def sweep_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a sweep's file."""
    config = json_schema()
    schema = SweepConfig.model_json_schema()
    written = {key: value for key, value in config.items() if key not in ("$schema", "$defs", "title")}
    properties, described = schema["properties"], "The config that all trials start from: a file, or written out here."
    properties["base"] = {"anyOf": [{"type": "string"}, written], "description": described}
    # Short forms, which are taken apart before a sweep is checked.
    properties["tune"]["anyOf"].append({"type": "string"})
    # Without a kind it is halving, so that what both kinds take fits both.
    for option in properties["prune"]["anyOf"]:
        if "oneOf" in option:
            option["anyOf"] = option.pop("oneOf")
    # `seed` in the grid is a number of seeds, or a list of them.
    properties["grid"]["properties"] = {"seed": {key: properties["seeds"][key] for key in ("anyOf",)}}
    schema["$defs"] = {**config["$defs"], **schema["$defs"]}
    return {"$schema": config["$schema"], **schema, "title": "lrtool sweep"}
