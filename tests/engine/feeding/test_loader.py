import torch

from lrtool.engine.feeding import loader
from lrtool.engine.feeding.loader import LoaderFeed
from lrtool.tasks.loading.stateful import LoaderSource
from tests.engine.feeding.parts import Own, values


def feed(seed=5):
    return LoaderFeed(LoaderSource.of(Own(), 12, "target"), seed)


def test_a_loader_without_a_length_has_an_epoch_of_about_so_many_samples():
    source = LoaderSource.of(Own(), 100, "target")
    assert (source.batch_size, source.per_pass, len(source)) == (4, 25, 100)
    assert len(source.take(torch.arange(2)).target) == 2


def test_it_goes_on_from_its_state_as_if_it_had_never_stopped():
    whole = feed()
    expected = [values(whole(m)[0]) for m in range(8)]
    for stop in range(8):
        first = feed()
        got = [values(first(m)[0]) for m in range(stop)]
        again = feed()
        again.restore(first.state(), stop)
        assert got + [values(again(m)[0]) for m in range(stop, 8)] == expected


def test_each_trial_begins_at_the_first_batch():
    source = LoaderSource.of(Own(), 12, "target")
    one = LoaderFeed(source, 5)
    first = values(one(0)[0])
    one(1)
    assert values(LoaderFeed(source, 5)(0)[0]) == first
    assert values(LoaderFeed(source, 6)(0)[0]) != first


def test_batches_of_a_chunk_can_be_had_again_as_long_as_they_are_few(monkeypatch):
    own = feed()
    own.begin(0)
    first = values(own(0)[0])
    own.passed(1)
    own(1)
    assert own.repeats(0) and values(own(0)[0]) == first
    monkeypatch.setattr(loader, "_MOST_BYTES", 0)
    own.passed(2)
    assert not own.repeats(0) and own.repeats(2)
