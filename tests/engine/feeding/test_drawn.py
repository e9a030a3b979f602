import torch

from lrtool.engine.feeding.drawn import DrawnFeed
from tests.engine.feeding.parts import drawn_task, values, whole

CPU = torch.device("cpu")


def test_a_batch_is_a_function_of_its_number():
    one, other = (DrawnFeed(drawn_task(), 5, CPU, whole) for _ in range(2))
    torch.manual_seed(1)
    forward = [values(one(m)[0]) for m in range(7)]
    torch.manual_seed(2)
    assert [values(other(m)[0]) for m in reversed(range(7))] == forward[::-1]


def test_the_stream_of_the_training_is_left_alone():
    feed = DrawnFeed(drawn_task(), 5, CPU, whole)
    before = torch.get_rng_state()
    feed(0)
    assert torch.equal(torch.get_rng_state(), before)


def test_another_epoch_and_another_seed_draw_anew():
    feed, other = (DrawnFeed(drawn_task(), seed, CPU, whole) for seed in (5, 6))
    of_epochs = [sorted(row for m in range(3) for row in values(feed(3 * epoch + m)[0])[0]) for epoch in (0, 1)]
    assert of_epochs[0] != of_epochs[1]
    assert values(feed(0)[0]) != values(other(0)[0])


def test_a_process_takes_its_part():
    feed = DrawnFeed(drawn_task(), 5, CPU, lambda index: (index[:1], 0.25))
    batch, factor = feed(0)
    assert len(batch.target) == 1 and factor == 0.25
