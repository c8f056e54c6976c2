"""IAM's MNIST example: recipes, tables and verdicts from runs whose numbers are known."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from marginface.book.items import Item, Results
from marginface.book.obtain import Row
from marginface.book.papers.iam.mnist import FIGURE2, TABLE1, TABLE2, resolution_of_test_set
from marginface.margins import CosFace, NormFace
from marginface.regularizers import IAM
from marginface.training import Run


def made(item: Item, value: Callable[[bool, int], dict[str, float]]) -> Results:
    """Five runs a row at s = 10, with the metrics for whether it has IAM and its number."""
    asked = item.ask(scale=10.0)

    def run(row: Row, seed: int) -> Run:
        metrics = {"accuracy": 0.98, "intra_angle": 10.0, "inter_angle": 60.0} | value(bool(row.recipe.regularizers), seed)
        return Run(replace(row.recipe, seed=seed), metrics, {}, {}, "MNIST", "0" * 64)

    return replace(asked, runs={name: [run(row, seed) for seed in range(5)] for name, row in asked.rows.items()})


def where_iam_adds(points: float, noise: float) -> Results:
    numbers = np.random.default_rng(0)
    shared = numbers.normal(0, 0.002, 5)
    return made(TABLE2, lambda iam, seed: {"accuracy": 0.98 + shared[seed] + iam * (points + numbers.normal(0, noise)) / 100})


def test_what_the_test_images_alone_would_explain() -> None:
    """As printed, 99.08 and 99.42 %, 99.24 and 99.42: of 150 errors 34 fewer, of 134 18, on at least as many images."""
    told = resolution_of_test_set()
    assert f"34 images (z from {34 / 150**0.5:.1f} to {34**0.5:.1f}: not explained by" in told
    assert f"18 images (z from {18 / 134**0.5:.1f} to {18**0.5:.1f}: perhaps explained by" in told


def test_the_rows_are_those_of_the_printed_table() -> None:
    rows = TABLE2.ask(scale=10.0).rows
    assert list(rows)[3] == "AM-Softmax (CosFace), m = 0.1, s = 10 + 0.2 × IAM"
    softmax, with_iam, cosface, both = (row.recipe for row in rows.values())
    assert (softmax.margin, softmax.regularizers) == (NormFace(10.0), ())
    assert (with_iam.margin, with_iam.regularizers) == (NormFace(10.0), (IAM(0.2),))
    assert (cosface.margin, cosface.regularizers) == (CosFace(10.0, 0.1), ())
    assert (both.margin, both.regularizers) == (CosFace(10.0, 0.1), (IAM(0.2),))


@pytest.mark.parametrize(
    ("parameters", "printed"),
    [
        ({}, ["99.08", "99.42", "99.24", "99.42"]),
        ({"beta": 0.5}, ["99.08", "–", "99.24", "–"]),
        ({"m": 0.2}, ["99.08", "99.42", "–", "–"]),
    ],
)
def test_printed_numbers_stand_beside_their_settings(parameters: dict[str, float], printed: list[str]) -> None:
    asked = TABLE2.ask("book", scale=10.0, **parameters)
    runs = {name: [Run(row.recipe, {"accuracy": 0.98}, {}, {}, "MNIST", "")] for name, row in asked.rows.items()}
    assert TABLE2.tabulate is not None
    assert TABLE2.tabulate(replace(asked, runs=runs))["printed, %"].tolist() == printed


@pytest.mark.parametrize(
    ("points", "noise", "word"), [(0.3, 0.01, "smaller than printed"), (0.9, 0.01, "holds"), (-0.3, 0.01, "opposite")]
)
def test_verdicts_follow_the_difference(points: float, noise: float, word: str) -> None:
    verdict = where_iam_adds(points, noise).verdict()
    assert len(verdict.evidence) == 2
    assert all(line.endswith(word) for line in verdict.evidence)


def test_noise_is_called_noise() -> None:
    verdict = where_iam_adds(0, 1.0).verdict()
    assert verdict.word == "undecided"
    assert not any(line.endswith(("holds", "opposite")) for line in verdict.evidence)


def test_figure2_wants_tighter_classes_and_wider_gaps() -> None:
    found = made(FIGURE2, lambda iam, seed: {"intra_angle": 10 + seed / 10 - 2 * iam, "inter_angle": 60 + seed / 10 - 3 * iam})
    assert [line.split(": ")[-1] for line in found.verdict().evidence] == ["holds"] * 2 + ["opposite"] * 2


def test_the_network_is_the_one_of_table_1() -> None:
    verdict = TABLE1.verdict()
    assert (verdict.word, verdict.leg) == ("as printed", "computed")


def test_the_grid_has_every_seed_of_both_scales() -> None:
    assert len(TABLE2.grid()) == len(set(TABLE2.grid())) == 4 * 2 * len(TABLE2.seeds)
