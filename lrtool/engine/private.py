"""Private interfaces of torch, all that lrtool uses of them, each with what is done in a torch that lacks it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

try:
    from torch.utils._python_dispatch import TorchDispatchMode

    #: Whether a mode sees the operators that run inside. Where it does not, nothing is stacked (see `obstacle`).
    OPERATORS_SHOWN = True

    class OperatorMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """A context in which `__torch_dispatch__` sees every operator that runs."""
except ImportError:
    OPERATORS_SHOWN = False

    class OperatorMode:  # type: ignore[no-redef]
        """A context in which nothing is seen."""

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass


#: Takes all tensors in a list, which it may empty.
Function = Callable[[list[Tensor]], Sequence[Tensor]]

#: Options of inductor, the compiler behind `torch.compile`.
_OPTIONS: dict[str, Any] = {
    # It goes by the processor's flags (see `plain_instructions`). Where they are wrong, compiling fails, and the plain
    # update goes on.
    "cpp.vec_isa_ok": True,
    # Strides are what they were when it was traced, at every call, so that the compiled code need not check them.
    "size_asserts": False,
    # What takes three reads is computed once and not again for everything that uses it: 2-3% of an MLP's or CNN's
    # update.
    "realize_reads_threshold": 2,
}


def inductor_compiled(
    module: torch.fx.GraphModule, example: Sequence[Tensor]
) -> tuple[Function, list[tuple[Any, Sequence[Tensor]]]]:
    """A compiled graph, and the pieces of generated code inside it, each with its example inputs.

    Not by `torch.compile`: its guards cost time at every call, and its cache is not meant for several threads. It is
    the fallback, and shows no pieces.
    """
    try:
        from torch._inductor.compile_fx import compile_fx, compile_fx_inner
    except ImportError:
        public = torch.compile(module, fullgraph=True, dynamic=False)
        return lambda given: public(*given), []
    pieces: list[tuple[Any, Sequence[Tensor]]] = []

    def kept(inner: torch.fx.GraphModule, inputs: Sequence[Tensor], **options: Any) -> Any:
        pieces.append((compile_fx_inner(inner, inputs, **options), inputs))
        return pieces[-1][0]

    whole: Any = compile_fx(module, list(example), inner_compile=kept, config_patches=_known_options())
    return lambda given: whole(*given), pieces


def _known_options() -> dict[str, Any]:
    """Those of the options that this torch has."""
    try:
        from torch._inductor import list_options

        known = set(list_options())
    except (ImportError, AttributeError):
        return {}
    return {key: value for key, value in _OPTIONS.items() if key in known}


@contextlib.contextmanager
def plain_instructions() -> Iterator[None]:
    """Without the instruction sets that a compiler may not know (for int8 and bfloat16, of no use here).

    To see whether it does, torch builds and loads up to six programs: as long as it takes to compile a small model.
    Where torch finds out in another way, it is left to.
    """
    try:
        from torch._inductor import cpu_vec_isa

        tried = cpu_vec_isa.VecISA.check_build
    except (ImportError, AttributeError):
        yield
        return
    cpu_vec_isa.VecISA.check_build = lambda *_: False  # type: ignore[method-assign]
    try:
        yield
    finally:
        cpu_vec_isa.VecISA.check_build = tried  # type: ignore[method-assign]
        # Whoever else compiles in this process finds out for himself.
        sets = [type(each).__bool__ for each in getattr(cpu_vec_isa, "supported_vec_isa_list", ())]
        for known in (getattr(cpu_vec_isa, "valid_vec_isa_list", None), *sets):
            getattr(known, "cache_clear", lambda: None)()


def has_cpp_compiler() -> bool:
    """Whether there is a C++ compiler that torch would use; in a torch that does not say, any of the usual names."""
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler
    except ImportError:
        return any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++", "cl"))
    try:
        get_cpp_compiler()
    except Exception:
        return False
    return True


#: Where a module keeps its parameters, buffers and submodules; a torch that keeps them elsewhere shows them there.
MODULE_TABLES = ("_parameters", "_buffers", "_modules")


def hooks_of(tensor: Tensor) -> list[list[Any]]:
    """The hooks on a tensor's gradient, by kind; none where torch keeps them elsewhere."""
    kept = [getattr(tensor, name, None) for name in ("_backward_hooks", "_post_accumulate_grad_hooks")]
    return [list(held.values()) if held else [] for held in kept]


def global_hooks() -> dict[str, list[Any]]:
    """The hooks on all modules, by kind; none where torch keeps them elsewhere."""
    names = ("_global_forward_hooks", "_global_forward_pre_hooks", "_global_backward_hooks")
    return {name: list(getattr(torch.nn.modules.module, name, {}).values()) for name in names}


def derived_attributes(module: nn.Module) -> set[str]:
    """Attributes that torch itself computes anew from parameters: weights under old-style hooks, an RNN's list."""
    names = {"_flat_weights", "_flat_weight_refs"} if isinstance(module, nn.RNNBase) else set()
    for hook in getattr(module, "_forward_pre_hooks", {}).values():
        name = getattr(hook, "name", None)
        if type(hook).__module__.startswith("torch.nn.utils.") and isinstance(name, str):
            names.add(name)
    return names


def hides_overflow(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer looks at the overflow flag itself, as fused ones do; where torch does not say, no."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def changes_in_place(tensor: Tensor) -> int | None:
    """How often a tensor was changed in place; None where torch does not say."""
    return getattr(tensor, "_version", None)


def is_stateless_class(kind: type) -> bool:
    """Whether it is a C type of torch's, which has no Python state."""
    return (kind.__module__ or "").partition(".")[0] in ("torch", "torch._C") and "__dict__" not in kind.__dict__


def default_store() -> Any:
    """The store that a script's process group was made over; None in a torch that does not give it."""
    try:
        from torch.distributed.distributed_c10d import _get_default_store
    except ImportError:
        return None
    return _get_default_store()
