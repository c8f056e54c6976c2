"""IAM Tables 3 and 4: rows, what is claimed of them, and the shape over β."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.book.papers.made import results

from marginface.book.papers import bases
from marginface.book.papers.iam import betas
from marginface.book.papers.iam.betas import TABLE3, TABLE4, claims, curve, explored, longer, plateau
from marginface.book.records import lookup
from marginface.margins import CosFace, NormFace
from marginface.regularizers import IAM


def percent(difference: str) -> float:
    """Of "-20.1 % [-21.4, -18.7]" the first number: from 0.1 to 0.08 it is -20."""
    return float(difference.partition(" % [")[0])


def test_every_printed_beta_is_a_row_and_some_beyond_them() -> None:
    for item, outside in ((TABLE3, {"β = 0.05", "β = 5", "β = 10"}), (TABLE4, {"β = 0.02", "β = 0.3", "β = 5"})):
        rows = item.ask().rows
        printed = {f"β = {beta:g}" for beta in betas.published.table("iam", int(item.name[-1])).beta}
        assert {name for name in rows if name.startswith("β") and "logits" not in name} == printed | outside
        assert all(row.recipe.regularizers == () for name, row in rows.items() if "β =" not in name)
    assert TABLE4.ask().rows["β = 0.1, on logits"].recipe.regularizers == (IAM(0.1, on="logits"),)


def test_controls_change_one_thing() -> None:
    rows = TABLE3.ask().rows
    base = rows["β = 0"].recipe
    assert isinstance(base.margin, NormFace)
    assert [rows[f"rate × {by}"].recipe.lr / base.lr for by in (1.3, 4)] == [1.3, 4]
    assert rows["s × 2"].recipe.margin == NormFace(2 * base.margin.scale)
    assert isinstance(rows["AM-Softmax"].recipe.margin, CosFace)


def test_on_glyphs_the_base_losses_are_recorded_runs_of_arcface_table_7() -> None:
    glyphs = [recipe for item in (TABLE3, TABLE4) for recipe in item.rounds([0])[0] if recipe.data == "glyphs/1000/32"]
    plain = [recipe for recipe in glyphs if not recipe.regularizers and recipe.lr == 0.1]
    assert sum(lookup(recipe) is not None for recipe in plain) >= 3


def test_with_the_papers_profile_it_is_the_papers_recipe() -> None:
    recipes = [row.recipe for item in (TABLE3, TABLE4) for row in item.ask("paper").rows.values()]
    assert {(recipe.data, recipe.backbone, recipe.batch_size) for recipe in recipes} == {
        ("casia_160x160", "Inception-ResNet-v1", 90)
    }
    assert {recipe.margin for recipe in recipes} == {NormFace(30), CosFace(30, 0.4), NormFace(60)}


def test_verdicts_follow_the_runs() -> None:
    """As printed: every β helps, 0.8 most, and it is better than AM-Softmax; then no β does anything."""
    best = {"β = 0.8": 0.04, "β = 2": 0.08, "β = 0": 0.1}
    assert results(TABLE3, lambda name: best.get(name, 0.06)).verdict().word in ("holds", "smaller than printed")
    none = results(TABLE3, lambda name: 0.1)
    assert {each.word for each in none.judged()} <= {"absent here", "undecided"}
    worse = results(TABLE4, lambda name: 0.12 if name in ("β = 1", "β = 2") else 0.1)
    words = {each.claim.text: each.word for each in worse.judged()}
    assert "β = 0 over β = 1" not in words, "the sentence is about β > 1"
    assert "β = 0 over β = 5" not in words, "the paper has no β = 5"
    assert words["β = 0 over β = 2"] in ("holds", "smaller than printed")
    assert words["β = 0.05 over β = 0"] in ("absent here", "undecided")


def test_printed_sizes_are_of_the_tests_that_are_here_too() -> None:
    """From 98.567 and 90.140 % to 99.117 and 92.714 % on LFW and CFP; over AM-Softmax, 99.067, on LFW alone, as the paper."""
    printed = {claim.text: claim.printed for claim in claims(3, results(TABLE3, lambda name: 0.1))}
    expected = math.exp(sum(math.log(a / b) for a, b in ((0.883, 1.433), (7.286, 9.86))) / 2) - 1
    assert printed["β = 0.8 over β = 0"] == pytest.approx(expected)
    assert printed["β = 0.8 over AM-Softmax"] == pytest.approx(0.883 / 0.933 - 1)
    mean = printed["the mean of the printed β below 1 over β = 0"]
    assert mean is not None
    assert expected < mean < 0


def test_every_row_is_compared_once() -> None:
    made = results(TABLE3, lambda name: 0.1)
    texts = [claim.text for claim in (*claims(3, made), *explored(3, made))]
    assert len(texts) == len(set(texts))
    assert {claim.row for claim in explored(3, made)} >= {"β = 0.05", "β = 5", "rate × 4", "s × 2", "AM-Softmax"}
    compared = {(claim.row, claim.over) for claim in explored(3, made)}
    assert ("β = 0.8", "rate × 1.3") in compared
    four = explored(4, results(TABLE4, lambda name: 0.1))
    assert ("β = 0.1", "β = 0.1, on logits") in {(claim.row, claim.over) for claim in four}


def test_the_curve_has_every_beta() -> None:
    found = curve(3, results(TABLE3, lambda name: 0.05 if name == "β = 0.4" else 0.1))
    assert list(found) == list(betas.BETAS[3])
    assert found[0.4].share == pytest.approx(-0.5, abs=0.05)
    assert abs(found[0.5].share) < 0.05
    assert curve(3, TABLE3.ask()) == {}
    assert plateau(TABLE3.ask()).empty


def test_a_plateau_is_not_told_from_its_best_and_an_optimum_is() -> None:
    flat = plateau(results(TABLE3, lambda name: 0.1 if name in ("β = 0", "β = 5") else 0.05)).set_index("β")
    told = flat.columns[-2]
    many = results(TABLE3, lambda name: 0.1)
    once = plateau(replace(many, runs={name: group[:1] for name, group in many.runs.items()}))
    assert set(once["seeds to tell"]) == {"–"}, "one run says nothing of how many would"
    assert flat.loc[["β = 0", "β = 5"], told].tolist() == ["yes", "yes"]
    assert (flat.drop(["β = 0", "β = 5"])[told] == "yes").sum() == 0
    sharp = plateau(results(TABLE3, lambda name: 0.03 if name == "β = 0.7" else 0.05))
    assert sharp.columns[-2] == "told from β = 0.7"
    assert (sharp.iloc[:, -2] == "yes").all()
    assert (sharp["seeds to tell"] == "").all()
    assert all(each == "over 1,000" or int(each) > 5 for each in flat["seeds to tell"] if each)


def test_whether_the_least_error_lies_at_an_end_is_said() -> None:
    """With a curve that still falls at its end nobody has seen the optimum."""
    for least, at in (("β = 0", "no IAM at all"), ("β = 10", "the largest that was tried"), ("β = 5", "not at an end")):
        errors = {least: 0.05}
        made = results(TABLE3, lambda name: errors.get(name, 0.1))  # noqa: B023
        assert betas.at_an_end(made) == f"On faces that is {least}, {at}."
    assert betas.at_an_end(TABLE3.ask()) == ""


def test_a_larger_rate_in_words() -> None:
    made = results(TABLE3, lambda name: 0.08 if name == "rate × 4" else 0.1)
    assert re.match(r"On faces \*rate × 4\* changes the errors by -20\.\d+ %", betas.of_the_rate(made))
    assert betas.of_the_rate(results(TABLE4, lambda name: 0.1)) == ""


def test_other_betas_have_no_printed_number() -> None:
    asked = TABLE3.ask(beta=[0.15, 0.8])
    assert [name for name in asked.rows if name.startswith("β")] == ["β = 0", "β = 0.15", "β = 0.8"]
    made = results(TABLE3, lambda name: 0.1, beta=[0.15])
    assert [claim.printed for claim in explored(3, made) if claim.row == "β = 0.15"] == [None]
    assert claims(3, made) == []


def test_iam_alone_is_compared_at_its_own_scale() -> None:
    """Which is twice the loss's own on both test beds: there the larger scale alone is recorded, too."""
    made = results(TABLE3, lambda name: 0.08 if name == betas.OWN else 0.1)
    assert made.rows[betas.OWN].recipe.margin == made.rows["s × 2"].recipe.margin
    assert (betas.OWN, "s × 2") in {(claim.row, claim.over) for claim in explored(3, made)}
    (line,) = betas.at_its_own_scale(made).to_dict("records")
    assert (line["on"], line["s with IAM"], line["s without"]) == ("faces", "16", "8")
    assert percent(line["errors, over the same without IAM"]) == pytest.approx(-20, abs=0.5)


def test_how_much_longer_gradients_are_is_read_from_records() -> None:
    """At p = 0.8 on average, 1 - p + 0.8 p is 0.84, 4.2 times 0.2; with a margin 0.2 + 0.05 p is at most 1.25 times 0.2."""
    for item, times in ((TABLE3, "be 4.20 times"), (TABLE4, "at most 1.25 times")):
        number, made = int(item.name[-1]), results(item, lambda name: 0.1)
        assert "do not say" in longer(number, made)
        for run in made.runs["β = 0"]:
            run.arrays["trained shares"] = np.array([0.0, 0.1, 0.2], dtype=np.float32)
        assert longer(number, made).endswith(f"{times} as long.")


def test_iam_at_another_scale_than_that_of_a_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bases.CHOSEN["faces"], bases.WITH_IAM, bases.CANDIDATES["faces"][bases.WITH_IAM][-1])
    made = results(TABLE3, lambda name: 0.08 if name == betas.OWN else 0.1)
    (line,) = betas.at_its_own_scale(made).to_dict("records")
    assert (line["s with IAM"], line["s without"]) == ("32", "8")
    compared = [line[f"errors, over {title}"] for title in ("β = 0", "the same with rate × 4 instead", "AM-Softmax")]
    over_plain, *over_others = map(percent, compared)
    assert over_plain == pytest.approx(-20, abs=0.5)
    assert over_others == pytest.approx([-20] * 2, abs=1)
    assert line["errors, over the same without IAM"] == "–", "there is no such row"
    pairs = {(claim.row, claim.over) for claim in explored(3, made)}
    assert {(betas.OWN, over) for over in ("β = 0", betas.OWN_RATE, "AM-Softmax")} <= pairs
    assert (betas.OWN, "s × 2") not in pairs, "that is another scale"
    rows = made.rows
    assert rows[betas.OWN_RATE].recipe.margin == rows[betas.OWN].recipe.margin
    assert rows[betas.OWN_RATE].recipe.lr == rows["rate × 4"].recipe.lr


def test_iam_at_the_scale_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    assert betas.at_its_own_scale(TABLE3.ask()).empty
    monkeypatch.setitem(bases.CHOSEN["faces"], bases.WITH_IAM, bases.CANDIDATES["faces"][bases.WITH_IAM][0])
    same = results(TABLE3, lambda name: 0.1)
    assert betas.OWN not in same.rows
    (line,) = betas.at_its_own_scale(same).to_dict("records")
    assert (line["s with IAM"], line["errors, over β = 0"]) == ("8", "–")
