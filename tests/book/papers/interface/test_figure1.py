"""InterFace's boundaries: against geometry, and against the literal equations."""

import math

import numpy as np
import pytest
import torch

from marginface import reference
from marginface.book.papers.interface import figure1
from marginface.margins import ArcFace, InterFace, RedefinedArcFace
from marginface.settings import first


@pytest.mark.parametrize("between", [40.0, 90.0, 170.0])
def test_arcface_leaves_its_angle_between_any_two_classes(between: float) -> None:
    margin = ArcFace(m=math.radians(20))
    assert figure1.boundary(margin, np.array([between])) == pytest.approx([(between - 20) / 2], abs=1e-6)
    assert figure1.widths(margin, np.array([between])) == pytest.approx([20], abs=1e-6)


def test_both_margins_of_the_redefined_arcface_add_up() -> None:
    margin = RedefinedArcFace(m1=math.radians(15), m2=math.radians(10))
    assert figure1.widths(margin, np.array([90.0])) == pytest.approx([25], abs=1e-6)


def test_no_boundary_where_the_margin_is_wider_than_the_arc() -> None:
    assert np.isnan(figure1.boundary(ArcFace(m=1.0), np.array([30.0]))).all()


@pytest.mark.parametrize("sign", ["paper", "released"])
def test_the_boundary_solves_the_printed_equation(sign: str) -> None:
    """θ_y + m = θ_j - f with f of Eq. 5-7 as printed (or its opposite)."""
    for margin in list(figure1.figure1(sign=sign).values())[1:]:
        assert isinstance(margin, InterFace)
        for between in (50.0, 80.0, 150.0):
            own = math.radians(figure1.boundary(margin, np.array([between]))[0])
            d = torch.tensor(margin.d_inter or math.radians(between), dtype=torch.float64)
            f = reference.interface_f(own / d, reference.interface_t(d, margin.a, margin.b), margin.alpha)
            f = f if sign == "paper" else -f
            assert own + first(margin.m) == pytest.approx(math.radians(between) - own - float(f), abs=1e-8)


def test_the_claims_need_an_f() -> None:
    def counted(alpha: float) -> list[bool]:
        return [claim.holds for claim in figure1.figure1_claims(figure1.figure1(alpha=alpha)) if claim.kind == "claim"]

    assert counted(0.1) == [True] * 4
    assert counted(0.0) == [True, False, False, False]
    assert figure1.FIGURE1.verdict().evidence == ("4 of 4 claims hold; beside them 2 misprints",)


def test_f_changes_its_sign_where_gamma_is_t() -> None:
    table = figure1.sign_table(between=90.0).set_index("parameters")["f as printed > 0 for"]
    assert table.pop("did&dt, b = 10 rad") == "every θ"
    degrees = {name: float(text.removeprefix("θ < ").removesuffix("°")) for name, text in table.items()}
    assert degrees["cid&ct"] == pytest.approx(0.2 * 90, abs=0.1)
    assert degrees["did&ct"] == pytest.approx(0.3 * 90, abs=0.1)
    assert degrees["did&dt, b = 10°"] == pytest.approx(10, abs=0.1)  # t d_inter = b


def test_degrees_and_radians_are_worlds_apart() -> None:
    table = figure1.units_table()
    assert float(table["degrees, 90°"][0]) == pytest.approx(math.exp(-10 / 90), rel=1e-2)
    assert float(table["radians, 90°"][0]) == pytest.approx(math.exp(-10 / (math.pi / 2)), rel=1e-2)
    assert (table.filter(like="radians, 30°").astype(float) < 1e-8).all().all()


def test_detaching_changes_the_gradient() -> None:
    table = figure1.gradient_table()
    assert all(float(cell.removesuffix("%")) > 0.01 for cell in table["embeddings"])
