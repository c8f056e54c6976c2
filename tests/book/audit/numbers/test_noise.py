"""What a test set can tell, against McNemar's test on decisions written out, and the headlines against the papers."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from marginface.book.audit.numbers import noise
from marginface.book.audit.numbers.headlines import HEADLINES
from marginface.evaluation.statistics import mcnemar


def test_six_pairs_are_the_fewest() -> None:
    assert noise.smallest_lead() == 6
    decisions = np.ones(6000, dtype=bool), np.arange(6000) >= 6
    assert noise.best_case(6) == pytest.approx(mcnemar(*decisions).p_value)
    assert mcnemar(np.ones(6000, dtype=bool), np.arange(6000) >= 5).p_value > 0.05


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 60))
def test_the_true_p_lies_between_the_best_and_the_worst_case(errors: int, lead: int, overlap: int) -> None:
    more = errors + lead
    overlap = min(overlap, errors)
    first = np.ones(200, dtype=bool)
    first[:errors] = False
    second = np.ones(200, dtype=bool)
    second[errors - overlap : errors - overlap + more] = False
    p_value = mcnemar(first, second).p_value
    assert noise.best_case(lead) <= p_value + 1e-12
    assert p_value <= noise.worst_case(errors, more) + 1e-12


def test_the_unpaired_test_is_the_textbook_chi_square() -> None:
    table = [[5980, 20], [5960, 40]]
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert noise.unpaired(5980, 5960, 6000) == pytest.approx(expected)


def test_the_smallest_unpaired_lead() -> None:
    lead = noise.smallest_unpaired(5964, 6000)
    assert noise.unpaired(5964 + lead, 5964, 6000) < 0.05 <= noise.unpaired(5964 + lead - 1, 5964, 6000)
    assert noise.smallest_unpaired(5999, 6000) == 0


@pytest.mark.parametrize(
    ("text", "benchmark", "rule", "count"),
    [("99.433", "LFW", "rounded", 5966), ("99.71", "LFW", "cut off", 5983), ("94.4", "CFP-FP", "cut off", 6608)],
)
def test_pairs_behind_a_percentage(text: str, benchmark: str, rule: str, count: int) -> None:
    assert noise.right(text, benchmark, rule) == count


def find(paper: str, table: int, names: tuple[str, str], benchmark: str) -> noise.Comparison:
    found = [
        each
        for each in noise.comparisons()
        if (each.headline.paper, each.headline.table, each.benchmark) == (paper, table, benchmark)
        and all(each.names[i].startswith(names[i]) for i in (0, 1))
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("paper", "table", "names", "benchmark", "lead", "kind"),
    [
        ("ArcFace", 7, ("ArcFace", "CosineFace"), "CFP-FP", -25, "contradicted"),
        ("ArcFace", 7, ("ArcFace", "CosineFace"), "LFW", 2, "cannot be significant"),
        ("ArcFace", 7, ("ArcFace", "CosineFace"), "AgeDB-30", 10, "undecidable from the table"),
        ("ArcFace", 7, ("ArcFace", "Softmax"), "AgeDB-30", 151, "clear"),
        ("InterFace", 6, ("InterFace_did&dt", "ElasticFace-Arc"), "AgeDB-30", 2, "cannot be significant"),
        ("InterFace", 6, ("InterFace_did&dt", "GroupFace"), "CALFW", 4, "cannot be significant"),
        ("InterFace", 6, ("InterFace_did&dt", "ElasticFace-Arc"), "CPLFW", 0, "cannot be significant"),
        ("InterFace", 7, ("InterFace_did&dt", "GroupFace"), "IJB-B", 34, "undecidable from the table"),
        ("IAM", 5, ("Eq.(3) + 0.8 x IAM", "Eq.(3)"), "LFW", 33, "clear"),
        ("IAM", 5, ("[21]", "Ring loss"), "LFW", -5, "contradicted"),
        ("PAM", 2, ("PAM loss v1", "AM-Softmax"), "LFW", 4, "cannot be significant"),
        ("PAM", 2, ("PAM loss v1", "CVPR17' Marginal Loss"), "YTF", 7, "undecidable from the table"),
        ("PAM", 2, ("PAM loss v1", "AM-Softmax"), "YTF", 26, "undecidable from the table"),
        ("PAM", 2, ("PAM loss v1", "Softmax"), "YTF", 46, "clear"),
    ],
)
def test_headlines(paper: str, table: int, names: tuple[str, str], benchmark: str, lead: int, kind: str) -> None:
    each = find(paper, table, names, benchmark)
    assert (each.lead, each.kind) == (lead, kind)


def test_every_headline_is_counted() -> None:
    assert {each.headline for each in noise.comparisons()} == set(HEADLINES)
    table = noise.kinds_table().set_index("paper")
    assert (
        table.loc["all four", "all"]
        == len(noise.comparisons())
        == sum(len(noise.comparisons_table(p)) for p in table.index[:-1])
    )
    assert table.loc["all four", list(noise.KINDS)].sum() == table.loc["all four", "all"]


def test_the_verdict_names_what_is_contradicted() -> None:
    verdict = noise.verdict()
    assert verdict.word == "reproduced in part"
    assert len(verdict.evidence) == 1 + sum(each.kind == "contradicted" for each in noise.comparisons())
    assert any("94.04 and 94.4" in line for line in verdict.evidence)


@pytest.mark.slow
def test_the_figure_has_a_row_for_every_comparison() -> None:
    figure = noise.comparisons_figure()
    assert len(figure.axes[0].get_yticklabels()) == len(noise.comparisons())
    plt.close(figure)


def test_the_resolution_of_every_test_set() -> None:
    table = noise.resolution_table()
    assert len(table) == 2 * 6
    assert table["paired: never below, %"].iloc[0] == "0.10 (6 pairs)"
