"""Plots of run folders: drawn at once, or once they are wanted."""

from matplotlib.figure import Figure

from lrtool.report.pictures import Pictures, drawn_later, picture, waiting
from lrtool.runs.folder import RunFolder


def drawing(drawn, name):
    def draw():
        drawn.append(name)
        return Figure()

    return draw


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_plot_is_drawn_at_once(tmp_path):
    drawn = []
    picture(RunFolder(tmp_path), "curves", drawing(drawn, "a"))
    assert drawn == ["a"] and names(tmp_path) == ["curves.png", "curves.svg"] and waiting() is None


def test_a_plot_waits_and_takes_the_place_of_the_one_before(tmp_path):
    drawn, (one, within, other) = [], (tmp_path / "one", tmp_path / "one" / "tune", tmp_path / "one-2")
    within.mkdir(parents=True), other.mkdir()
    with drawn_later() as pictures:
        assert waiting() is pictures
        for folder, name in ((one, "first"), (one, "second"), (other, "third"), (within, "fourth")):
            picture(RunFolder(folder), "curves", drawing(drawn, name))
    assert waiting() is None and not drawn and names(one) == ["tune"]
    for _ in range(2):
        pictures.write(one)
        assert drawn == ["second", "fourth"] and names(one) == ["curves.png", "curves.svg", "tune"]
        assert names(within) == ["curves.png", "curves.svg"] and not names(other)


def test_what_waits_in_one_place_waits_in_no_other(tmp_path):
    drawn = []
    with drawn_later() as outer:
        with drawn_later() as inner:
            picture(RunFolder(tmp_path), "curves", drawing(drawn, "a"))
        assert waiting() is outer
    outer.write(tmp_path)
    assert not drawn
    inner.write(tmp_path)
    assert drawn == ["a"] and isinstance(inner, Pictures)
