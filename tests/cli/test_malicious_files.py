"""Archives, arrays, tables and weights from strangers: refused in words, without filling memory or taking long."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lrtool.cli.app import run
from lrtool.errors import ExitCode

CONFIG = """\
name: x
model: {{kind: {model}}}
data: {data}
optimizer: {{kind: sgd, lr: 0.1}}
schedule: constant
train: {{duration: 2, eval_every: 0}}
"""
ARRAYS = "{kind: numpy, path: a.npz, target: y, batch_size: 4, val_fraction: 0.2}"
TABLE = "{kind: parquet, path: t.parquet, target: y, batch_size: 4, val_fraction: 0.2}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> None:
    monkeypatch.chdir(tmp_path)


def trained(data: str, *more: str, model: str = "mlp, hidden: [4]") -> int:
    Path("c.yaml").write_text(CONFIG.format(data=data, model=model))
    return run(["train", "c.yaml", "--output", "out", "--quiet", *more])


def npy(array: object) -> bytes:
    target = io.BytesIO()
    np.save(target, np.asarray(array))
    return target.getvalue()


def claiming(header: str, body: bytes = bytes(500)) -> bytes:
    """An array file that says of itself what it likes."""
    text = header.encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def archived(**parts: bytes) -> None:
    with zipfile.ZipFile("a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


X, Y = npy(np.linspace(0, 1, 60).reshape(20, 3)), npy(np.arange(20.0))
HEADER = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"


@pytest.mark.parametrize(
    "array",
    [
        claiming(HEADER.format("|u1", "(20, 999999999999999)")),
        claiming(HEADER.format("|u1", "(-5, 3)")),
        claiming(HEADER.format("|u1", "(20, 10**30)")),
        claiming(HEADER.format("|V0", "(20,)")),
        claiming(HEADER.format("|S0", "(20,)")),
        claiming(HEADER.format("<U0", "(20, 3)")),
        claiming(HEADER.format("<c16", "(20,)")),
        claiming(HEADER.format("<M8[s]", "(20,)")),
        claiming(HEADER.format("|O", "(20,)"), pickle.dumps(os.system)),
        claiming("{'descr': '<f8', 'fortran_order': False, 'shape': (20,3), "),
        claiming("(" * 3000),
        claiming("'''"),
        b"\x93NUMPY",
        b"",
        pickle.dumps({"x": 1}),
    ],
)
def test_arrays_that_are_none_are_the_files_fault(capsys: pytest.CaptureFixture[str], array: bytes) -> None:
    archived(**{"x.npy": array, "y.npy": Y})
    assert trained(ARRAYS) in (ExitCode.USAGE, ExitCode.TASK)
    assert "bug" not in capsys.readouterr().err


def test_names_in_an_archive_write_nothing_anywhere(tmp_path: Path) -> None:
    archived(**{"../../x.npy": X, "/etc/z.npy": X, "y.npy": Y})
    before = sorted(tmp_path.parent.rglob("*.npy"))
    trained(ARRAYS)
    assert sorted(tmp_path.parent.rglob("*.npy")) == before


def test_an_archive_that_inflates_without_end_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile("a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("y.npy", Y)
        with archive.open("x.npy", "w", force_zip64=True) as file:
            file.write(claiming(HEADER.format("|u1", f"(20, {2**30 // 20})"), b""))
            for _ in range(300):
                file.write(bytes(2**20))
    assert trained(ARRAYS) == ExitCode.TASK
    assert "inflate to" in capsys.readouterr().err


def test_damaged_archives_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    archived(**{"x.npy": X, "y.npy": Y})
    whole, draw = Path("a.npz").read_bytes(), random.Random(0)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(draw.choice([1, 3])):
            data[draw.randrange(len(data))] = draw.randrange(256)
        Path("a.npz").write_bytes(data[: draw.randrange(len(data))] if draw.random() < 0.2 else data)
        assert trained(ARRAYS) in (ExitCode.DONE, ExitCode.USAGE, ExitCode.TASK)
    assert "bug" not in capsys.readouterr().err


def test_tables_that_say_they_are_endless_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    # All rows of a group are one value, written once.
    table = pyarrow.table({name: pyarrow.array(np.zeros(10**6)) for name in "xy"})
    with parquet.ParquetWriter("t.parquet", table.schema) as writer:
        writer.write_table(table)
    parquet.write_table(table, "t.parquet")
    import lrtool.tasks.datasets.parquet as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "physical_memory", lambda: 10**7)
        assert trained(TABLE) == ExitCode.TASK
    assert "2,000,000 cells do not fit" in capsys.readouterr().err


def weights(header: object, body: bytes = bytes(68), length: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    Path("w.safetensors").write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)


def tensors(**changed: object) -> dict[str, object]:
    """What a file says of the weights of a linear model of 16 inputs, with the first tensor changed."""
    first = {"dtype": "F32", "shape": [1, 16], "data_offsets": [0, 64], **changed}
    return {"1.weight": first, "1.bias": {"dtype": "F32", "shape": [1], "data_offsets": [64, 68]}}


@pytest.mark.parametrize(
    ("header", "length"),
    [
        (tensors(), 2**63),
        (tensors(), 2**64 - 1),
        (tensors(), 10**8),
        (b"{" + b" " * (9 * 2**20) + b"}", None),
        (b'{"a":' * 100_000, None),
        (tensors(data_offsets=[0, 2**60]), None),
        (tensors(data_offsets=[4, 68]), None),
        (tensors(data_offsets=[64, 0]), None),
        (tensors(shape=[2**62, 8]), None),
        (tensors(shape=[-1, -16]), None),
        (tensors(shape=[128], dtype="F4"), None),
        (tensors(shape=[64], dtype="F8_E8M0"), None),
        (tensors(dtype="OBJECT"), None),
        (b'{"\xff": 1}', None),
        (b"[]", None),
        ({**tensors(), "../../x": {"dtype": "F32", "shape": [0], "data_offsets": [68, 68]}}, None),
    ],
)
def test_weights_that_lie_about_themselves_are_refused(
    capsys: pytest.CaptureFixture[str], header: object, length: int | None
) -> None:
    weights(header, length=length)
    data = "{kind: regression, samples: 40, batch_size: 4}"
    assert trained(data, "--init-from", "w.safetensors", model="linear") == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "bug" not in said and len(said) < 2000


def test_right_weights_are_taken() -> None:
    weights(tensors())
    data = "{kind: regression, samples: 40, batch_size: 4}"
    assert trained(data, "--init-from", "w.safetensors", model="linear") == ExitCode.DONE


def test_control_characters_in_names_of_tensors_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    weights({**tensors(), "\x1b[31m": {"dtype": "F32", "shape": [0], "data_offsets": [68, 68]}})
    data = "{kind: regression, samples: 40, batch_size: 4}"
    assert trained(data, "--init-from", "w.safetensors", model="linear") == ExitCode.USAGE
    assert "\x1b" not in capsys.readouterr().err
