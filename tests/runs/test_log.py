import logging

from lrtool.runs.log import logged

LOG = logging.getLogger("lrtool")
FORGED = "2026-01-01 00:00:00,000 INFO all is well"


def test_a_message_is_one_line_whatever_names_are_in_it(tmp_path):
    with logged(tmp_path / "log.txt"):
        LOG.info("trial %d (%s) failed", 3, f"a\n{FORGED}\r\x1b[31m\u2028\x9b2J β")
    (line,) = (tmp_path / "log.txt").read_text().splitlines()
    assert line.endswith(r"INFO trial 3 (a\n" + FORGED + r"\r\x1b[31m\u2028\x9b2J β) failed")


def test_a_traceback_stands_indented_below_its_message(tmp_path):
    with logged(tmp_path / "log.txt"):
        try:
            raise ValueError(f"no\n{FORGED}\x1b[2J")
        except ValueError:
            LOG.exception("a bug")
    first, *rest = (tmp_path / "log.txt").read_text().splitlines()
    assert first.endswith("ERROR a bug") and len(rest) > 3 and all(line.startswith("    ") for line in rest)
    assert "\x1b" not in "".join(rest)


def test_text_that_is_no_unicode_can_be_logged(tmp_path, monkeypatch):
    # Kept from pytest, whose workers cannot send such text.
    monkeypatch.setattr(LOG, "propagate", False)
    with logged(tmp_path / "log.txt"):
        LOG.info("%s", "a\udcff")
    assert r"a\udcff" in (tmp_path / "log.txt").read_text()
