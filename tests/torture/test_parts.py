"""How the parts of `make torture` are run and told."""

import os

import pytest

from tests.torture.__main__ import carried_out, everything, main, table
from tests.torture.support.parts import Part, Shown, scaled, script


def fails(folder):
    (folder / "begun").touch()
    raise AssertionError("2 runs differ")


def test_every_part_has_a_name_of_its_own_and_a_promise():
    parts = everything(0.01)
    assert len({part.name for part in parts}) == len(parts) > 30
    assert all(part.promise and part.minutes > 0 for part in parts)
    assert [part.minutes for part in parts] == sorted((part.minutes for part in parts), reverse=True)


def test_what_breaks_a_promise_is_told_and_the_rest_goes_on(capsys):
    parts = [
        Part("b", "it holds", lambda folder: Shown("3 times", f"{len([*folder.iterdir()])} differ")),
        Part("a", "it breaks", fails),
        Part("c", "it dies", lambda _: os._exit(3)),
    ]
    done = {part.name: result for part, result in carried_out(parts, 2)}
    assert done["b"].shown == Shown("3 times", "0 differ") and "2 runs differ" in done["a"].failure
    assert done["c"].failure == "its process died"
    told = table([(part, done[part.name]) for part in parts]).splitlines()
    assert told[2].startswith("| it breaks | a | FAILED |")
    assert told[3].startswith("| it holds | b | 0 differ | 3 times |")
    assert "a: FAILED" in capsys.readouterr().out


def test_a_script_shows_the_last_lines_that_have_figures(tmp_path):
    show = script("x", "y", "1 script", 1.0, "-c", "print('begun'); print('3 of 3'); print('done'); print('1 s')").show
    assert show(tmp_path) == Shown("1 script", "1 s")
    with pytest.raises(AssertionError, match="no such thing"):
        script("x", "y", "1 script", 1.0, "-c", "raise SystemExit('no such thing')").show(tmp_path)


def test_sizes_shrink_to_one_at_least():
    assert [scaled(200, scale) for scale in (1, 0.1, 1e-6)] == [200, 20, 1]


def test_a_part_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "no part's name begins with 'nothing'" in capsys.readouterr().err
    assert main(["kills: tune", "--list"]) == 0 and capsys.readouterr().out == "kills: tune\n"
