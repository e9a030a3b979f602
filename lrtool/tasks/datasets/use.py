"""Data of the user's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from lrtool.tasks.base import BuildContext, Data, Dataset


class UseData(Dataset):
    """A function or class of your own that returns data: `{use: "my_data.py:load", args: {}, batch_size: 64}`.

    It returns one data set, which `val_fraction` splits, or a (train, val) pair, which is taken as it is. Each is a
    torch `Dataset`, a `DataLoader`, a stream (`IterableDataset`, generator), or a tuple `(inputs…, target)` of tensors
    or arrays. Of a loader its data set, collate function, weighted sampler, and (unless they are written here)
    `batch_size` and `drop_last` are used. NumPy floats become torch's default precision; tensors keep theirs.
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

        returned = custom.call(self.use, self.args, context, "data")
        with custom.importable(self.use, context):
            data = adapt.adapt(returned, self.val_fraction, self.split_seed, self.samples, self.target)
        if "batch_size" in self.model_fields_set:
            data = replace(data, batch_size=None)
        return replace(data, drop_last=None) if "drop_last" in self.model_fields_set else data
