"""Data of the user's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from lrtool.errors import UsageError
from lrtool.tasks.base import BuildContext, Data, Dataset
from lrtool.tasks.loading.draws import Draw, drawn_by
from lrtool.tasks.loading.stateful import LoaderSource


class UseData(Dataset):
    """A function or class of your own that returns data: `{use: "my_data.py:load", args: {}, batch_size: 64}`.

    It returns one data set, which `val_fraction` splits, or a (train, val) pair, which is taken as it is. Each is a
    torch `Dataset`, a `DataLoader`, a stream (`IterableDataset`, generator), or a tuple `(inputs…, target)` of tensors
    or arrays. Of a loader its data set, collate function, weighted sampler, workers, and (unless they are written here)
    `batch_size` and `drop_last` are used. A loader with `state_dict` and `load_state_dict`, as torchdata's
    `StatefulDataLoader`, is read in its own order, and its state goes into checkpoints. What samples draw at random is
    a function of seed, epoch and index. NumPy floats become torch's default precision; tensors keep theirs.
    """

    kind: Literal["use"] = "use"
    use: str = Field(description="'file.py:Name' beside the config, or 'package.module:Name' (see --allow-import).")
    args: dict[str, Any] = Field({}, description="Keyword arguments of the function or class.")
    target: str | None = Field(
        None, description="Where samples are mappings: the key of the target; unsaid, what the model does not take."
    )
    samples: int = Field(20_000, ge=1, description="Of a stream without an end, so many samples are kept.")

    def load(self, context: BuildContext) -> Data:
        """Call the target and adapt what it returns; raises TaskError where either fails."""
        from lrtool.tasks import adapt, custom

        # What it draws without a seed of its own is the same when the run goes on.
        with drawn_by(Draw(self.split_seed).word(0)):
            returned = custom.call(self.use, self.args, context, "data")
        with custom.importable(self.use, context):
            data = adapt.adapt(returned, self.val_fraction, self.split_seed, self.samples, self.target)
        if isinstance(data.train, LoaderSource):
            return self._as_loaded(data)
        if "batch_size" in self.model_fields_set:
            data = replace(data, batch_size=None)
        return replace(data, drop_last=None) if "drop_last" in self.model_fields_set else data

    def _as_loaded(self, data: Data) -> Data:
        """Data whose batches the loader makes; UsageError where the config wants others."""
        if "batch_size" in self.model_fields_set and self.batch_size != data.batch_size:
            raise UsageError(
                f"the loader makes batches of {data.batch_size} samples, but the config says {self.batch_size}",
                where="data.batch_size",
                remedy="leave it out, or make the loader with that batch_size",
            )
        if self.sampler != "random":
            raise UsageError(
                "the loader draws its samples itself",
                where="data.sampler",
                remedy="leave it out, or return a data set instead of a loader with a state",
            )
        return data
