"""The process's standard streams: what they cannot encode is spelled out, and stdout can be kept for one document."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import suppress
from typing import IO

#: Signs of our texts and plots, as ASCII spells them.
_SPELLED = {
    "…": "...", "—": "-", "–": "-", "−": "-", "→": "->", "←": "<-", "×": "x", "≤": "<=", "≥": ">=", "≈": "~",
    "±": "+/-", "√": "sqrt", "∞": "inf", "·": "*", "²": "^2", "³": "^3", "‘": "'", "’": "'", "“": '"', "”": '"',
    "α": "alpha", "β": "beta", "γ": "gamma", "η": "eta", "λ": "lambda", "π": "pi", "σ": "sigma", "χ": "chi",
    "│": "|", "┤": "+", "└": "+", "─": "-", "━": "-", "╸": "-", "╺": "-",
    "●": "o", "○": "O", "▲": "^", "▽": "v", "◆": "*",
    **dict(zip("▁▂▃▄▅▆▇█", "__..--==", strict=True)),
}  # fmt: skip
#: The error handler of our streams, by its name.
HANDLER = "lrtool.spelled"


def spelled(text: str) -> str:
    """The text in ASCII: signs are spelled out, letters lose their accents, anything else is a question mark.

    >>> spelled("LR 1 … 2 ≤ naïve"), spelled("名")
    ('LR 1 ... 2 <= naive', '?')
    """
    return "".join(char if char.isascii() else _SPELLED.get(char) or _other(char) for char in text)


def _other(char: str) -> str:
    if "\u2800" <= char <= "\u28ff":  # the dots of a plot
        return ":" if (ord(char) & 0xFF).bit_count() > 2 else "."
    import unicodedata

    return "".join(each for each in unicodedata.normalize("NFKD", char) if each.isascii()) or "?"


def _handled(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return spelled(error.object[error.start : error.end]), error.end


codecs.register_error(HANDLER, _handled)


def open_closed() -> None:
    """Standard streams that whoever started the process closed (`>&-`) lead nowhere.

    Else the next file that is opened would get their number, and take what a library prints.
    """
    handle = os.open(os.devnull, os.O_RDWR)
    while handle <= 2:
        handle = os.open(os.devnull, os.O_RDWR)
    os.close(handle)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def make_forgiving() -> None:
    """Nothing printed can fail for its characters, whatever the terminal or pipe takes (cp1252, ASCII)."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors=HANDLER)  # type: ignore[union-attr]


def takes(stream: IO[str], text: str) -> bool:
    """Whether a stream can show every character of a text."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class _Reserved:
    """Standard output, kept: what is written there by anybody else comes out on stderr.

    File descriptor 1 is what counts, so that other languages, other processes and what is started with `subprocess`
    are kept out too.
    """

    def __init__(self) -> None:
        self.text, self._kept = sys.stdout, None
        with suppress(OSError, ValueError, AttributeError):
            self.text.flush()
        with suppress(OSError):
            sink = _stderr()
            self._kept = os.dup(1)
            os.dup2(sink, 1)
        sys.stdout = sys.stderr

    def write(self, text: str) -> None:
        """Write to the real standard output."""
        if self._kept is None or _descriptor(self.text) != 1:
            self.text.write(text)
            return
        rest = memoryview(text.encode(self.text.encoding, HANDLER))
        while rest:
            rest = rest[os.write(self._kept, rest) :]

    def close(self) -> None:
        """Give it back; what others left in its buffers goes to stderr first."""
        for stream in (self.text, sys.__stdout__):
            with suppress(OSError, ValueError, AttributeError):
                if _descriptor(stream) == 1:
                    stream.flush()  # type: ignore[union-attr]
        if self._kept is not None:
            with suppress(OSError):
                os.dup2(self._kept, 1)
                os.close(self._kept)
        sys.stdout = self.text


class _Stdout:
    """Whether standard output is kept now, or was."""

    def __init__(self) -> None:
        self.reserved: _Reserved | None = None
        self.was_reserved = False


_STDOUT = _Stdout()


def reserve_stdout() -> None:
    """From now on only `write_document` reaches standard output; all else that is printed comes out on stderr."""
    if _STDOUT.reserved is None:
        _STDOUT.reserved, _STDOUT.was_reserved = _Reserved(), True


def release_stdout() -> None:
    """Standard output is everybody's again."""
    reserved, _STDOUT.reserved = _STDOUT.reserved, None
    if reserved is not None:
        reserved.close()


def write_document(text: str) -> None:
    """Write to standard output, also while it is kept."""
    if _STDOUT.reserved is not None:
        _STDOUT.reserved.write(text)
    else:
        sys.stdout.write(text)


def document_can_be(text: str) -> bool:
    """Whether standard output, the kept one if it is, takes every character of a text."""
    return takes(_STDOUT.reserved.text if _STDOUT.reserved is not None else sys.stdout, text)


def keep_reserved_to_the_end() -> None:
    """What is printed while the process ends (`atexit`, other languages' buffers) adds nothing to a document."""
    if _STDOUT.was_reserved:
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        with suppress(OSError):
            os.dup2(_stderr(), 1)


def _stderr() -> int:
    """The descriptor of stderr; where it is closed, of nowhere."""
    try:
        os.fstat(2)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
    return 2


def _descriptor(stream: object) -> int | None:
    try:
        return int(stream.fileno())  # type: ignore[attr-defined]
    except (OSError, ValueError, AttributeError):
        return None
