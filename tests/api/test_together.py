"""A user's own DDP script: all of its processes find one LR, which is that of one process, and only one writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.parallel.processes import environment, launched

SCRIPT = """
import json
import os
import sys

import torch
from torch import nn

import lrtool

several = int(os.environ.get("WORLD_SIZE", 1)) > 1
torch.manual_seed(0)
x = torch.randn(400, 6)
y = (x[:, 0] + x[:, 1] ** 2 > 0.5).long()
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))
if several:
    torch.distributed.init_process_group("gloo")
    model = nn.parallel.DistributedDataParallel(model)
size = 40 // int(os.environ.get("WORLD_SIZE", 1))
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=size, shuffle=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
about = dict(optimizer=optimizer, loss=nn.functional.cross_entropy, duration=60, seeds=2, engine="loop", progress=False)
found = []
# One after the other: the second hears nothing of what was said in the first.
found.append(lrtool.range_test(model, loader, steps=40, budget=8, output="out", **about))
found.append(lrtool.tune(model, loader, steps=40, budget=16, output="out", **about))
found.append(lrtool.tune(model, loader, steps=40, budget=0.3, **{**about, "duration": 5000}))
weight = next(model.parameters()).sum().item()
found[0].apply(optimizer)
print(json.dumps({"lrs": [each.suggested_lr for each in found], "weight": weight, "lr": optimizer.param_groups[0]["lr"],
                  "folders": [str(each.folder) for each in found]}))
if several:
    torch.distributed.destroy_process_group()
"""


def said(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.deep
def test_all_processes_of_a_script_find_the_lr_of_one(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    first, other = (said(done) for done in launched(tmp_path, 2, "script.py", limit=200))
    assert first == other
    # Of each search one folder, and `latest`.
    (name,) = (tmp_path / "out").iterdir()
    assert len([path for path in name.iterdir() if path.name != "latest"]) == 2
    alone = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=200
    )
    one = said(alone)
    assert first["weight"] == one["weight"], "the model was not left as it was"
    assert first["lr"] == first["lrs"][0]
    assert first["lrs"][:2] == pytest.approx(one["lrs"][:2], rel=0.05)
    assert (first["lrs"][2] is None) == (one["lrs"][2] is None)
