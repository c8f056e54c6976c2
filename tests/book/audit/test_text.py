"""Claims on printed tables: the look-ups by hand, and sentences that turn out either way when a table says otherwise."""

import pandas as pd
import pytest

from marginface.book import published
from marginface.book.audit import summary, text
from marginface.book.audit.numbers import printed
from marginface.book.audit.text import arcface, arcface_words, iam, interface, interface_words, pam
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
    assert off.kind == "claim"
    assert "not printed" in printed.cites("1%", "here", [float("nan")], "there").evidence
    assert printed.cites("98.28%", "here", [93.28], "there").kind == "misprint"
    assert printed.cites("96.45% and 1%", "here", [96.54, 2.5], "there").kind == "claim", "one of two is no slip"
    with pytest.raises(ValueError, match=r"1 percentages in '1%', but 2"):
        printed.cites("1%", "here", [1, 2], "there")


def test_interfaces_thirteen_benchmarks() -> None:
    tests = interface.by_test()
    assert len(tests) == 13
    assert tests["IJB-B at 1e-5"]["InterFace_did&dt"] == 91.57
    claims = interface.claims()
    assert find(claims, "no other method listed is higher").holds
    assert find(claims, "in the second rank").holds
    for slip in ("98.28%", "99.73%", "96.45%", "Table.VI, Table.VIII and Table.I"):
        assert (find(claims, slip).holds, find(claims, slip).kind) == (False, "misprint"), slip
    for wrong in ("obtained 91.57%", "CircleLoss [23]", "rank-4 in both"):
        assert (find(claims, wrong).holds, find(claims, wrong).kind) == (False, "claim"), wrong
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
        "drops slightly": True,
        "about 15%": True,
        "improves consistently": False,
        "turns to decrease": True,
        "slightly better than CosineFace": False,
        "all of these four datasets": False,
        "best performance before and after": True,
        "78.89%": True,
    }
    for part, holds in expected.items():
        assert find(claims, part).holds is holds, part


def test_arcfaces_megaface_columns() -> None:
    t9 = arcface.megaface(9)
    assert t9.loc[7].to_dict() == {"Rank1": 83.27, "VR": 98.48, "Rank1 (R)": 98.36, "VR (R)": 98.48}


def test_iams_sentences() -> None:
    claims = iam.claims()
    assert find(claims, "98.567% to 99.117%").holds
    assert find(claims, "even better than the work").holds
    assert "YTF -0.02" in find(claims, "even better than the work").evidence
    assert find(claims, "further improve").holds
    assert "20 of 21" in find(claims, "further improve").evidence
    assert find(claims, "worse than that when β = 0").holds
    assert iam.repeated_count() == 24
    (row,) = iam.repeated_numbers().itertuples()
    assert (row.there, row.here, row.table) == ("93.071", "93.017", 4)
    gains = iam.group_gains()
    assert len(gains) == 7 * 3
    assert gains.tried.sum() == 16 * 3
    assert gains.loc[("Ring loss [21]", "LFW"), "best"] == pytest.approx(99.033 - 99.117)


def test_pams_sentences_hold() -> None:
    assert all(claim.holds for claim in pam.claims())


def test_all_papers_are_counted() -> None:
    by_paper = text.claims()
    table = summary.table(by_paper).set_index("paper")
    assert list(table.index) == ["InterFace", "ArcFace", "IAM", "PAM"]
    assert (table["true"] + table["false"] == table["claims checked"]).all()
    assert all(claim.evidence and claim.source for group in by_paper.values() for claim in group)
    assert summary.verdict(by_paper).word == "reproduced in part"


def test_interfaces_words() -> None:
    claims = interface_words.claims()
    expected = {
        "very close to the state-of-the-art in the other 8": (False, "claim"),
        "significantly improves": (True, "claim"),
        "have a better performance compared to": (False, "claim"),
        "α and a are related": (False, "claim"),
        "true acceptance rates": (False, "claim"),
        "obtain the values of a and b": (False, "misprint"),
        "on LFW and CALFW": (False, "misprint"),
        "refined in [paper]": (False, "misprint"),
        "above the quoted ArcFace": (True, "observation"),
        "among the best on IJB-B": (True, "observation"),
    }
    for part, outcome in expected.items():
        assert (find(claims, part).holds, find(claims, part).kind) == outcome, part
    assert (
        "IJB-B at 1e-6 -6.69, MegaFace -1.51, IJB-C at 1e-6 -0.45"
        in find(claims, "very close to the state-of-the-art in").evidence
    )
    assert "2 of 6,000 pairs, CALFW +0.07 points, 4 of 6,000" in find(claims, "significantly improves").evidence
    assert "in 4 of 6 columns" in find(claims, "have a better performance").evidence
    assert "of 10 settings, 6 have α = 0.1 and 5 have a = 0.2, 0 neither" in find(claims, "are related").evidence


def test_training_sets_that_differ_between_interfaces_tables() -> None:
    moved = interface_words.train_sets_that_differ().set_index("method").listed
    assert list(moved.index) == ["Dynamic-AdaCos", "UniformFace", "CircleLoss"]
    assert moved["CircleLoss"].startswith("Table VI [23], clean MS1M [7], [23] · Table VII [23], MS1MV2")
    assert "Table VI [28], MS1MV2" in moved["Dynamic-AdaCos"]
    assert "Table VII [11], clean MS1M" in moved["Dynamic-AdaCos"]


def test_a_setting_with_both_changed_would_show_a_relation(monkeypatch: pytest.MonkeyPatch) -> None:
    table = published.table

    def other(paper: str, number: int) -> pd.DataFrame:
        frame = table(paper, number)
        return frame.assign(a=0.3) if (paper, number) == ("interface", 3) else frame

    monkeypatch.setattr(published, "table", other)
    assert find(interface_words.claims(), "are related").holds


def test_arcfaces_words() -> None:
    claims = arcface_words.claims()
    assert find(claims, "Figure 8(c)").kind == "misprint"
    assert find(claims, "100k photos").holds
    assert [claim.text for claim in claims if claim.kind == "observation" and not claim.holds] == []
    verification = find(claims, "verification rate (VR) of few rows").evidence
    for lowered in ("Table 9 row 3 (95.43 to 95.07)", "Table 9 row 6 (98.2 to 97.83)", "Table 10 row 5 (98.33 to 97.94)"):
        assert lowered in verification
    assert "CFP-FP 0.64, AgeDB-30 1.67" in find(claims, "relatively small").evidence
    assert arcface_words.side_without_l(112) == 4
    assert arcface_words.side_without_l(224) == 7


def test_rows_of_iams_table_5() -> None:
    rows = iam.risen_rows()
    assert len(rows) == 16
    full = rows[rows.risen == 3].groupby("base").size().to_dict()
    assert full == {"Eq.(3)": 2, "Center loss [16]": 2, "l2-constrained [20]": 2, "AM-loss [9][11]": 1}
    sphere = rows[rows.base == "SphereFace [23]"].fell.tolist()
    assert sphere == ["LFW -0.033", "CFP-FP -0.014"]
    assert all(claim.holds for claim in iam.claims() if claim.kind == "observation")


def test_how_long_pam_trains_with_its_term() -> None:
    plan = pam.schedule()
    assert (plan["epochs"], plan["active"], plan["images"]) == (361, 86, 120_000)
    assert plan["passes"] == pytest.approx(361 * 120_000 / 3.05e6)
    assert "0.025%" in find(pam.claims(), "as many pairs as there are classes").evidence
