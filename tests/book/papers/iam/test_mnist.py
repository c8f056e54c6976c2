"""IAM's MNIST example: recipes, tables and verdicts from runs whose numbers are known."""

from dataclasses import replace

import numpy as np
import pytest

from marginface.book.papers.iam import mnist
from marginface.margins import CosFace, NormFace
from marginface.regularizers import IAM
from marginface.training import Run


def make_run(row: mnist.Row, seed: int, accuracy: float, intra: float = 10, inter: float = 60) -> Run:
    metrics = {"accuracy": accuracy, "intra_angle": intra, "inter_angle": inter}
    return Run(replace(row.recipe, seed=seed), metrics, {}, {}, "MNIST", "0" * 64)


def runs_where_iam_adds(points: float, noise: float, rows: dict[str, mnist.Row]) -> dict[str, list[Run]]:
    numbers = np.random.default_rng(0)
    shared = numbers.normal(0, 0.002, 5)
    return {
        name: [
            make_run(row, seed, 0.98 + shared[seed] + (row.base != name) * (points + numbers.normal(0, noise)) / 100)
            for seed in range(5)
        ]
        for name, row in rows.items()
    }


def test_the_rows_are_those_of_the_printed_table() -> None:
    rows = mnist.table2_rows()
    assert [row.printed for row in rows.values()] == [99.08, 99.42, 99.24, 99.42]
    softmax, with_iam, cosface, both = (row.recipe for row in rows.values())
    assert (softmax.margin, softmax.regularizers) == (NormFace(10.0), ())
    assert (with_iam.margin, with_iam.regularizers) == (NormFace(10.0), (IAM(0.2),))
    assert (cosface.margin, cosface.regularizers) == (CosFace(10.0, 0.1), ())
    assert (both.margin, both.regularizers) == (CosFace(10.0, 0.1), (IAM(0.2),))


def test_other_parameters_have_no_printed_number() -> None:
    assert [row.printed for row in mnist.table2_rows(beta=0.5).values()] == [99.08, None, 99.24, None]
    assert [row.printed for row in mnist.table2_rows(m=0.2).values()] == [99.08, 99.42, None, None]


@pytest.mark.parametrize(
    ("points", "noise", "words"),
    [
        (0.3, 0.01, {"reproduced"}),
        (-0.3, 0.01, {"contradicted"}),
        (0, 1.0, {"same direction, within noise", "opposite direction, within noise"}),
    ],
)
def test_verdicts_follow_the_difference(points: float, noise: float, words: set[str]) -> None:
    rows = mnist.table2_rows()
    verdicts = mnist.table2_verdicts(rows, runs_where_iam_adds(points, noise, rows))
    assert len(verdicts) == 2
    assert {verdict.word for verdict in verdicts} <= words


def test_table2_shows_printed_and_measured() -> None:
    rows = mnist.table2_rows()
    table = mnist.table2(rows, runs_where_iam_adds(0.3, 0.0, rows))
    assert table["printed, %"].tolist() == ["99.08", "99.42", "99.24", "99.42"]
    assert table["IAM adds, points"].tolist() == ["", "+0.30 [+0.30, +0.30]"] * 2


def test_figure2_verdicts_want_tighter_classes_and_wider_gaps() -> None:
    rows = mnist.table2_rows()
    runs = {
        name: [
            make_run(row, s, 0.99, 10 + s / 10 - 2 * (row.base != name), 60 + s / 10 - 3 * (row.base != name)) for s in range(3)
        ]
        for name, row in rows.items()
    }
    assert [verdict.word for verdict in mnist.figure2_verdicts(rows, runs)] == ["reproduced", "contradicted"] * 2


def test_the_network_is_the_one_of_table_1() -> None:
    verdict = mnist.table1_verdict()
    assert (verdict.word, verdict.leg) == ("as printed", "computed")


def test_the_grid_has_every_seed_of_both_scales() -> None:
    grid = mnist.grid()
    assert len(grid) == len(set(grid)) == 4 * 2 * len(mnist.SEEDS)
