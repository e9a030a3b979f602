"""Each kind of mistake: where it is, what is wrong, what was got, what to write instead."""

import pytest

MISTAKES = {
    "model: mpl": ("2:1", "model", "there is no model 'mpl'", "did you mean 'mlp'?"),
    "model: 3": ("2:1", "model", "expected a name or a mapping with a kind, but got 3", "choose one of: cnn"),
    "model:": ("2:1", "model", "but got nothing (null)", "choose one of: cnn"),
    "model: {}": ("2:1", "model", "it has no kind", "write kind: and one of: cnn"),
    "model: {kind: [a]}": ("2:9", "model.kind", "but got ['a']", "choose one of: cnn"),
    "model: {kind: mlp, hidden: 8}": ("2:20", "model.hidden", "expected a list, but got 8", "write it as [8]"),
    "model: {kind: mlp, hidden: [8.5]}": ("2:29", "model.hidden.0", "expected an integer, but got 8.5", "write for"),
    "model: {kind: mlp, hidden: [4, 0]}": ("2:32", "model.hidden.1", "must be at least 1, but got 0", ""),
    "model: {kind: mlp, activation: rleu}": ("2:20", "model.activation", "got 'rleu'", "did you mean 'relu'?"),
    "model: {kind: mlp, dropout: 2}": ("2:20", "model.dropout", "must be less than 1, but got 2", "0.0 (the default)"),
    "model: {use: 3}": ("2:9", "model.use", "expected text, but got the number 3", "put it in quotes: '3'"),
    "model: {use: foo}": ("2:9", "model.use", "'foo' is not a target", "'file.py:Name'"),
    "model: {use: 'm.py:', args: {}}": ("2:9", "model.use", "is not a target", "'m.py:Name'"),
    "model: {use: 'm.py:N', arg: {}}": ("2:24", "model.arg", "there is no such key", "did you mean 'args'?"),
    "model: {use: 'm.py:N', args: [1]}": ("2:24", "model.args", "expected a mapping, but got [1]", "{key: value}"),
    "model: {use: 'm.py:N', kind: mlp}": ("2:9", "model.use", "there is no such key", "kind: or use:, not both"),
    "model: {type: mlp}": ("2:9", "model.type", "there is no such key", "did you mean 'kind'?"),
    "model: {_target_: 'm.N'}": ("2:9", "model._target_", "there is no such key", "did you mean 'use'?"),
    "schedule: {name: cosine}": ("5:12", "schedule.name", "there is no such key", "did you mean 'kind'?"),
    "model: {kind: use}": ("2:1", "model.use", "this key is missing", "'file.py:Name'"),
    "data: {kind: csv, path: t.csv}": ("3:1", "data.target", "this key is missing", "The column to predict"),
    "data: {kind: digits, batch_size: no}": ("3:22", "data.batch_size", "expected an integer, but got 'no'", "64"),
    "data: {kind: digits, batch_sise: 3}": ("3:22", "data.batch_sise", "no such key", "did you mean 'batch_size'?"),
    "optimizer: sgd": ("4:1", "optimizer.lr", "this key is missing", "Peak learning rate"),
    "optimizer: {kind: sgd, lr: true}": ("4:24", "optimizer.lr", "expected a number, but got true or false", "1"),
    "optimizer: {kind: sgd, lr: .inf}": ("4:24", "optimizer.lr", "expected a finite number, but got inf", "0.1"),
    "optimizer: {kind: sgd, lr: 1, nesterov: 3}": ("4:31", "optimizer.nesterov", "expected true or false", "got 3"),
    "optimizer: {kind: sgd, lr: 1, groups: [{match: x, lr_scal: 1}]}": (
        "4:51", "optimizer.groups.0.lr_scal", "there is no such key", "did you mean 'lr_scale'?",
    ),
    "optimizer: {kind: sgd, lr: 1, groups: [x]}": ("4:40", "optimizer.groups.0", "expected a mapping, but got 'x'", ""),
    "schedule: [{kind: cosine, duration: 3}, linaer]": ("5:41", "schedule.1", "no schedule 'linaer'", "'linear'"),
    "schedule: [{kind: cosine, duraton: 3}, linear]": ("5:27", "schedule.0.duraton", "no such key", "'duration'"),
    "schedule: {kind: sequence, segments: [{kind: cosine, fianl: 3}]}": (
        "5:54", "schedule.segments.0.fianl", "there is no such key", "did you mean 'final'?",
    ),
    "schedule: {kind: sequence, segments: []}": ("5:28", "schedule.segments", "needs at least 1 item, but got 0", ""),
    "schedule: {kind: repeated, schedule: {kind: cosine, wramup: 1}}": (
        "5:53", "schedule.schedule.wramup", "there is no such key", "did you mean 'warmup'?",
    ),
    "schedule: {kind: cosine, final: -1}": ("5:26", "schedule.final", "a level is a number of at least 0", "got -1"),
    "schedules: {momentum: {kind: linear, finl: 0}}": ("6:38", "schedules.momentum.finl", "no such key", "'final'"),
    "metrics: accuracy": ("6:1", "metrics", "expected a list, but got 'accuracy'", "write it as [accuracy]"),
    "metrics: [acuracy]": ("6:11", "metrics.0", "there is no metric 'acuracy'", "did you mean 'accuracy'?"),
    "loss: {kind: huber, delta: 0}": ("6:21", "loss.delta", "must be greater than 0, but got 0", "1.0 (the default)"),
    "plateau: {factr: 0.1}": ("6:11", "plateau.factr", "there is no such key", "did you mean 'factor'?"),
    "train: 5": ("6:1", "train", "expected a mapping, but got 5", "write it as {key: value}"),
    "train: {clip_norm: 0}": ("6:9", "train.clip_norm", "must be greater than 0, but got 0", "or leave the key out"),
    "device: gpu": ("6:1", "device", "there is no device 'gpu'", "write auto, cpu, cuda, cuda:N or mps"),
    "seed: 1.5": ("6:1", "seed", "expected an integer, but got 1.5", "write for example 0"),
    "seed: true": ("6:1", "seed", "expected a number, but got true or false", ""),
    "Seed: 1": ("6:1", "Seed", "there is no such key", "did you mean 'seed'?"),
    "scheduler: cosine": ("6:1", "scheduler", "there is no such key", "did you mean 'schedule'?"),
    "batch_size: 3": ("6:1", "batch_size", "there is no such key", "write it below data:"),
    "epochs: 3": ("6:1", "epochs", "there is no such key", "did you mean train.duration?"),
    "optimizer: {kind: SGD, lr: 1}": ("4:13", "optimizer.kind", "there is no optimizer 'SGD'", "did you mean 'sgd'?"),
    "optimizer: {kind: sgd, lr: 1, learning_rate: 1}": (
        "4:31", "optimizer.learning_rate", "there is no such key", "did you mean 'lr'?",
    ),
    "schedule: One-Cycle": ("5:1", "schedule", "there is no schedule 'One-Cycle'", "did you mean 'one_cycle'?"),
    "name: ''": ("1:1", "name", "this may not be empty", "write for example 'run'"),
}  # fmt: skip


def changed(good, line):
    """The config with the section that a line gives, in the place of its own or at the end."""
    key = line.partition(":")[0]
    lines = good.splitlines()
    at = next((number for number, each in enumerate(lines) if each.partition(":")[0] == key), len(lines))
    return "\n".join([*lines[:at], line, *lines[at + 1 :]]) + "\n"


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_told_in_plain_words_at_its_place(line, good, write, problems):
    place, key, what, remedy = MISTAKES[line]
    (found,) = problems(write(changed(good, line)))
    assert found.startswith(f"c.yaml:{place}  {key}  ")
    assert what in found
    assert remedy in found


def test_a_list_whose_items_are_wrong_is_not_called_empty_too(good, write, problems):
    text = changed(good, "schedule: {kind: sequence, segments: [{kind: cosine, fianl: 3}, linaer]}")
    assert len(problems(write(text))) == 2


def test_the_place_of_a_missing_section_is_the_configs_first_line(write, problems):
    found = problems(write("# a comment\nname: x\n"))
    assert [line.split("  ")[:2] for line in found] == [
        ["c.yaml:2:1", "data"],
        ["c.yaml:2:1", "model"],
        ["c.yaml:2:1", "optimizer"],
    ]
    assert "What is trained" in found[1]


def test_each_hyperparameter_that_cannot_be_scheduled_has_its_own_place(good, write, problems):
    found = problems(write(good + "schedules: {momentun: linear, beta9: linear, weight_decay: linear}\n"))
    assert [line.split("  ")[:2] for line in found] == [
        ["c.yaml:6:13", "schedules.momentun"],
        ["c.yaml:6:31", "schedules.beta9"],
        ["c.yaml:6:46", "schedules.weight_decay"],
    ]
    assert "did you mean 'momentum'?" in found[0]
    assert "it has: momentum, weight_decay" in found[1]
    assert "which is 0" in found[2] and "write optimizer.weight_decay above 0" in found[2]


@pytest.mark.parametrize(
    "line", ["train: {duration: 1%s}", "train: {eval_every: 1%s}", "schedule: {kind: cosine, final: 1%s}"]
)
def test_a_number_too_long_for_a_float_is_a_mistake_like_any_other(line, good, write, problems):
    (found,) = problems(write(changed(good, line % ("0" * 400))))
    assert "a duration is" in found or "a level is" in found
