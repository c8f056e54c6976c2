"""Figures: one look for each loss, told apart by everybody, and SVG that says in words what it shows."""

import re
from itertools import combinations
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
from plotly.offline import get_plotlyjs_version

from marginface.book.plots import inline
from marginface.book.plots.looks import LOSSES, PALETTE, looks
from marginface.data.files import data_folder

# how people without one kind of cone see linear RGB: Machado, Oliveira and Fernandes (2009), severity 1
SIGHT = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(colour: str, sight: str) -> np.ndarray:
    """CIELAB of a colour as somebody sees it."""
    coded = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = to_xyz @ np.clip(np.array(SIGHT[sight]) @ linear, 0, 1) / np.array([0.95047, 1, 1.08883])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
def test_everybody_tells_the_losses_apart(sight: str) -> None:
    """A difference of 2.3 is just noticed; these are told apart in thin lines."""
    colours = {colour: seen(colour, sight) for colour in PALETTE}
    assert min(float(np.linalg.norm(colours[a] - colours[b])) for a, b in combinations(colours, 2)) > 10


def test_a_loss_looks_the_same_on_every_page() -> None:
    few, many = looks(["CosFace", "ArcFace"]), looks(["Softmax", "NormFace", "ArcFace, m = 0.4", "ArcFace", "CosFace", "other"])
    assert few["CosFace"] == many["CosFace"] == LOSSES["CosFace"]
    assert few["ArcFace"] == many["ArcFace"] == LOSSES["ArcFace"], "also after a row of its own with another margin"
    assert looks(["InterFace did&dt, paper"])["InterFace did&dt, paper"] == LOSSES["InterFace did&dt"]
    assert list(many) == ["Softmax", "NormFace", "ArcFace, m = 0.4", "ArcFace", "CosFace", "other"]
    assert len({(look.colour, look.marker, look.line) for look in many.values()}) == len(many)


def test_more_rows_than_colours_are_told_apart_by_line_and_marker() -> None:
    many = looks([f"β = {i}" for i in range(20)])
    assert len({(look.colour, look.line) for look in many.values()}) == 20


def test_a_figure_is_svg_in_the_pages_colours_and_says_what_it_shows() -> None:
    with plt.style.context("marginface.book.plots.book"):
        figure, (left, right) = plt.subplots(1, 2)
        left.plot([0, 1, 2], [0.0, 3.0, 1.0], label="ArcFace")
        left.set(title="start", xlabel="θ", ylabel="share")
        right.plot([91.0, 92.0], [0, 0], "o")
        right.set_yticks([0], ["CosFace"])
        texts = [inline.html(figure), inline.html(figure)]
    plt.close(figure)
    assert "start: share over θ: ArcFace from 0 at 0 to 1 at 2, highest 3 at 1. CosFace from 91 to 92." in texts[0]
    assert "currentColor" in texts[0]
    assert "#262626" not in texts[0]
    roots = [ElementTree.fromstring(re.sub(r"xlink:", "", text)) for text in texts]
    ids = [{element.get("id") for element in root.iter() if element.get("id")} for root in roots]
    assert ids[0]
    assert not ids[0] & ids[1]  # on one page
    for root, own in zip(roots, ids, strict=True):
        used = [
            value[1:]
            for element in root.iter()
            for value in element.attrib.values()
            if value.startswith("#") and len(value) > 7
        ]
        assert set(used) <= own


def test_a_drawing_is_described_by_its_words_and_pictures() -> None:
    figure, axes = plt.subplots()
    axes.set_axis_off()
    axes.imshow(np.zeros((3, 3)))
    axes.text(0, 0, "a unit")
    figure.text(0, 0, "in all")
    assert inline.describe(figure) == "1 picture: a unit; in all."
    plt.close(figure)


def test_a_description_may_be_given() -> None:
    figure = plt.figure()
    assert 'aria-label="two &lt; three"' in inline.html(figure, "two < three")
    plt.close(figure)


def test_figures_to_turn_are_drawn_by_the_version_that_made_them() -> None:
    """The book keeps a bundle of plotly.js: npm's plotly.js-gl3d-dist-min, of the version in the installed plotly."""
    bundle = data_folder().parent / "book" / "_static" / "plotly-gl3d.min.js"
    assert f"plotly.js (gl3d - minified) v{get_plotlyjs_version()}\n" in bundle.read_text()[:100]
