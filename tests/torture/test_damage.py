"""A slice of the damages that `make torture` does: none may change a result in silence, crash or hang."""

import random

import pytest

from tests.torture.campaigns.damage import KINDS, Campaign, Damage, files, flips


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    kind = next(kind for kind in KINDS if kind.name == "train, finished")
    return Campaign(kind, tmp_path_factory.mktemp("damage") / "runs")


def test_no_damage_changes_a_result_in_silence(campaign):
    draw = random.Random(1)
    names = files(campaign.run)
    damages = [
        *flips(campaign.run, 6, draw),
        *(Damage(kind, draw.choice(names), draw.randrange(50)) for kind in ("cut", "zeroed", "removed")),
    ]
    for number, damage in enumerate(damages):
        campaign.attempt(damage, campaign.kind.readers[number % len(campaign.kind.readers)])
    assert not campaign.wrong, "\n".join(campaign.wrong)
    assert campaign.counts["refused"] or campaign.counts["named, and went on"]


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("checkpoints/best.safetensors", "train --init-from"),
        ("config.yaml", "load"),
        ("metrics.csv", "compare"),
        ("summary.json", "report"),
    ],
)
def test_a_reader_notices_what_is_damaged_or_gone(campaign, name, reader):
    chosen = next(each for each in campaign.kind.readers if each.name == reader)
    for damage in (Damage("flip", name, 1003), Damage("removed", name)):
        assert campaign.attempt(damage, chosen) in ("refused", "named, and went on")
