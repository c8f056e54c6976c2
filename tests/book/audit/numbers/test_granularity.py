"""Which percentages are k of N, against counting them all."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import matplotlib.pyplot as plt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marginface.book.audit.numbers import granularity as g


@given(st.sampled_from([5000, 6000, 7000]), st.data(), st.sampled_from([1, 2, 3]))
def test_every_fraction_is_found_again_as_it_is_printed(pairs: int, data: st.DataObject, places: int) -> None:
    k = data.draw(st.integers(0, pairs))
    exact, step = Decimal(100 * k) / Decimal(pairs), Decimal(1).scaleb(-places)
    for how in (ROUND_HALF_UP, ROUND_HALF_EVEN):
        assert k in g.counts(str(exact.quantize(step, how)), pairs, "rounded")
    assert k in g.counts(str(exact.quantize(step, ROUND_DOWN)), pairs, "cut off")


@pytest.mark.parametrize(("rule", "how"), [("rounded", ROUND_HALF_UP), ("cut off", ROUND_DOWN)])
@pytest.mark.parametrize("places", [1, 2, 3])
def test_the_share_of_possible_numbers(rule: str, how: str, places: int) -> None:
    printed = {str((Decimal(100 * k) / 700).quantize(Decimal(1).scaleb(-places), how)) for k in range(700)}
    assert g.share_possible(places, 700, rule) == pytest.approx(len(printed) / 10 ** (places + 2))


@pytest.mark.parametrize(
    ("text", "pairs", "rule", "k"),
    [
        ("99.433", 6000, "rounded", [5966]),  # 99.4333
        ("99.71", 6000, "cut off", [5983]),  # 99.7167
        ("99.71", 6000, "rounded", []),
        ("99.72", 6000, "rounded", [5983]),
        ("99.72", 6000, "cut off", []),
        ("93.017", 7000, "rounded", []),
        ("93.017", 6000, "rounded", [5581]),
        ("100.00", 6000, "cut off", [6000]),
        ("0.5", 1000, "rounded", [5]),
    ],
)
def test_single_numbers(text: str, pairs: int, rule: str, k: list[int]) -> None:
    assert list(g.counts(text, pairs, rule)) == k


def test_arcface_cuts_off_and_the_others_round() -> None:
    rules = {name: g.nearest_rule(group) for name, group in g.groups().items()}
    assert {name for name, rule in rules.items() if rule == "cut off"} == {f"ArcFace Table {n}" for n in g.TABLES["ArcFace"]}


def test_the_values_that_cannot_be() -> None:
    table = g.exceptions_table()
    impossible = table[table["state"] == "impossible"]
    assert sorted(impossible["printed"]) == ["90.140", "90.140", "93.017", "93.017"]
    assert impossible["where"].str.contains("CFP-FP").all()
    nearest = dict(zip(table["printed"], table["nearest possible"], strict=True))
    assert nearest == {"87.23": "87.22 = 6,106/7,000", "93.017": "93.014 = 6,511/7,000", "90.140": "90.143 = 6,310/7,000"}
    reasons = dict(zip(table["printed"], table["what would explain it"], strict=True))
    assert reasons["87.23"] == "rounded, where its table is cut off"
    assert "90.14, and a zero added" in reasons["90.140"]
    assert "6,515 with two digits in the other order, 93.071, printed in IAM Table 4" in reasons["93.017"]
    assert "6,000 pairs" in reasons["93.017"]


def test_iam_prints_one_training_in_two_tables_with_two_digits_swapped() -> None:
    cells = {(v.table, v.row): v.text for v in g.values() if v.paper == "IAM" and v.benchmark == "CFP-FP"}
    assert (cells[4, 6], cells[5, 22]) == ("93.071", "93.017")


def test_possible_values_that_their_table_contradicts() -> None:
    table = g.contradicted_table()
    assert table["printed with the same mark"].iloc[:3].tolist() == ["99.367, 93.367", "96.20 (2×), 92.20", "99.32 (2×), 99.23"]
    assert table["they differ in"].iloc[:3].tolist() == ["one digit", "one digit", "the order of two digits"]


def test_as_many_by_chance_on_numbers_small_enough_to_write_down() -> None:
    group = [g.Value("99.433", "IAM", 3, row, "LFW", False) for row in range(2)]
    assert g.fit_by_chance(group, "rounded") == pytest.approx(0.06**2)
    group[1] = g.Value("99.434", "IAM", 3, 1, "LFW", False)
    assert g.fit_by_chance(group, "rounded") == pytest.approx(1 - 0.94**2)


def test_claims() -> None:
    claims = {claim.text.split(":")[0]: claim for claim in g.claims()}
    assert [name for name, claim in claims.items() if not claim.holds] == ["IAM"]
    assert "4 as neither: 90.140 on CFP-FP, 93.017 on CFP-FP" in claims["IAM"].evidence
    assert claims["IAM"].kind == "misprint"
    assert g.verdict().word == "reproduced"
    assert g.verdict().evidence == ("3 of 3 claims hold; beside them 1 misprint",)


def test_the_figure_has_a_row_for_every_table() -> None:
    figure = g.residual_figure()
    assert len(figure.axes[0].get_yticklabels()) == len(g.groups())
    plt.close(figure)


@pytest.mark.parametrize(("text", "rule"), [("101.0", "rounded"), ("99.4", "up"), ("-1", "cut off")])
def test_bad_arguments_are_named(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=r"must be one of|not a percentage"):
        g.counts(text, 6000, rule)
