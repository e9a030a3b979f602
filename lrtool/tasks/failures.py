"""Errors of a task's own code as one clear message: what failed, and the line of the user's file."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lrtool.errors import LrtoolError, TaskError
from lrtool.printable import brief

_PACKAGE = f"{Path(__file__).resolve().parents[1]}{os.sep}"
_INSTALLED = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
#: What torch says, and what to write instead; `\1` … are parts of what it says.
_REMEDIES: tuple[tuple[str, str], ...] = (
    (
        r"mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)",
        r"a linear layer there takes \2 features and gets \1: make it in_features=\1, or flatten before it",
    ),
    (
        r"expected input\[.*?\] to have (\d+) channels, but got (\d+) channels",
        r"a convolution there takes \1 channels and gets \2: make it in_channels=\2 (channels come before height)",
    ),
    (
        r"Expected \dD \(unbatched\) or \dD \(batched\) input to conv",
        "a convolution takes (batch, channels, height, width): x.unsqueeze(1) adds the channel of grey images",
    ),
    (r"Target (-?\d+) is out of bounds", "classes are numbered from 0: the model needs an output for each of them"),
    (r"index out of range in self", "an embedding there has too few rows: num_embeddings is the largest index plus 1"),
    (
        r"Expected all tensors to be on the same device",
        "a tensor was made on another device: make it with device=x.device, or register it as a buffer of the model",
    ),
    (
        r"Error\(s\) in loading state_dict",
        "the weights are not of this model: check the file, and the args that the model is made with",
    ),
    (
        r"Expected more than 1 value per channel when training",
        "batch norm needs 2 samples or more in a batch: choose another data.batch_size, or write drop_last: true"
        " where an epoch's last batch has 1",
    ),
    (
        r"Trying to backward through the graph a second time",
        "detach what the model keeps from one batch to the next: self.state = state.detach()",
    ),
    (
        r"modified by an inplace operation",
        "write x = x + y instead of x += y, and leave out inplace=True, where the backward pass still needs x",
    ),
    (r"device-side assert", "a class or an index is out of range: run it once with --set device=cpu, which says where"),
    (r"not compiled with CUDA|no kernel image", "install a torch for this GPU, or write device: cpu"),
    (r"view size is not compatible", "write .reshape(…) instead of .view(…)"),
    (
        r"shape '(\[.*?\])' is invalid for input of size (\d+)",
        r"\2 values do not fit into \1: write -1 for the size that follows from the others, and keep the batch's first",
    ),
    (
        r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)",
        r"an axis of \1 meets one of \2: print both shapes on the line before",
    ),
    (
        r"does not support sparse gradients",
        "write optimizer: {use: 'torch.optim:SparseAdam', lr: 0.001}, which leaves what is not sparse to Adam, or make"
        " the embedding with sparse=False",
    ),
    (
        r"forward\(\) got an unexpected keyword argument '(\w+)'",
        r"write target: \1 below data if that is the target; else leave it out of the samples, or let forward take it",
    ),
    (r"before Module\.__init__\(\) call", "begin __init__ with super().__init__()"),
    (
        r"forward\(\) (?:missing \d+ required|takes \d+ positional)",
        "forward gets what a sample of the data holds before its target, in order: return (x, …, target) to match it,"
        " or a mapping by the names of its parameters",
    ),
    (r"[Cc]an't pickle|cannot pickle", "define it at the top level of a file, or load with num_workers=0"),
    (r"DataLoader worker .*exited unexpectedly", "load with num_workers=0 once: the error itself is then shown"),
)


@contextmanager
def guarded(doing: str, where: str | None = None, remedy: str | None = None) -> Iterator[None]:
    """Run the task's code; what it raises becomes a TaskError. lrtool's own errors and Ctrl-C pass."""
    try:
        yield
    except LrtoolError:
        raise
    except (Exception, SystemExit) as error:
        raise task_error(error, doing, where, remedy) from error


def task_error(error: BaseException, doing: str, where: str | None = None, remedy: str | None = None) -> TaskError:
    """A TaskError for what the task's code raised while `doing` (a noun phrase, such as "the model's forward pass").

    The place is the last line of the user's own code that was running, `where` if none was. Running out of
    memory gets its own message, with the remedy.
    """
    place = _place(error) or where
    if ran_out_of_memory(error):
        return TaskError(
            f"{doing} ran out of memory ({_first_line(error)})",
            where=place,
            remedy="try a smaller data.batch_size (train.accumulate keeps the samples per update) or a smaller model",
        )
    return TaskError(f"{doing} raised {_first_line(error)}", where=place, remedy=remedy_for(error) or remedy)


def ran_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that there was no room on the device or in this machine's memory."""
    if error is None:
        return False
    found = isinstance(error, MemoryError) or any(word in str(error).lower() for word in _MEMORY)
    return found or ran_out_of_memory(error.__cause__)


def _first_line(error: BaseException) -> str:
    """The error in one line that can be read; the whole text is its cause, which `log.txt` keeps."""
    text = brief(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _place(error: BaseException) -> str | None:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((_PACKAGE, "<"))]
    own = [f for f in frames if not f.filename.startswith(_INSTALLED)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None


def remedy_for(error: BaseException) -> str | None:
    """What to do about an error, where torch's text is one that is known.

    >>> remedy_for(RuntimeError("mat1 and mat2 shapes cannot be multiplied (32x10 and 8x16)"))
    'a linear layer there takes 8 features and gets 10: make it in_features=10, or flatten before it'
    """
    text = str(error)
    for pattern, remedy in _REMEDIES:
        found = re.search(pattern, text, re.DOTALL)
        if found is not None:
            return found.expand(remedy)
    return None
