"""What a figure's reader needs: labels that can be read."""

from lrtool.report.plots.style import render


def assert_every_label_can_be_read(figure):
    """No text of a figure overlaps another, and none is cropped."""
    figure.set_dpi(150)  # that of the file
    render(figure, "png")
    texts = [text for axes in figure.axes for text in [*axes.texts, axes.title, axes._left_title]]
    texts += [text for legend in figure.legends for text in legend.get_texts()] + [figure._suptitle]
    boxes = {text.get_text(): text.get_window_extent() for text in texts if text.get_text()}
    for name, box in boxes.items():
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, name
        for other, where in boxes.items():
            assert other == name or not box.padded(-1).overlaps(where), (name, other)
