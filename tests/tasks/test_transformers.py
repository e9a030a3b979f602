"""A real Hugging Face model: mapping batches by keyword, its own loss, no `loss` in the config."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lrtool.tasks import datasets, models
from lrtool.tasks.base import BuildContext
from lrtool.tasks.build import build_task

pytest.importorskip("transformers", reason="needs the package transformers")

CODE = """
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    def net():
        config = BertConfig(
            vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        )
        return BertForSequenceClassification(config)

    def load():
        draw = torch.Generator().manual_seed(0)
        ids = torch.randint(2, 20, (64, 6), generator=draw)
        return [{"input_ids": row, "labels": (row[0] > 10).long()} for row in ids]
    """


def test_a_model_of_hugging_face_trains_on_its_own_loss(
    context: BuildContext, write: Callable[[str, str], Path], train: Callable[..., tuple[float, float]]
) -> None:
    write("hf.py", CODE)
    data = datasets.KINDS["use"](use="hf.py:load", batch_size=16)
    task = build_task("hf", models.KINDS["use"](use="hf.py:net"), data, None, None, context)
    assert task.loss is None
    first, last = train(task, 60, 0.01)
    assert last < 0.7 * first
