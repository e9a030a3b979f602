"""How every figure looks, and how it is written."""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from lrtool.printable import printable
from lrtool.runs.atomic import write_bytes
from lrtool.runs.folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

#: The hues of Okabe and Ito 2008, made lighter and darker until every two stay apart for colour-blind eyes as well:
#: by 15.7 (CIEDE2000) at least, whichever cones are missing (deuteranopia: 15.9); the first is the main one.
PALETTE = ("#2069F7", "#D65800", "#009E63", "#9D6391", "#E5B100", "#4FD2E1", "#595959", "#73198E")
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY, VIOLET = PALETTE
#: Lines differ in these as well, and points in those, for print without colours.
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1, 1.1)), (0, (7, 1.5, 1.2, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
INK, FAINT = "#262626", "#8C8C8C"

_SETTINGS: dict[str, Any] = {
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so figures look the same everywhere
    "text.parse_math": False,  # a name may hold dollars
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0.01,
    "axes.formatter.limits": (-3, 7),
    "axes.formatter.useoffset": False,
    "grid.color": "#E9E9E9",
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fontsize": 8.5,
    "legend.handlelength": 2.8,  # long enough to tell dashes by
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "svg.hashsalt": "lrtool",  # element names in SVG files are then the same in every run
    "path.simplify": True,
}

_OTHER_SCRIPTS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans SC", "Noto Sans JP", "WenQuanYi Zen Hei", "Hiragino Sans",
    "PingFang SC", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Noto Sans Devanagari", "Noto Emoji",
)  # fmt: skip


def look(place: int) -> dict[str, Any]:
    """Colour and dashes of a figure's line at this place among its lines: no two of 32 look the same.

    Lines that share their dashes are four places apart, and there colours differ most.
    """
    return {"color": PALETTE[place % len(PALETTE)], "ls": DASHES[(place + place // len(PALETTE)) % len(DASHES)]}


def marker(place: int) -> str:
    """The shape of the points that go with `look`."""
    return MARKERS[place % len(MARKERS)]


@contextmanager
def _settings() -> Iterator[None]:
    """Our settings and nobody else's: a user's matplotlibrc must not change the figures."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)  # type: ignore[arg-type]
        matplotlib.rcParams["font.family"] = [*_SETTINGS["font.family"], *_other_scripts()]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a box stands for it
            yield


@functools.cache
def _other_scripts() -> tuple[str, ...]:
    """Fonts of this machine for letters that matplotlib's own font lacks."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return tuple(name for name in _OTHER_SCRIPTS if name in installed)


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Make a drawing function draw in lrtool's style."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with _settings():
            return draw(*args, **kwargs)

    return drawn


@styled
def render(figure: Figure, file_format: Literal["png", "svg"]) -> bytes:
    """The figure as a PNG or SVG file; the same figure gives the same bytes."""
    _make_printable(figure)
    buffer = io.BytesIO()
    # No date and no version: equal results shall be equal files.
    metadata = {"Date": None, "Creator": "lrtool"} if file_format == "svg" else {"Software": "lrtool"}
    with warnings.catch_warnings():
        # What a font lacks is a box in the plot: there is nothing that a user could do here.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        _settle(figure)
        figure.savefig(buffer, format=file_format, metadata=metadata)
    return buffer.getvalue()


def _make_printable(figure: Figure) -> None:
    """Names come from configs and files: control characters would make an SVG invalid."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        shown = printable(text.get_text(), keep="\n")
        if shown != text.get_text():
            text.set_text(shown)


def _settle(figure: Figure) -> None:
    """Lay the figure out once, and round: the layout's solver differs in the last bits from run to run."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = figure.get_layout_engine()
    if not isinstance(engine, ConstrainedLayoutEngine):
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(float(value), 5) for value in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def save(figure: Figure, folder: RunFolder | Path, stem: str) -> tuple[Path, Path]:
    """Write `stem`.png and `stem`.svg into a folder, each whole or not at all; gives their paths.

    Raises OutputError where the folder cannot be written.
    """
    base = folder.path if isinstance(folder, RunFolder) else folder
    png, svg = base / f"{stem}.png", base / f"{stem}.svg"
    write_bytes(png, render(figure, "png"))
    write_bytes(svg, render(figure, "svg"))
    return png, svg


def number(value: float) -> str:
    """A number for people: three digits or so, powers of ten where they are shorter.

    >>> number(0.0123456), number(3e-05), number(1234.0), number(2500000.0)
    ('0.0123', '3e-5', '1234', '2.5e6')
    """
    if value != 0 and not 1e-3 <= abs(value) < 1e4:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        if exponent:
            return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def shortened(text: str, length: int) -> str:
    """The text, its middle left out where it is longer than `length` characters."""
    if len(text) <= length:
        return text
    head = (length - 1) * 2 // 3
    return f"{text[:head]}…{text[head + 1 - length :]}"


def shortened_apart(names: Sequence[str], length: int) -> list[str]:
    """As `shortened`, but names that differ only in the middle keep the part in which they do.

    >>> shortened_apart(["cosine with a warm-up of 5% of it", "cosine with a warm-up of 20% of it", "constant"], 20)
    ['cosine…p of 5% of it', 'cosine…p of 20% of …', 'constant']
    """
    short = [shortened(name, length) for name in names]
    return [_apart(name, {each for each, cut in zip(names, short, strict=True) if cut == own}, own, length)
            for name, own in zip(names, short, strict=True)]  # fmt: skip


def _apart(name: str, alike: Collection[str], short: str, length: int) -> str:
    if len(alike) < 2:
        return short
    head = length // 3
    differs = next(place for place, letters in enumerate(zip(*alike, strict=False)) if len(set(letters)) > 1)
    shown = f"{name[:head]}…{name[max(head, differs - 5) :]}"
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


def log_ticks(axis: Axis, most: int = 12, dense: float = 100) -> None:
    """Plain numbers on a log axis whose limits are set, about `most`, as `log_subs` places them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(LogLocator(subs=log_subs(low, high, dense), numticks=most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())


def log_subs(low: float, high: float, dense: float = 100) -> tuple[float, ...]:
    """Where a decade of a log axis from `low` to `high` has ticks: more where it spans less than `dense` times."""
    if high >= dense * low:
        return (1.0,)
    return (1.0, 2.0, 5.0) if high > 12 * low else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)


def metric_name(metric: str) -> str:
    """A metric's column in words.

    >>> metric_name("val_loss"), metric_name("train_loss"), metric_name("val_top_5")
    ('validation loss', 'training loss', 'validation top 5')
    """
    first, _, rest = metric.partition("_")
    known = {"val": "validation", "train": "training"}
    return f"{known.get(first, first)} {rest}".replace("_", " ").strip()
