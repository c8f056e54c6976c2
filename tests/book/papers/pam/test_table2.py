"""PAM Table 2: rows, claims at the λ that was fixed beforehand, and what a choice on the test adds."""

from dataclasses import replace

import pytest
from tests.book.papers.made import results

from marginface.book.papers.bases import LAMBDAS
from marginface.book.papers.pam.table2 import (
    COMPARED,
    TABLE2,
    best_lambda,
    claims,
    explored,
    fixed,
    judged_at,
    left,
    tabulate,
    together,
    trainings,
)


def test_both_versions_have_every_lambda_from_the_same_step_on() -> None:
    rows = TABLE2.ask().rows
    terms = [dict(row.recipe.regularizers[0].settings) for name, row in rows.items() if name.startswith("PAM")]  # type: ignore[union-attr]
    assert [(term["version"], term["weight"]) for term in terms] == [(v, weight) for v in (1, 2) for weight in LAMBDAS]
    assert {term["start_step"] for term in terms} == {382}
    on_glyphs = [recipe for recipe in TABLE2.rounds([0])[0] if recipe.data == "glyphs/1000/32" and recipe.regularizers]
    assert {dict(recipe.regularizers[0].settings)["start_step"] for recipe in on_glyphs} == {749}  # type: ignore[union-attr]


def test_with_the_papers_profile_it_is_its_four_schemes() -> None:
    rows = TABLE2.ask("paper").rows
    assert list(rows) == ["Softmax", "AM-Softmax", "PAM v1, λ = 1", "PAM v2, λ = 1"]
    assert {row.recipe.steps for row in rows.values()} == {360_000}


def test_claims_are_about_one_lambda_on_pairs_and_on_videos() -> None:
    made = results(TABLE2, lambda name: 0.1)
    printed = {claim.text: claim.printed for claim in claims(made)}
    row = fixed(made)[1]
    assert printed["PAM v1 over AM-Softmax on pairs"] == pytest.approx((100 - 99.63) / (100 - 99.57) - 1)
    assert printed["PAM v1 over AM-Softmax on videos"] == pytest.approx((100 - 96.14) / (100 - 95.62) - 1)
    assert {claim.measures for claim in claims(made)} == {("LFW",), ("templates TAR@FAR=0.0001",)}
    other = fixed(made)[2]
    assert {(claim.row, claim.measures) for claim in claims(made)} == {
        *((row, ("LFW",)) for row in (row, other)),
        (row, ("templates TAR@FAR=0.0001",)),
    }, "of videos the paper says it of the first version alone"
    both = replace(made, beds={"glyphs": made})
    named = "PAM v1, λ = 0.1 and PAM v2, λ = 0.1"
    assert judged_at(both) == f"PAM v1 and PAM v2 are those with the λ that was chosen: {named}; {named} on glyphs."
    assert len(claims(made)) == 3 * len(COMPARED) - 1, "L-Softmax was not tried on videos"
    assert {claim.text: claim.printed for claim in explored(made)}["PAM v1 over L-Softmax on videos"] is None, "not printed"
    assert printed["PAM v1 over A-Softmax on videos"] is None, "quoted, of another training set"
    assert not {claim.text for claim in explored(made)} & printed.keys()


def test_how_much_is_left_to_learn_when_lambda_begins() -> None:
    """Where the rate falls evenly from step 0 to step 500, the last 118 steps have 118 · 119 / 2 of 500 · 501 / 2 parts."""
    made = results(TABLE2, lambda name: 0.1)
    name = fixed(made)[1]
    run = made.runs[name][0]
    assert "λ does not begin" in left(made), "these made up runs have one step"
    run.provenance["steps"] = 500
    made.runs[name][0] = replace(run, recipe=replace(run.recipe, schedule="linear", warmup=0.0))
    assert "step 382 of 500" in left(made)
    assert "5.6 % is still to come then, and 0.8 % by the paper's own rates" in left(made)
    assert left(TABLE2.ask()) == ""


def test_a_choice_on_the_test_set_flatters() -> None:
    """All λ are alike: the best of four is better than the one that was fixed, by noise alone."""
    made = results(TABLE2, lambda name: 0.1, noise=0.05)
    table = best_lambda(made)
    assert len(table) == 4
    chosen, best = (table[name].str.extract(r"^([+-][\d.]+)")[0].astype(float) for name in (table.columns[3], table.columns[5]))
    assert (best <= chosen).all()
    assert (best < chosen).any()


def test_a_lambda_that_helps_is_found() -> None:
    helps, _ = fixed(TABLE2.ask()).values()
    made = results(TABLE2, lambda name: {helps: 0.08, "Softmax": 0.2}.get(name, 0.1))
    words = {each.claim.text: each.word for each in made.judged()}
    assert words["PAM v1 over AM-Softmax on pairs"] == "holds"
    assert words["PAM v2 over AM-Softmax on pairs"] in ("absent here", "undecided")
    assert words["PAM v1 over Softmax on videos"] in ("holds", "smaller than printed")
    assert "AM-Softmax over Softmax on videos" not in words, "the paper does not say it"


def test_the_table_has_both_printed_columns() -> None:
    table = tabulate(results(TABLE2, lambda name: 0.1)).set_index("row")
    assert table["LFW printed, %"]["A-Softmax"] == "99.42"
    assert table["YTF printed, %"]["A-Softmax"] == "95.00"
    assert table.loc["L-Softmax", "YTF printed, %"] == "–"
    assert str(table.loc["Softmax", "LFW measured, %"]).startswith("90.")


def test_one_training_counts_once() -> None:
    """PAM's rows are AM-Softmax's training but for its end: all of them measure what is said of these, else one does."""
    every = ["Softmax", "AM-Softmax", "PAM v1", "PAM v2"]
    assert trainings(every, "PAM v1", "AM-Softmax") == ("AM-Softmax", "PAM v1", "PAM v2")
    assert trainings(every, "PAM v1", "Softmax") == ("Softmax", "PAM v1")
    made = results(TABLE2, lambda name: 0.1, noise=0.05)
    copied = {
        name: [replace(run, metrics=made.runs["AM-Softmax"][n].metrics) for n, run in enumerate(group)]
        for name, group in made.runs.items()
        if name.startswith("PAM")
    }
    alike = replace(made, runs=made.runs | copied)
    (effect,) = (each for each in alike.judged() if each.claim.text == "PAM v1 over Softmax on pairs")
    assert effect.found.seeds_freedom == 4 * (len(COMPARED) - 1), "one row for each training, less the seeds"


def test_recorded_runs_are_one_training_until_lambda_begins() -> None:
    """To the last digit: those of one seed were made on one kind of processor."""
    recorded = TABLE2.recorded()
    assert recorded is not None
    for there in (recorded, recorded.on("glyphs")):
        assert together(there, there.settings.start_step) == dict.fromkeys(range(5), True)


def test_runs_that_rounding_has_parted_are_named() -> None:
    made = results(TABLE2, lambda name: 0.1)
    for name, group in made.runs.items():
        for run in group:
            run.provenance["steps"] = 500
            run.curves.update(
                step=[1, 382, 400], loss=[9.0, 8.0 + (run.recipe.seed == 3) * (name == "AM-Softmax") * 1e-7, len(name)]
            )
    assert "But their losses differ before, by rounding, with seed 3: run" in left(made)
    made.runs["AM-Softmax"][3].curves["loss"][1] = 8.0
    assert "But" not in left(made)


def test_without_runs_there_is_nothing_to_choose() -> None:
    assert len(best_lambda(TABLE2.ask())) == 0
