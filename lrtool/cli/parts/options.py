"""Options that there are none of, as a value of the config has a key: what to type instead."""

from __future__ import annotations

#: What people call an option, and the override that it is.
_OVERRIDES = {
    "lr": "optimizer.lr=0.1",
    "learning_rate": "optimizer.lr=0.1",
    "max_lr": "optimizer.lr=0.1",
    "momentum": "optimizer.momentum=0.9",
    "weight_decay": "optimizer.weight_decay=0.01",
    "epochs": "train.duration=10ep",
    "max_epochs": "train.duration=10ep",
    "steps": "train.duration=1000",
    "max_steps": "train.duration=1000",
    "duration": "train.duration=10ep",
    "clip_norm": "train.clip_norm=1.0",
    "eval_every": "train.eval_every=1ep",
    "batch_size": "data.batch_size=64",
    "val_fraction": "data.val_fraction=0.2",
    "target": "data.target=NAME",
    "data": "data=digits",
    "model": "model=mlp",
    "loss": "loss=mse",
    "schedule": "schedule=cosine",
    "scheduler": "schedule=cosine",
    "warmup": "schedule.warmup=5%",
    "warmup_steps": "schedule.warmup=500",
    "device": "device=cpu",
    "name": "name=NAME",
    "start": "range_test.start=1e-6",
    "start_lr": "range_test.start=1e-6",
    "min_lr": "schedule.final=1e-5",
    "end": "range_test.end=10",
    "end_lr": "range_test.end=10",
}


def as_override(error: Exception) -> str:
    """What to type in place of an option that a command does not have; empty where it is no key of a config."""
    name, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    takes = [option for each in getattr(getattr(context, "command", None), "params", ()) for option in each.opts]
    wanted = _OVERRIDES.get(str(name).lstrip("-").replace("-", "_").lower()) if "--set" in takes else None
    return f"It is a key of the config: write --set {wanted}\n" if wanted else ""
