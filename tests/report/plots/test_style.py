import itertools

import numpy as np
import pytest

from lrtool.report.plots.style import DASHES, PALETTE, look

#: What is seen by eyes without cones for long, middle or short waves (Machado et al. 2009), in linear RGB.
EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]


def lab(color, eyes):
    """CIE L*a*b* of a colour as these eyes see it."""
    rgb = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.array(TO_XYZ) @ np.clip(np.array(EYES[eyes]) @ linear, 0, 1) / [0.95047, 1, 1.08883]
    f = [np.cbrt(v) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in (x, y, z)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def distance(one, other):
    """CIEDE2000."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    grey = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25.0**7))
    c1, c2 = np.hypot(a1 * grey, b1), np.hypot(a2 * grey, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1 * grey)), np.degrees(np.arctan2(b2, a2 * grey))
    turn = (h2 - h1 + 180) % 360 - 180
    hue, c, light = h1 + turn / 2, (c1 + c2) / 2, ((l1 + l2) / 2 - 50) ** 2
    t = 1 + sum(w * np.cos(np.radians(k * hue + by)) for w, k, by in
                ((-0.17, 1, -30), (0.24, 2, 0), (0.32, 3, 6), (-0.2, 4, -63)))  # fmt: skip
    dl = (l2 - l1) / (1 + 0.015 * light / np.sqrt(20 + light))
    dc = (c2 - c1) / (1 + 0.045 * c)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * c * t)
    blue = np.exp(-((((hue - 275 + 180) % 360 - 180) / 25) ** 2))
    turned = -2 * np.sqrt(c**7 / (c**7 + 25.0**7)) * np.sin(np.radians(60 * blue))
    return float(np.sqrt(dl**2 + dc**2 + dh**2 + turned * dc * dh))


def smallest(eyes, pairs):
    return min(distance(lab(one, eyes), lab(other, eyes)) for one, other in pairs)


@pytest.mark.parametrize("eyes", EYES)
def test_every_two_colours_are_told_apart_by_all_eyes(eyes):
    assert smallest(eyes, itertools.combinations(PALETTE, 2)) > 15


@pytest.mark.parametrize("eyes", EYES)
def test_lines_with_the_same_dashes_differ_most(eyes):
    looks = [look(place) for place in range(len(PALETTE))]
    same = [(one["color"], other["color"]) for one, other in itertools.combinations(looks, 2)
            if one["ls"] == other["ls"]]  # fmt: skip
    assert len(same) == len(DASHES) and smallest(eyes, same) > 17


def test_no_two_lines_of_a_figure_look_the_same():
    assert len({(look(place)["color"], str(look(place)["ls"])) for place in range(32)}) == 32
