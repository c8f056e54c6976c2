"""What runs in the reader's browser: the same numbers as the library's, by an interpreter of JavaScript."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quickjs
import torch
from scipy import special

from marginface import margins
from marginface.data.files import data_folder
from marginface.margins import Margin

SCRIPT = data_folder().parent / "book" / "_static" / "play.js"
DEGREES = np.linspace(0, 180, 37)


@pytest.fixture(scope="module")
def browser() -> Any:
    context = quickjs.Context()
    context.eval(Path(SCRIPT).read_text().replace("const marginface", "var marginface", 1))
    return context


def curve(browser: Any, name: str, which: str, settings: dict[str, Any]) -> list[float]:
    call = f"marginface.losses.{name}.{which}(marginface.radians(d), {json.dumps(settings)})"
    return json.loads(browser.eval(f"JSON.stringify({DEGREES.tolist()}.map(d => {call}))"))


@pytest.mark.parametrize(
    ("margin", "settings"),
    [
        (margins.NormFace(), {}),
        (margins.SphereFace(4, 5.0), {"m": 4, "lam": 5}),
        (margins.SphereFace(2, 0.0), {"m": 2, "lam": 0}),
        (margins.CosFace(m=0.35), {"m": 0.35}),
        (margins.ArcFace(m=0.5), {"m": 0.5}),
        (margins.CombinedMargin(m1=1.2, m2=0.3, m3=0.2), {"m1": 1.2, "m2": 0.3, "m3": 0.2}),
        (margins.RedefinedArcFace(m1=0.3, m2=0.2), {"m1": 0.3, "m2": 0.2}),
        (margins.InterFace.cid_ct(), {"m": 0.5, "alpha": 0.1, "a": 0.2, "b": 0, "own": 70, "between": 90, "sign": "paper"}),
        (
            margins.InterFace.did_dt(sign="released"),
            {"m": 0.5, "alpha": 0.1, "a": 0, "b": 10, "own": 20, "between": 50, "sign": "released"},
        ),
    ],
    ids=str,
)
def test_the_curves_are_those_of_the_losses(browser: Any, margin: Margin, settings: dict[str, Any]) -> None:
    name = type(margin).__name__
    cosine = torch.from_numpy(np.cos(np.radians(DEGREES)))[:, None]
    shift = None
    if isinstance(margin, margins.InterFace):
        own, between = (
            torch.tensor([[math.cos(math.radians(settings[key]))]], dtype=torch.float64) for key in ("own", "between")
        )
        shift = margin.shift(own, between).expand(len(DEGREES), 1)
    np.testing.assert_allclose(curve(browser, name, "T", settings), margin.target(cosine)[:, 0], atol=1e-9)
    np.testing.assert_allclose(curve(browser, name, "U", settings), margin.others(cosine, shift)[:, 0], atol=1e-9)


def test_every_slider_is_a_field_of_its_loss(browser: Any) -> None:
    """But for what InterFace's page asks of the sample."""
    listed = json.loads(
        browser.eval("JSON.stringify(Object.entries(marginface.losses).map(([n, l]) => [n, Object.keys(l.parameters)]))")
    )
    for name, sliders in listed:
        known = {*vars(getattr(margins, name)()), "own", "between"}
        assert known >= set(sliders), name


def certainty(browser: Any, **given: float) -> dict[str, Any]:
    return json.loads(browser.eval(f"JSON.stringify(marginface.certainty({json.dumps(given)}))"))


def test_the_interval_holds_the_truth_as_often_as_it_says(browser: Any) -> None:
    """Simulated: two methods whose errors overlap, and trainings that scatter; the calculator is told the truth."""
    numbers, pairs, runs, spread = np.random.default_rng(0), 6000, 3, 0.1
    sure = certainty(browser, pairs=pairs, better=99.0, worse=98.5, overlap=0.5, spread=spread, runs=runs)
    both, ours, theirs = 0.005, 0.005, 0.010  # shares of pairs that both, only the better and only the worse judge wrongly
    drawn = numbers.multinomial(pairs, [both, ours, theirs, 1 - both - ours - theirs], 20_000)
    scatter = numbers.normal(0, spread / 100 * (2 / runs) ** 0.5, 20_000)
    found = (drawn[:, 2] - drawn[:, 1]) / pairs + scatter
    assert sure["difference"] == pytest.approx(0.5)
    assert sure["error"] == pytest.approx(100 * found.std(), rel=0.02)
    half = (sure["interval"][1] - sure["interval"][0]) / 200
    assert np.mean(abs(found - 0.005) < half) == pytest.approx(0.95, abs=0.01)


def test_what_would_decide_has_a_power_of_four_in_five(browser: Any) -> None:
    given = {"pairs": 6000, "better": 99.8, "worse": 99.4, "overlap": 0.5, "spread": 0.3, "runs": 40}
    sure = certainty(browser, **given)
    for name in ("pairs", "runs"):
        then = certainty(browser, **given | {name: sure[name]})
        power = float(special.ndtr(then["difference"] / then["error"] - 1.96))
        assert power == pytest.approx(0.8, abs=0.02)
    assert certainty(browser, **given | {"runs": 1})["pairs"] is None, "no test set is large enough for one training of each"
    then = certainty(browser, **given | sure["both"])
    assert special.ndtr(then["difference"] / then["error"] - 1.96) == pytest.approx(0.8, abs=0.03)
    assert then["chance"] == pytest.approx(2 * special.ndtr(-then["difference"] / then["error"]), abs=1e-6)
