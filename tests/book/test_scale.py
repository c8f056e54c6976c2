"""The model of a step with many classes, and its page."""

from dataclasses import replace

import pytest

from marginface.book import scale
from marginface.book.scale import PUBLISHED, Setting


def test_it_is_near_what_is_published() -> None:
    for row in scale.check().to_dict("records")[: len(PUBLISHED)]:
        assert abs(float(row["error"].split()[0])) < 3
        assert abs(float(row["error MB"].split()[0])) < 4
        assert row["images/s"] in {f"{speed:,}" for *_, speed, _ in PUBLISHED}


def test_what_was_measured_is_what_the_formula_sends() -> None:
    table = scale.measured()
    assert (table["MB sent"] == table["by the formula"]).all()
    assert {1, 2, 4} <= set(table.processes)
    assert "s of a thread of" in scale.machine()


def test_what_is_fitted_is_found_again() -> None:
    """Points that the model itself makes give the model."""
    model = scale.fitted()
    points = [
        (classes, share, scale.BATCH / sum(model.step(Setting(classes, share)).values()), model.memory(Setting(classes, share)))
        for classes, share, *_ in PUBLISHED
    ]
    again = scale.fitted(points)
    for name in ("image", "logit", "drawn", "network", "copies"):
        assert getattr(again, name) == pytest.approx(getattr(model, name), rel=1e-6)


def test_what_the_page_says_of_choices() -> None:
    model = scale.fitted()
    all_of_them, tenth = scale.bottleneck(model), scale.bottleneck(model, share=0.1)
    assert all_of_them.between(1.5e6, 2.1e6).all()
    assert tenth.between(15e6, 20e6).all()
    ten = Setting(10e6)
    assert model.memory(ten) == pytest.approx(53e3, rel=0.02)
    assert model.memory(replace(ten, chunk=512)) == pytest.approx(12.5e3, rel=0.05)
    assert model.memory(replace(ten, ranks=64, samples=8192, chunk=512)) == pytest.approx(6e3, rel=0.1)
    for ranks, share in ((8, 0.00113), (1024, 0.134)):
        parts = model.step(Setting(1e6, ranks=ranks, samples=128 * ranks))
        assert parts["travel"] / sum(parts.values()) == pytest.approx(share, rel=0.05)
    parts = model.step(ten)
    assert parts["logits"] / (parts["logits"] + parts["products"]) > 7 / 8


def test_one_rank_sends_nothing_and_meets_its_batch() -> None:
    model, alone = scale.fitted(), Setting(1e6, ranks=1)
    assert model.step(alone)["travel"] == 0
    assert alone.met == 1e6
    assert Setting(8_000, 0.1).met == 128
    assert Setting(80, 0.1).met == 10
    assert model.step(Setting(1e6, half=False))["products"] > 5 * model.step(Setting(1e6))["products"]


def test_curves_are_drawn() -> None:
    figure = scale.curves(ranks=(8, 64))
    assert len(figure.axes) == 4
    assert all(len(axes.lines) >= 3 for axes in figure.axes)


def test_blocks_are_read_faster_than_images_at_random() -> None:
    rates = scale.reading().set_index("order")["images/s"].str.replace(",", "").astype(int)
    assert rates["random"] < rates["blocks of 1,000 at random, 100 at a time"] < rates["as in the files"]
    assert "20,971 classes" in scale.read_from()
