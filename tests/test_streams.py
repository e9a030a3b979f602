"""Standard output: kept for one document, and never broken by a character."""

import io
import subprocess
import sys
import textwrap

import pytest

from lrtool import streams

#: Ways to write to standard output that are not ours.
OTHERS = {
    "print": "print('x')",
    "the buffer": "import sys; sys.stdout.buffer.write(b'x'); sys.stdout.flush()",
    "the descriptor": "import os; os.write(1, b'x')",
    "another program": "import subprocess; subprocess.run(['echo', 'x'])",
    "the stream of before": "import sys; sys.__stdout__.write('x')",
    "while the process ends": "import atexit; atexit.register(print, 'x')",
    "a thread that goes on": "import threading; threading.Timer(0.05, print, ['x']).start()",
    "a process of ours": "import multiprocessing as m; p = m.get_context('fork').Process(target=print, args=('x',));"
    " p.start(); p.join()",
    "what is written before": "import sys; sys.stdout.write('x'); sys.stdout = sys.__stdout__",
    "C": "import ctypes; ctypes.CDLL(None).puts(b'x')",
}


@pytest.mark.skipif(sys.platform == "win32", reason="forks, and finds C's library")
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_only_the_document_reaches_stdout(other: str) -> None:
    code = textwrap.dedent("""
        from lrtool import streams
        streams.reserve_stdout()
        {other}
        streams.write_document("{{}}\\n")
        streams.release_stdout()
        streams.keep_reserved_to_the_end()
    """).format(other=other)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{}\n" and "x" in done.stderr


def test_without_a_document_stdout_is_everybodys() -> None:
    code = "from lrtool import streams; streams.keep_reserved_to_the_end(); print('x')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "x\n"


def test_where_stderr_is_closed_others_are_still_kept_out() -> None:
    code = (
        "import os; from lrtool import streams; os.close(2); streams.reserve_stdout(); os.write(1, b'x');"
        " streams.write_document('{}'); streams.release_stdout()"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True).stdout == "{}"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8", "cp437"])
def test_every_character_can_be_written(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    streams.make_forgiving()
    sys.stdout.write("1 … 2 — √β ≤ ▁▄█ ⣀⣿ 名 é 😀 \udc80\n")
    sys.stdout.flush()
    text = raw.getvalue().decode(encoding)
    assert text.startswith("1 ") and text.endswith("\n")
    if encoding == "ascii":
        assert text == "1 ... 2 - sqrtbeta <= _.= .: ? e ? ?\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell that closes streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_no_bug(tmp_path, closed):
    written = tmp_path / "s.csv"
    command = f"{sys.executable} -m lrtool schedule show cosine --csv {written} {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    # Nothing but its content: a file that gets a closed stream's number would take what is printed.
    assert written.read_text().startswith("step,") and "cosine" not in written.read_text()
