"""Errors of torch that people meet, made by torch itself, and what is said to do about each."""

import pytest
import torch
from torch import nn

from lrtool.errors import TaskError
from lrtool.tasks.failures import guarded, remedy_for, task_error


class Keeps(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.state = nn.Linear(2, 2), torch.zeros(1, 2)

    def forward(self, x):
        self.state = self.layer(self.state + x)
        return self.state


def twice():
    model = Keeps()
    for _ in range(2):
        model(torch.ones(1, 2)).sum().backward()


def in_place():
    x = torch.ones(2, requires_grad=True).exp()
    y = x.exp().mul(x)
    x += 1
    y.sum().backward()


def other_weights():
    nn.Sequential(*(nn.Linear(2, 2) for _ in range(60))).load_state_dict({"a": torch.zeros(1)})


MISTAKES = {
    "a linear layer's width": (lambda: nn.Linear(8, 2)(torch.zeros(4, 10)), "in_features=10"),
    "a convolution's channels": (lambda: nn.Conv2d(3, 8, 3)(torch.zeros(4, 1, 9, 9)), "in_channels=1"),
    "grey images": (lambda: nn.Conv2d(1, 8, 3)(torch.zeros(4, 9)), "x.unsqueeze(1)"),
    "a class too many": (
        lambda: nn.functional.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 3])),
        "an output for each",
    ),
    "an embedding's rows": (lambda: nn.Embedding(3, 2)(torch.tensor([5])), "num_embeddings"),
    "other weights": (other_weights, "the weights are not of this model"),
    "batch norm of one": (lambda: nn.BatchNorm1d(2)(torch.zeros(1, 2)), "another data.batch_size"),
    "a state that is kept": (twice, "state.detach()"),
    "in place": (in_place, "instead of x += y"),
    "a view": (lambda: torch.zeros(2, 3).t().view(6), ".reshape"),
    "a shape": (lambda: torch.zeros(2, 3).reshape(4, 2), "6 values do not fit into [4, 2]"),
    "axes": (lambda: torch.zeros(2, 3) + torch.zeros(2, 4), "an axis of 3 meets one of 4"),
}


@pytest.mark.parametrize(("mistake", "said"), MISTAKES.values(), ids=MISTAKES)
def test_what_to_do_is_said_in_a_line(mistake, said):
    with pytest.raises(TaskError) as caught, guarded("the model", "model", "look at it"):
        mistake()
    text = str(caught.value)
    assert said in text and "look at it" not in text
    assert len(text.splitlines()) == 1 and len(text) < 600


def test_what_is_not_known_keeps_the_remedy_that_was_given():
    assert remedy_for(ValueError("quantum")) is None
    assert task_error(ValueError("quantum"), "the model", "model", "look at it").remedy == "look at it"


def test_a_text_of_pages_is_cut_and_kept_as_the_cause():
    with pytest.raises(TaskError) as caught, guarded("the model"):
        raise RuntimeError("word " * 2000)
    assert len(str(caught.value)) < 400 and len(str(caught.value.__cause__)) == 10_000
