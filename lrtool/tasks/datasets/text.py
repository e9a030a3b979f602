"""A text, character by character."""

from __future__ import annotations

from importlib import resources
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lrtool.errors import TaskError, UsageError
from lrtool.tasks.base import Arrays, BuildContext, Data, Dataset, DataShape
from lrtool.tasks.datasets._files import find
from lrtool.tasks.memory import as_data


class Text(Dataset):
    """A text file, character by character: from `context` characters, the next one at each position.

    Without a path, the embedded play (Hamlet, public domain, 174,000 characters). The vocabulary is every character of
    the file in order of its code point. The text's last part is held out, so `split_seed` changes nothing here.
    """

    endings: ClassVar[tuple[str, ...]] = (".txt",)

    kind: Literal["text"] = "text"
    path: str | None = Field(None, description="A text file, relative to the config; the embedded sample if unsaid.")
    encoding: str = Field("utf-8", description="How the file's bytes are read.")
    context: int = Field(64, ge=1, description="Characters a sample holds.")
    stride: int | None = Field(
        None, ge=1, description="Characters between the starts of training samples; `context` if unsaid (no overlap)."
    )

    def load(self, context: BuildContext) -> Data:
        """Windows (samples, context) of token indices; raises UsageError or TaskError where the text does not do."""
        # Some encodings know halves of characters; each is one here.
        code_points = np.frombuffer(self._read(context).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        vocabulary, tokens = np.unique(code_points, return_inverse=True)
        tokens = tokens.astype(np.int64)
        held_out = round(len(tokens) * self.val_fraction)
        end = len(tokens) - held_out
        train = self._windows(tokens[:end], self.stride or self.context, "training")
        val = self._windows(tokens[end:], self.context, "validation") if self.val_fraction else None
        return as_data(train, val, DataShape((self.context,), len(vocabulary), "token", len(vocabulary)))

    def _windows(self, tokens: NDArray[np.int64], stride: int, part: str) -> Arrays:
        if len(tokens) <= self.context:
            raise UsageError(
                f"the {part} part of the text has {len(tokens)} characters, too few for a context of {self.context}",
                where="data.context",
                remedy="write a smaller context, another val_fraction, or give a longer text",
            )
        windows = np.lib.stride_tricks.sliding_window_view(tokens, self.context + 1)[::stride]
        return Arrays((windows[:, :-1],), windows[:, 1:])

    def _read(self, context: BuildContext) -> str:
        if self.path is None:
            file = resources.files("lrtool.tasks.datasets") / "files" / "hamlet.txt"
            return file.read_text(encoding="utf-8")
        path = find(self.path, context)
        try:
            text = path.read_text(encoding=self.encoding)
        except UnicodeDecodeError as error:
            raise TaskError(
                f"{path} is not {self.encoding}: byte {error.start} cannot be read",
                where="data.path",
                remedy="write the file's encoding, such as encoding: latin-1",
            ) from None
        except (LookupError, UnicodeError):
            raise UsageError(
                f"there is no encoding {self.encoding!r}", where="data.encoding", remedy="try utf-8"
            ) from None
        if not text:
            raise TaskError(f"{path} is empty", where="data.path", remedy="give a file with some text")
        return text
