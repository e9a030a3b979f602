"""How deep a parameter lies, by names and order: models as they are written in the field."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lrtool.optimizers import KINDS
from lrtool.optimizers.parts.layers import Parameters, depths

BLOCK = ("norm1.weight 1", "attn.qkv.weight 2", "attn.qkv.bias 1", "mlp.0.weight 2", "mlp.2.weight 2")


def named(*lines: str) -> dict[str, tuple[int, ...]]:
    return {name: (2,) * int(ndim) for name, ndim in (line.split() for line in lines)}


def blocks(prefix: str, count: int) -> list[str]:
    return [f"{prefix}.{number}.{line}" for number in range(count) for line in BLOCK]


VIT = [
    "cls_token 3",
    "pos_embed 3",
    "patch_embed.proj.weight 4",
    *blocks("blocks", 12),
    "norm.weight 1",
    "head.weight 2",
]
BERT = [
    "bert.embeddings.word_embeddings.weight 2", "bert.embeddings.LayerNorm.weight 1", *blocks("bert.encoder.layer", 2),
    "bert.pooler.dense.weight 2", "classifier.weight 2", "classifier.bias 1",
]  # fmt: skip
RESNET = [
    "conv1.weight 4", "bn1.weight 1",
    *[f"layer{n}.{m}.{p}" for n in (1, 2, 3, 4) for m in (0, 1) for p in ("conv1.weight 4", "bn1.weight 1")],
    "fc.weight 2", "fc.bias 1",
]  # fmt: skip
HAND = [
    "conv1.weight 4",
    "conv1.bias 1",
    "conv2.weight 4",
    "bn2.weight 1",
    "fc1.weight 2",
    "fc2.weight 2",
    "fc2.bias 1",
]


def beit(name: str) -> int:
    """get_num_layer_for_vit of BEiT and MAE, 12 blocks."""
    if name in ("cls_token", "mask_token", "pos_embed") or name.startswith("patch_embed"):
        return 0
    return int(name.split(".")[1]) + 1 if name.startswith("blocks") else 13


def test_a_vision_transformer_has_the_layers_of_beit_and_mae() -> None:
    shapes = named(*VIT)
    assert depths(shapes) == {name: beit(name) for name in shapes}


def test_a_backbone_with_a_head_in_a_sequence_has_the_same() -> None:
    shapes = named(*[f"0.{line}" for line in VIT[:-1]], "1.weight 2", "1.bias 1")
    found = depths(shapes)
    assert {name: depth for name, depth in found.items() if name.startswith("0.")} == {
        f"0.{name}": beit(name) for name in named(*VIT[:-1])
    }
    assert found["1.weight"] == found["1.bias"] == 13


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (BERT, {"bert.embeddings.LayerNorm.weight": 0, "bert.encoder.layer.1.norm1.weight": 2, "classifier.bias": 3}),
        (BERT, {"bert.pooler.dense.weight": 3, "bert.encoder.layer.0.mlp.2.weight": 1}),
        (RESNET, {"bn1.weight": 0, "layer1.0.conv1.weight": 1, "layer4.1.bn1.weight": 4, "fc.bias": 5}),
        (HAND, {"conv1.bias": 0, "conv2.weight": 1, "fc1.weight": 2, "fc2.bias": 3}),
        (["weight 2", "bias 1"], {"weight": 0, "bias": 0}),
        (["scale 1", "body.weight 2", "body.bias 1"], {"scale": 0, "body.weight": 1, "body.bias": 1}),
    ],
)  # fmt: skip
def test_models_as_they_are_written(lines: list[str], expected: dict[str, int]) -> None:
    found = depths(named(*lines))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1)), 3),
        (lambda: nn.Sequential(nn.Conv1d(1, 2, 3, bias=False), nn.BatchNorm1d(2), nn.Flatten(), nn.Linear(8, 3)), 2),
        (lambda: nn.LSTM(2, 3, num_layers=2, bidirectional=True), 2),
        (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 3), 3),
        (lambda: nn.Linear(3, 1), 1),
    ],
)
def test_modules_of_torch(model, layers) -> None:
    assert set(depths(Parameters.of(model()).shapes).values()) == set(range(layers))


def test_layer_decay_multiplies_once_for_each_layer_above() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
    groups = [{"match": "*.bias", "lr_scale": 2.0, "weight_decay": 0.0}]
    spec = KINDS["adamw"](lr=0.1, layer_decay=0.5, groups=groups)
    lrs = {id(p): g["lr"] for g in spec.build(model).param_groups for p in g["params"]}
    got = {name: lrs[id(parameter)] for name, parameter in model.named_parameters()}
    assert got == pytest.approx(
        {"0.weight": 0.025, "0.bias": 0.05, "2.weight": 0.05, "2.bias": 0.1, "4.weight": 0.1, "4.bias": 0.2}
    )


def test_embeddings_are_known_by_their_modules() -> None:
    model = nn.ModuleDict({"words": nn.Embedding(5, 2), "bags": nn.EmbeddingBag(5, 2), "out": nn.Linear(2, 5)})
    model["out"].weight = model["words"].weight
    found = Parameters.of(model)
    assert found.embeddings == {"words.weight", "bags.weight"} and found.output == "bags.weight"
    assert Parameters.of(model.named_parameters()).embeddings == frozenset()


def test_muon_takes_hidden_matrices_and_adamw_the_rest() -> None:
    model = nn.Sequential(
        nn.Embedding(5, 4), nn.Linear(4, 4), nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(4, 2)
    )
    rules = {name: each.rule for name, each in KINDS["muon"](lr=0.1).placed(Parameters.of(model)).items()}
    assert [name for name, rule in rules.items() if rule == "muon"] == ["1.weight", "3.weight"]
    assert torch.nn.Module in type(model).__mro__
