"""Repeated trainings: what was posted, and what is recorded."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from marginface.book import published
from marginface.book.audit.numbers import repeats


def test_the_posted_means_agree_with_the_posted_folds() -> None:
    table = published.repeat_runs()
    folds = table[table["metric"] == "LFW fold 1..10 %"].iloc[:2]["value"]
    means = table[table["metric"].str.startswith("LFW mean")]["value"].astype(float)
    computed = [np.mean([float(x) for x in line.split()]) for line in folds]
    np.testing.assert_allclose(computed, means, atol=0.006)


def test_trained_twice() -> None:
    assert sorted(round(gap, 2) for gap in repeats.trained_twice().values()) == [0.05, 0.14]


def test_every_source_is_named_and_fractions_are_percentages() -> None:
    reported = repeats.reported_lfw()
    assert all(each.source.startswith("github.com/") for each in reported)
    assert all(98.5 < each.accuracy < 99.5 for each in reported)
    assert sorted(repeats.sphereface20()) == [98.98, 99.03, 99.07, 99.13, 99.166]
    assert len(repeats.reported_table()) == len(reported)


def test_the_summary_is_in_pairs() -> None:
    text = repeats.reported_summary()
    assert "0.05 % (3 pairs) and 0.14 % (8 pairs)" in text
    assert "5 trainings of SphereFace-20" in text
    assert "99.22 and 99.15 %" in text


def test_magface_again() -> None:
    table = repeats.magface_table().set_index(["test", "FAR"])
    assert table.loc[("IJB-B", "1e-5"), "difference"] == "+0.95"
    assert table.loc[("IJB-B", "1e-5"), "InterFace ahead of the best other"] == "+0.33"
    assert table.loc[("IJB-C", "1e-6"), "difference"] == "-2.70"


def test_runs_that_differ_in_their_seed_alone_are_grouped() -> None:
    groups = repeats.recorded_groups()
    assert groups
    for runs in groups:
        assert len({run.recipe.seed for run in runs}) == len(runs) > 1
        assert len({(run.recipe.margin, run.recipe.regularizers, run.recipe.data) for run in runs}) == 1


@pytest.mark.slow
def test_the_spread_of_mnist_is_that_of_its_accuracies() -> None:
    spread = next(each for each in repeats.spreads() if each.test.startswith("MNIST"))
    mnist = [runs for runs in repeats.recorded_groups() if runs[0].recipe.data == "mnist"]
    groups = [[100 * run.metrics["accuracy"] for run in runs] for runs in mnist]
    pooled = sum(np.var(group) * len(group) for group in groups) / sum(len(group) - 1 for group in groups)
    assert spread.std == pytest.approx(pooled**0.5, abs=1e-6)
    assert spread.runs == sum(map(len, groups))
    assert 0 < spread.differing < 1
    assert 0 <= spread.significant < 1
    assert len(repeats.spreads_table()) == len(repeats.spreads())


def test_friedman_on_the_parameter_tables() -> None:
    table = repeats.friedman_table().set_index("table")
    interface = table[table.index.str.startswith("InterFace")]
    assert (interface["Friedman p"].astype(float) > 0.1).all()
    assert (interface["set apart from the best"] == "none").all()
    _, scores = repeats.parameter_scores("ArcFace", 6)
    p_values = dict(zip(table.index, table["Friedman p"].astype(float), strict=True))
    assert p_values["ArcFace Table 6"] == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue, abs=1e-3)


def test_the_figure_has_a_row_for_every_source() -> None:
    figure = repeats.reported_figure()
    assert len(figure.axes[0].get_yticklabels()) == len({each.source for each in repeats.reported_lfw()})
    plt.close(figure)
