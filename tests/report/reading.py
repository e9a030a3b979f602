"""What a figure's reader needs: labels that can be read."""

import itertools

import numpy as np
from matplotlib.text import Text

from lrtool.report.plots.style import _settle, styled

#: Pixels by which boxes may overlap: a text's box is a little larger than its letters.
SLACK = 2.0


def assert_every_label_can_be_read(figure):
    """No text of a figure overlaps another or is crossed by a line, and none is cropped."""
    figure.set_dpi(150)  # that of the file
    settled(figure)
    boxes = [(text, text.get_window_extent()) for text in texts_of(figure)]
    whole = figure.bbox.padded(0.5)
    for text, box in boxes:
        inside = box.x0 >= whole.x0 and box.y0 >= whole.y0 and box.x1 <= whole.x1 and box.y1 <= whole.y1
        assert inside, (text.get_text(), box, whole)
    for (text, box), (other, where) in itertools.combinations(boxes, 2):
        tilted = text.get_rotation() % 90 and other.get_rotation() % 90
        assert tilted or not box.padded(-SLACK / 2).overlaps(where.padded(-SLACK / 2)), (
            text.get_text(), other.get_text(), box, where,
        )  # fmt: skip
    for axes in figure.axes:
        for text in axes.texts:
            crossing = [line for line in axes.lines if crosses(line, text)]
            assert not crossing, (text.get_text(), crossing)


def texts_of(figure):
    """Every text that is seen: titles, labels, ticks inside the limits, notes, legends."""
    found = [*figure.texts]
    for legend in figure.legends:
        found += [*legend.get_texts(), legend.get_title()]
    for axes in [*figure.axes, *(child for each in figure.axes for child in each.child_axes)]:
        found += [axes.title, axes._left_title, *axes.texts]
        assert axes.get_legend() is None  # it would cover what is drawn
        if axes.axison:
            found += [*ticks_of(axes, axes.xaxis), *ticks_of(axes, axes.yaxis)]
    return [text for text in found if isinstance(text, Text) and text.get_visible() and text.get_text().strip()]


def ticks_of(axes, axis):
    if not axis.get_visible():
        return []
    low, high = sorted(axis.get_view_interval())
    shown = [
        tick for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        if low <= tick.get_loc() <= high
    ]  # fmt: skip
    labels = [label for tick in shown for label in (tick.label1, tick.label2)]
    return [*labels, axis.label, axis.get_offset_text()]


@styled
def settled(figure):
    """Lay the figure out, as for a file, without painting it."""
    _settle(figure)
    figure.draw_without_rendering()


def crosses(line, text):
    """Whether a line passes through a text that hides nothing behind it."""
    box = text.get_bbox_patch()
    if box is not None and text.get_zorder() >= line.get_zorder():
        return False
    if line.get_linestyle() == "None" or len(line.get_xdata()) < 2 or not line.get_visible():
        return False
    points = line.get_transform().transform(line.get_xydata())
    where = text.get_window_extent().padded(-SLACK)
    ends = points[np.isfinite(points).all(axis=1)]
    near = (np.minimum(ends[:-1], ends[1:]) <= where.max).all(axis=1)
    near &= (np.maximum(ends[:-1], ends[1:]) >= where.min).all(axis=1)
    steps = np.linspace(0, 1, 100)[:, None]
    return any(where.count_contains(ends[at] + steps * (ends[at + 1] - ends[at])) for at in np.flatnonzero(near))
