"""Weights that models begin with."""

from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from lrtool.errors import UsageError
from lrtool.tasks.base import Task, seeded_model
from lrtool.tasks.initial import initialised
from lrtool.tasks.sources import TensorSource


class Tied(nn.Module):
    """An embedding whose weights are also those of the head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight


def net(outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, outputs))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "layers": net,
    "spectral norm": lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3))),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)),
    "script": lambda: torch.jit.script(net()),
    "tied": Tied,
}


def task_of(make: Callable[[], nn.Module]) -> Task:
    source = TensorSource((torch.zeros(8, 4),), torch.zeros(8, dtype=torch.long))
    return Task("t", make, source, None, 4, nn.functional.cross_entropy)


def write(path: Path, tensors: dict[str, Tensor]) -> Path:
    safetensors.torch.save_file({name: each.detach().clone().contiguous() for name, each in tensors.items()}, path)
    return path


def same(model: nn.Module, state: dict[str, Tensor]) -> bool:
    return all(torch.equal(each, state[name]) for name, each in model.state_dict().items())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_every_seed_begins_with_the_weights_given(tmp_path: Path, name: str) -> None:
    task = task_of(MODELS[name])
    state = {key: value.clone() for key, value in seeded_model(task, 9).state_dict().items()}
    begun = initialised(task, write(tmp_path / "w.safetensors", state))
    assert same(seeded_model(begun, 0), state) and same(seeded_model(begun, 1), state)
    one, other = seeded_model(begun, 0), seeded_model(begun, 0)
    assert next(one.parameters()) is not next(other.parameters())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model._orig_mod."])
def test_what_wrappers_put_before_names_is_no_obstacle(tmp_path: Path, prefix: str) -> None:
    task, state = task_of(net), net().state_dict()
    file = write(tmp_path / "w.safetensors", {f"{prefix}{name}": each for name, each in state.items()})
    assert same(seeded_model(initialised(task, file), 0), state)


def test_of_tied_weights_one_name_is_enough(tmp_path: Path) -> None:
    state = Tied().state_dict()
    file = write(tmp_path / "w.safetensors", {"embedding.weight": state["embedding.weight"]})
    assert same(seeded_model(initialised(task_of(Tied), file), 0), state)


def test_a_checkpoint_of_a_run_has_a_model_in_it(tmp_path: Path) -> None:
    state = net().state_dict()
    whole = {**{f"model/{name}": each for name, each in state.items()}, "trace/lr": torch.ones(3)}
    assert same(seeded_model(initialised(task_of(net), write(tmp_path / "s.safetensors", whole)), 0), state)


def test_what_does_not_fit_is_listed_and_may_be_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = {**net(5).state_dict(), "extra": torch.ones(2)}
    del state["0.bias"]
    file = write(tmp_path / "w.safetensors", state)
    with pytest.raises(UsageError) as refused:
        initialised(task_of(net), file)
    for part in ("1 lacking: 0.bias", "1 not in the model: extra", "2.bias (5,) for (3,)", "--init-partial"):
        assert part in str(refused.value)
    task = task_of(net)
    model, fresh = seeded_model(initialised(task, file, partial=True), 4), seeded_model(task, 4)
    assert torch.equal(model[0].weight, state["0.weight"])
    assert torch.equal(model[0].bias, fresh[0].bias) and torch.equal(model[2].weight, fresh[2].weight)
    assert "5 of 9 tensors begin as in w.safetensors" in caplog.text or "6 of 9" in caplog.text


def test_nothing_that_fits_is_refused_even_in_part(tmp_path: Path) -> None:
    file = write(tmp_path / "w.safetensors", {"a": torch.ones(2), "b": torch.ones(3)})
    with pytest.raises(UsageError, match="no tensor fits by name and shape"):
        initialised(task_of(net), file, partial=True)


@pytest.mark.parametrize("name", ["net.pt", "net.PTH", "pytorch_model.bin", "epoch=3.ckpt"])
def test_pickles_are_refused_with_the_lines_that_convert_them(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match=r"can run any code(.|\n)*torch\.load\('.*weights_only=True(.|\n)*save_file\("):
        initialised(task_of(net), tmp_path / name)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_text("no")
    with pytest.raises(UsageError, match="no safetensors file"):
        initialised(task_of(net), tmp_path / "w.safetensors")
