"""What to do about errors of torch that people meet: a line each, found by what torch says."""

from __future__ import annotations

import re

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
        "batch norm needs 2 samples or more in a batch: choose another data.batch_size",
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
    (r"[Cc]an't pickle|cannot pickle", "define it at the top level of a file, or load with num_workers=0"),
    (r"DataLoader worker .*exited unexpectedly", "load with num_workers=0 once: the error itself is then shown"),
)


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
