"""ArcFace Figures 1 and 7: an arc and a unit, computed from the loss and the network."""

import math

import numpy as np
import pytest

from marginface.backbones import create
from marginface.backbones.lresnet import Unit
from marginface.book import plots
from marginface.book.papers.arcface import figure7
from marginface.book.papers.arcface.figure1 import FIGURE1, arc, ends
from marginface.margins import ArcFace, NormFace


@pytest.mark.parametrize("apart", [60.0, 120.0])
def test_the_regions_end_where_both_logits_are_equal(apart: float) -> None:
    points = ends(ArcFace(m=0.4), apart)
    assert points.shape == (2, 512)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1)
    assert math.acos(points[0] @ points[1]) == pytest.approx(0.4, abs=1e-6)
    one, other = ends(NormFace(), apart)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_an_arc_is_measured_along_the_sphere() -> None:
    quarter = np.array([[1.0, 0, 0], [0, 1, 0]])
    assert arc(quarter, 2.0) == pytest.approx(math.pi, rel=1e-6)
    assert arc(quarter) > math.sqrt(2), "and not through it"


def test_figure1_holds_whatever_the_margin() -> None:
    assert FIGURE1.verdict().word == "reproduced"
    assert FIGURE1.obtain(m=0.3).verdict().word == "reproduced"
    assert plots.arc_margin(0.3, 60.0).axes


def test_the_unit_is_drawn_as_it_computes() -> None:
    """The parts and parameters are those of the unit in a real network, and the shapes are what it gives."""
    network = create("LResNet50E-IR", embedding_dim=8, image_shape=(3, 112, 112))
    units = [module for module in network.modules() if isinstance(module, Unit)]
    unit = units[3]  # the first of the second stage
    steps = figure7.steps(unit)
    assert figure7.order(unit) == figure7.order(figure7.unit_of("LResNet50E-IR")) == figure7.PRINTED
    assert sum(step.parameters for step in steps) == sum(p.numel() for p in unit.parameters())
    assert [step.shape for step in steps if step.path == "body"][-1] == (128, 28, 28)
    assert [step.path for step in steps].count("shortcut") == 2
    assert figure7.steps(units[4], 128, 28)[-1].path == "body", "without a shortcut's convolution"


def test_other_units_are_drawn_otherwise() -> None:
    original = figure7.unit_of("SE-LResNet50E")
    assert figure7.order(original) == "Conv-BN-ReLU-Conv-BN-SE"
    assert figure7.steps(original)[-1].path == "last"
    first = figure7.unit_of("LResNet50E-IR-S1")
    assert [step.stride for step in figure7.steps(first) if step.kind == "Conv"] == [2, 1, 2]
    for name in ("LResNet101E-IR", "LMobileNetE"):
        with pytest.raises(ValueError, match="no unit of two convolutions"):
            figure7.unit_of(name)
    assert len(plots.residual_unit({"one": original, "other": first}).axes) == 2


def test_figure7_holds_of_the_improved_unit_alone() -> None:
    assert figure7.FIGURE7.verdict().word == "reproduced"
    claims = figure7.FIGURE7.obtain(network="LResNet50E").verdict()
    assert claims.word == "reproduced in part"
    assert "1 of 4 claims hold" in claims.evidence[0]
    assert figure7.last_maps("LResNet18E-w16") == (128, 7, 7)
