"""What no single field shows: schedules that cannot fit their run, placeholders, overrides that fail together."""

import pytest


def scheduled(good, schedule):
    return good.replace("{kind: cosine, warmup: 5%}", schedule)


@pytest.mark.parametrize(
    ("schedule", "place", "key", "words"),
    [
        ("{kind: cosine, warmup: 30ep}", "5:26", "schedule.warmup", "run of '20ep', but got '30ep'"),
        ("{kind: cosine, warmup: 150%}", "5:26", "schedule.warmup", "write at most '100%'"),
        ("{kind: cosine, final: 3}", "5:26", "schedule.final", "above the peak of 0.1, but got 3"),
        ("{kind: multistep, milestones: [5ep, 25ep]}", "5:47", "schedule.milestones.1", "but got '25ep'"),
        ("[{kind: linear, duration: 50%}, {kind: cosine, final: 2}]", "5:58", "schedule.1.final", "above the peak"),
        ("{kind: scaled, by: 0.5, schedule: {kind: step, every: 21ep}}", "5:58", "schedule.schedule.every", "'21ep'"),
    ],
)
def test_what_cannot_fit_a_run_of_epochs_is_found_without_data(schedule, place, key, words, good, write, problems):
    (found,) = problems(write(scheduled(good, schedule)))
    assert found.startswith(f"c.yaml:{place}  {key}  ")
    assert words in found


@pytest.mark.parametrize(
    "schedule",
    [
        "{kind: cosine, warmup: 20ep}",
        "{kind: cosine, warmup: 100%, final: 0.1}",
        "{kind: cosine, warmup: 5000}",
        "{kind: inverse_sqrt, timescale: 500%}",
        "{kind: hyperbolic, upper_bound: 300%}",
    ],
)
def test_what_fits_or_depends_on_the_data_is_left_to_the_run(schedule, good, write):
    from lrtool.config.load import load_config

    load_config(write(scheduled(good, schedule)))


def test_epochs_in_a_run_of_updates_hide_no_other_mistake(good, write, problems):
    text = scheduled(good, "{kind: cosine, warmup: 5ep, final: 200%}") + "train: {duration: 100}\n"
    (found,) = problems(write(text))
    assert "schedule.final" in found and "'200%'" in found


def test_a_plateau_that_starts_above_the_peak(good, write, problems):
    (found,) = problems(write(good + "plateau: {metric: val_loss, min_lr: 0.5}\n"))
    assert found.startswith("c.yaml:6:29  plateau.min_lr  must not be above the peak of 0.1, but got 0.5")


def test_what_init_left_to_fill_in_is_asked_for(good, write, problems):
    text = good.replace("{kind: digits, batch_size: 32}", "{kind: csv, path: …, target: …}")
    found = problems(write(text))
    assert [line.split("  ")[1] for line in found] == ["data.path", "data.target"]
    assert all("still to be filled in" in line for line in found)


def test_overrides_that_fail_are_all_told_with_what_else_is_wrong(good, write, problems):
    path = write(good.replace("name: small", "nam: small"))
    found = problems(path, "optimizer.lr=[1", "model.hidden.7=1", "metrics.0=mae", "device=gpu", "seed=3")
    assert [line.split("  ")[0] for line in found] == [
        "--set device=gpu", "c.yaml:1:1", "--set optimizer.lr=[1", "--set model.hidden.7=1", "--set metrics.0=mae",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "remedy"),
    [
        ("train: {best: val_acuracy}", "did you mean 'val_accuracy'?"),
        ("train: {best: accuracy}", "did you mean 'val_accuracy'?"),
        ("train: {best: score}", "choose one of: val_loss, train_loss, val_accuracy, val_mae"),
        ("metrics: [{use: 'm.py:within'}]\ntrain: {best: val_withn}", "did you mean 'val_within'?"),
    ],
)
def test_what_judges_the_best_weights_is_a_value_of_an_evaluation(lines, remedy, good, write, problems):
    (found,) = problems(write(f"{good}{lines}\n"))
    name = lines.rpartition(" ")[2].rstrip("}")
    assert "  train.best  " in found and f"an evaluation gives no {name!r}" in found and remedy in found


@pytest.mark.parametrize("name", ["val_loss", "train_loss", "val_accuracy"])
def test_values_that_an_evaluation_may_give_are_taken(name, good, write):
    from lrtool.config.load import load_config

    assert load_config(write(f"{good}train: {{best: {name}}}\n")).train.best == name


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("valey", "there is no suggestion method 'valey'  did you mean 'valley'?"),
        ("{kind: minimum, divid: 3}", "there is no such key  did you mean 'divide'?"),
        ("{kind: minimum, divide: 0}", "must be greater than 0, but got 0"),
    ],
)
def test_a_suggestion_method_is_a_kind_like_others(written, words, good, write, problems):
    (found,) = problems(write(f"{good}range_test: {{suggest: {written}}}\n"))
    assert "range_test.suggest" in found and words in found
