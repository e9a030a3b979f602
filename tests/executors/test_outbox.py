"""Messages through files: whole or not at all, in order, also after the job was requeued."""

from lrtool.executors.outbox import Outbox
from lrtool.executors.parcel import Parcel, Serve


def test_messages_come_in_order_and_once(tmp_path):
    writer, reader = Outbox(tmp_path), Outbox(tmp_path)
    writer.put(1)
    assert list(reader.new()) == [1]
    writer.put(2)
    writer.put({"three": 3})
    assert list(reader.new()) == [2, {"three": 3}] and list(reader.new()) == []


def test_a_requeued_job_goes_on_where_it_was(tmp_path):
    Outbox(tmp_path).put("before")
    (tmp_path / "2.half").write_bytes(b"killed while it was written")
    Outbox(tmp_path).put("after")
    assert Outbox(tmp_path).all() == ["before", "after"]


def test_what_is_left_of_a_parcel():
    parcel = Parcel((3, 5, 7))
    parcel.done.add(0)
    parcel.results[1] = ["a"]
    assert parcel.left(lambda job, results: job) == ([5, 7], True)
    assert Parcel((3, 5)).left(lambda job, results: job) == ([3, 5], False)
    half = Parcel((3, 5))
    half.results[0] = ["a"]
    assert half.left(lambda job, results: -job if results else job) == ([-3, 5], True)


def rest(job, results):
    left = [number for number in job if number not in results]
    return left or None


def work(job, report):
    for number in job:
        report(number)


def test_a_node_does_what_is_left_and_stops_where_nobody_waits(tmp_path, monkeypatch):
    import multiprocessing

    from lrtool.executors import versions

    (tmp_path / "alive").touch()
    serve = Serve(versions.here(), (), work, rest, tmp_path / "alive")
    box = tmp_path / "1"
    box.mkdir()
    try:
        Outbox(box).put(("results", 0, [1]))
        Outbox(box).put(("done", 1, None))
        serve([[1, 2], [3], [4]], box)
        said = Outbox(box).all()
        assert [content for kind, _, contents in said if kind == "results" for content in contents] == [1, 2, 4]
        assert [number for kind, number, _ in said if kind == "done"] == [1, 0, 2]
        (tmp_path / "alive").unlink()
        (tmp_path / "2").mkdir()
        serve([[1]], tmp_path / "2")
        assert [kind for kind, _, _ in Outbox(tmp_path / "2").all()] == ["began"]
    finally:
        multiprocessing.current_process().daemon = False


def test_a_job_that_says_nothing_ends_where_its_driver_has_gone(tmp_path, monkeypatch):
    import multiprocessing
    import threading

    from lrtool.executors import parcel, versions

    go_on = threading.Event()
    monkeypatch.setattr(parcel, "_LOOK", 0.05)
    monkeypatch.setattr(parcel, "GONE_AFTER", 0.3)
    (tmp_path / "alive").touch()
    (tmp_path / "1").mkdir()
    serve = Serve(versions.here(), (), lambda job, report: report(go_on.wait(60)), rest, tmp_path / "alive")
    try:
        serve([[1], [2]], tmp_path / "1")
        assert [kind for kind, _, _ in Outbox(tmp_path / "1").all()] == ["began"]
    finally:
        go_on.set()
        multiprocessing.current_process().daemon = False
