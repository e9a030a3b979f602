"""Append-only files of records: what the end of a process, or of the power, has torn is seen and left out.

A record is its length (8 bytes, little-endian), a digest and its content. The digest is the SHA-256 of the digest
before it and of the content, so it says that everything up to here is as it was written, in this order.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from lrtool.errors import OutputError
from lrtool.runs.atomic import check_there, output_error, write_all
from lrtool.runs.links import opened

_LENGTH, _DIGEST = 8, 32


class RecordEnd(NamedTuple):
    """The end of a record: so many bytes from the file's beginning, and the digest of all up to there, in hex."""

    bytes: int
    sha256: str


#: Where the first record begins.
START = RecordEnd(0, "0" * 2 * _DIGEST)


class Journal:
    """Appends records, each on the disk before `append` returns; used as a context manager, it closes the file."""

    def __init__(self, path: Path, after: RecordEnd = START) -> None:
        """Open a journal, or make it; what follows `after` is cut off.

        Raises OutputError where the file cannot be written or lacks what is before `after`.
        """
        self.path, self.mark = path, after
        try:
            self._handle: int | None = opened(path, os.O_RDWR | os.O_CREAT)
            if os.fstat(self._handle).st_size < after.bytes:
                raise OutputError(
                    f"this file was cut short or removed: it had {after.bytes:,} bytes",
                    where=str(path),
                    remedy="resume the run: it goes on from what is still there",
                )
            os.ftruncate(self._handle, after.bytes)
        except OSError as error:
            raise output_error(path, error) from None

    def append(self, content: bytes) -> RecordEnd:
        """Write a record; gives its end. Raises OutputError, the records before it still there."""
        assert self._handle is not None
        digest = _following(self.mark, content)
        data = b"".join([len(content).to_bytes(_LENGTH, "little"), digest, content])
        try:
            check_there(self.path, self._handle)
            os.lseek(self._handle, self.mark.bytes, os.SEEK_SET)
            write_all(self._handle, data)
            os.fsync(self._handle)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self.mark.bytes)
            raise output_error(self.path, error) from None
        self.mark = RecordEnd(self.mark.bytes + len(data), digest.hex())
        return self.mark

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(path: Path, until: RecordEnd | None = None) -> tuple[list[bytes], RecordEnd]:
    """The records of a journal and where they end: all that are whole, or those up to `until`.

    Raises ValueError where what is before `until` is not as it was written, OSError where it cannot be read.
    """
    data = path.read_bytes()
    mark, records = START, list[bytes]()
    end = len(data) if until is None else until.bytes
    while mark.bytes + _LENGTH + _DIGEST <= min(end, len(data)):
        head = mark.bytes + _LENGTH
        length = int.from_bytes(data[mark.bytes : head], "little")
        content = data[head + _DIGEST : head + _DIGEST + length]
        digest = data[head : head + _DIGEST]
        if len(content) != length or _following(mark, content) != digest:
            break
        mark = RecordEnd(head + _DIGEST + length, digest.hex())
        records.append(content)
    if until is not None and mark != until:
        raise ValueError(f"its first {until.bytes:,} bytes are not those that were written")
    return records, mark


def _following(mark: RecordEnd, content: bytes) -> bytes:
    return hashlib.sha256(bytes.fromhex(mark.sha256) + content).digest()
