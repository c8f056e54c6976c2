"""Claims on printed tables: the look-ups by hand, and sentences that turn out either way when a table says otherwise."""

import pandas as pd
import pytest

from marginface.book import published
from marginface.book.audit import summary, text
from marginface.book.audit.numbers import printed
from marginface.book.audit.text import arcface, iam_pam, interface
from marginface.book.verdicts import Claim


def find(claims: list[Claim], part: str) -> Claim:
    (claim,) = [claim for claim in claims if part in claim.text]
    return claim


def test_a_grid_is_the_table() -> None:
    grid = printed.grid("interface", 6, "method")
    assert grid.shape == (17, 5)
    assert grid.loc["InterFace_did&dt", "CPLFW"] == 93.28
    assert pd.isna(grid.loc["CosFace", "CPLFW"])


def test_ranks_share_ties() -> None:
    values = pd.Series({"a": 3.0, "b": 3.0, "c": 2.0, "d": None})
    assert [printed.rank(values, name) for name in "abc"] == [1, 1, 3]


def test_percentages_of_a_sentence() -> None:
    assert printed.cites("from 1.5% to 2%", "here", [1.5, 2.0], "there").holds
    off = printed.cites("from 1.5% to 2 %", "here", [1.5, 2.5], "there")
    assert not off.holds
    assert off.evidence == "1 of 2 are in there; 2 is 2.5 in there"
    assert "not printed" in printed.cites("1%", "here", [float("nan")], "there").evidence
    with pytest.raises(ValueError, match=r"1 percentages in '1%', but 2"):
        printed.cites("1%", "here", [1, 2], "there")


def test_interfaces_thirteen_benchmarks() -> None:
    tests = interface.by_test()
    assert len(tests) == 13
    assert tests["IJB-B at 1e-5"]["InterFace_did&dt"] == 91.57
    claims = interface.claims()
    assert not find(claims, "higher than every other").holds
    assert find(claims, "no other method listed is higher").holds
    assert find(claims, "in the second rank").holds
    for misprint in ("98.28%", "99.73%", "96.45%", "obtained 91.57%", "CircleLoss [23]"):
        assert not find(claims, misprint).holds, misprint
    assert find(claims, "98.62%, 98.41%").holds


def test_rank_marks_that_disagree() -> None:
    wrong, marks = interface.rank_marks()
    assert set(zip(wrong["method"], wrong["benchmark"], strict=True)) == {
        ("Partial-FC-CosFace", "CALFW"),
        ("ElasticFace-Cos", "CPLFW"),
        ("GroupFace", "CFP-FP"),
        ("ElasticFace-Arc", "CFP-FP"),
    }
    all_marked = interface.results().rank_printed.notna().sum()
    assert marks >= all_marked > 40


def test_a_better_rival_changes_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The claims follow the tables: with one rival ahead on AgeDB-30, neither reading of the abstract holds."""
    table = published.table

    def other(paper: str, number: int) -> pd.DataFrame:
        frame = table(paper, number)
        if (paper, number) == ("interface", 6):
            frame.loc[(frame.method == "GroupFace") & (frame.benchmark == "AgeDB-30"), "value"] = 99.0
        return frame

    monkeypatch.setattr(published, "table", other)
    claims = interface.claims()
    assert not find(claims, "no other method listed is higher").holds
    assert not find(claims, "98.35%").holds


def test_arcfaces_sentences() -> None:
    claims = arcface.claims()
    expected = {
        "larger feature maps": True,
        "option E": True,
        "Inception-Resnet-V2": True,
        "drops slightly": False,
        "improves consistently": False,
        "turns to decrease": True,
        "slightly better than CosineFace": False,
        "all of these four datasets": False,
        "best performance before and after": True,
        "78.89%": True,
        "each row of Table 10": False,
    }
    for part, holds in expected.items():
        assert find(claims, part).holds is holds, part


def test_arcfaces_megaface_columns() -> None:
    t9 = arcface.megaface(9)
    assert t9.loc[7].to_dict() == {"Rank1": 83.27, "VR": 98.48, "Rank1 (R)": 98.36, "VR (R)": 98.48}


def test_iams_sentences() -> None:
    claims = iam_pam.iam_claims()
    assert find(claims, "98.567% to 99.117%").holds
    assert not find(claims, "even better than the work").holds
    assert not find(claims, "further improve").holds
    assert find(claims, "worse than that when β = 0").holds
    assert iam_pam.repeated_count() == 24
    (row,) = iam_pam.repeated_numbers().itertuples()
    assert (row.there, row.here, row.table) == ("93.071", "93.017", 4)
    gains = iam_pam.group_gains()
    assert len(gains) == 7 * 3
    assert gains.tried.sum() == 16 * 3
    assert gains.loc[("Ring loss [21]", "LFW"), "best"] == pytest.approx(99.033 - 99.117)


def test_pams_sentences_hold() -> None:
    assert all(claim.holds for claim in iam_pam.pam_claims())


def test_all_papers_are_counted() -> None:
    by_paper = text.claims()
    table = summary.table(by_paper).set_index("paper")
    assert list(table.index) == ["InterFace", "ArcFace", "IAM", "PAM"]
    assert (table["true"] + table["false"] == table["claims checked"]).all()
    assert all(claim.evidence and claim.source for group in by_paper.values() for claim in group)
    assert summary.verdict(by_paper).word == "reproduced in part"
