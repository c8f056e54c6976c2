"""InterFace Tables II to V from runs whose numbers are known: what is counted, chosen and believed."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marginface.book import plots
from marginface.book.items import Results
from marginface.book.papers.interface import ITEMS, selection
from marginface.book.papers.interface.selection import TABLE2
from marginface.book.records import store
from marginface.margins import ArcFace, InterFace
from marginface.training import Recipe, Run

TESTS = ("LFW", "CFP-FF", "CFP-FP")
PAIRS = 10_000


ROWS = TABLE2.ask().rows


def made_up(percent: Mapping[str, Sequence[Sequence[float]]], a: Sequence[float] = TABLE2.parameters["a"]) -> Results:
    """Table II with these values of a, from runs with these accuracies, (seeds, tests) in percent for every row."""
    asked = TABLE2.ask(a=a)
    values = {name: percent[name] for name in asked.rows}
    runs = {name: [run(ROWS[name].recipe, s, each) for s, each in enumerate(seeds)] for name, seeds in values.items()}
    return replace(asked, runs=runs)


def run(recipe: Recipe, seed: int, percent: Sequence[float]) -> Run:
    metrics, arrays = {"templates TAR@FAR=0.001": 0.5}, {}
    for test, value in zip(TESTS, percent, strict=True):
        metrics[test] = value / 100
        arrays[f"{test} correct"] = np.arange(PAIRS) < round(PAIRS * value / 100)
    return Run(replace(recipe, seed=seed), metrics, {}, arrays, "made up", "")


def experiment(
    mean: Callable[[str], float], noise: float, seeds: int = 3, a: Sequence[float] = TABLE2.parameters["a"]
) -> Results:
    """Every row of a table at a mean, its runs spread by noise; each seed moves all rows alike by up to three points."""
    numbers = np.random.default_rng(1)
    shared = numbers.uniform(-3, 3, seeds)
    values = {name: [[mean(name) + shared[s] + numbers.normal(0, noise) for _ in TESTS] for s in range(seeds)] for name in ROWS}
    return made_up(values, a)


def winner(name: str, by: float) -> Callable[[str], float]:
    return lambda each: 80 + by * (each == name)


def test_only_accuracies_on_pairs_are_counted() -> None:
    results = experiment(lambda name: 80, 1)
    assert all("templates TAR@FAR=0.001" in run.metrics for group in results.runs.values() for run in group)
    assert selection.accuracies(results.runs).shape == (len(TESTS), len(results.runs), 3)
    measured = selection.table(2, results).columns.get_level_values(1)[7:]
    assert list(measured) == [*TESTS, "sum"]


def test_rows_take_the_parameters() -> None:
    rows = TABLE2.ask(alpha=0.12, sign="released", scale=8.0, a="[0.15]", epochs=3).rows
    assert list(rows) == ["ArcFace", "f = 0", "a = 0.15", "ArcFace, m = 0.6"]
    assert rows["ArcFace"].recipe.margin == ArcFace(8, 0.5)
    assert rows["ArcFace, m = 0.6"].recipe.margin == ArcFace(8, 0.6), "f as released does about what a larger margin does"
    assert rows["a = 0.15"].recipe.margin == InterFace.cid_ct(scale=8, alpha=0.12, a=0.15, sign="released")
    assert {row.recipe.epochs for row in rows.values()} == {3}
    degrees = selection.TABLE5.ask(b=10).rows["b = 10°"].recipe.margin
    assert degrees.b == pytest.approx(math.radians(10))  # type: ignore[union-attr]


def test_the_paper_profile_has_the_papers_recipe_and_scale() -> None:
    for item in (item for item in ITEMS if item.notebook in ("table1", "table2", "table3", "table4", "table5", "sign")):
        recipes = [row.recipe for row in item.ask("paper", scale=16.0).rows.values()]
        assert {(recipe.data, recipe.backbone) for recipe in recipes} == {("faces_webface_112x112", "LResNet50E-IR")}
        assert {recipe.margin.scale for recipe in recipes} == {64}  # type: ignore[union-attr]


def test_the_table_has_the_printed_numbers_and_ours_with_points() -> None:
    order = {name: 80.0 + place for place, name in enumerate(ROWS)}
    table = selection.table(2, made_up({name: [[level] * 3] * 2 for name, level in order.items()}))
    table.columns = [" ".join(column) for column in table.columns]
    row = table.set_index(" setting").loc["a = 0.2"]
    assert row["as printed, % (Borda points) AgeDB-30"] == "95.033 (6)"
    assert row["as printed, % (Borda points) sum"] == "25 (chosen)"
    assert row["measured here, % [95 % interval] (Borda points) CFP-FP"] == "83.00 [83.00, 83.00] (2)"
    assert row["measured here, % [95 % interval] (Borda points) sum"] == "6"
    null = table.set_index(" setting").loc["ArcFace"]
    assert (null.filter(like="sum") == "–").all()
    assert null["measured here, % [95 % interval] (Borda points) LFW"] == "80.00 [80.00, 80.00]"


def test_a_value_that_is_not_printed_has_no_printed_number() -> None:
    asked = TABLE2.ask(a=0.15)
    runs = {name: [run(row.recipe, s, (80, 81, 82)) for s in range(3)] for name, row in asked.rows.items()}
    table = selection.table(2, replace(asked, runs=runs))
    assert (table["as printed, % (Borda points)"] == "–").all().all()


def test_a_clear_winner_is_chosen_and_believed() -> None:
    results = experiment(winner("a = 0.2", 4), 0.3)
    found = selection.choose(results.runs)
    assert found.chosen == ("a = 0.2",)
    assert found.sums.max() == 18
    assert found.again[1] > 0.99
    assert found.as_high < 0.2  # ranks cannot say how clear it is: all points are not so rare
    assert results.verdict().word == "holds"


def test_a_seed_that_moves_all_settings_is_not_noise() -> None:
    """The seeds of `experiment` are points apart; the spread is that of the settings."""
    assert selection.choose(experiment(lambda name: 80, 0.3, seeds=8).runs).spread == pytest.approx(0.3 / 3**0.5, rel=0.3)


def test_another_clear_winner_contradicts_the_paper_if_its_choice_is_worse() -> None:
    assert experiment(winner("a = 0.2", -4), 0.3).verdict().word == "opposite"


def test_better_than_most_and_worse_than_one_holds_in_part() -> None:
    def level(name: str) -> float:
        return {"a = 0.2": 84, "a = 0.5": 88}.get(name, 80)

    verdict = experiment(level, 0.3).verdict()
    assert verdict.word == "holds in part"
    assert "chooses a = 0.5" in verdict.evidence[1]


def test_settings_that_do_not_differ_are_noise() -> None:
    results = experiment(lambda name: 80, 1)
    found, verdict = selection.choose(results.runs), results.verdict()
    assert verdict.word in ("undecided", "absent here")
    assert found.as_high > 0.05
    assert found.by_chance == pytest.approx(1 / 6, abs=0.02)


def test_null_rows_do_not_take_part() -> None:
    results = experiment(winner("ArcFace", 10), 0.3)
    assert "ArcFace" not in selection.choose(results.runs).names
    assert selection.choose(results.runs).points.max() == 6


def test_settings_that_tie_share_the_choice() -> None:
    results = made_up({name: [[80, 80, 80]] * 3 for name in ROWS})
    found = selection.choose(results.runs)
    assert found.chosen == found.names
    assert (found.sums == 3).all()
    assert found.by_chance == pytest.approx(1 / 6)
    assert results.verdict().word == "absent here"


def test_one_run_decides_nothing_and_says_so() -> None:
    results = experiment(winner("a = 0.2", 4), 0.3, seeds=1)
    assert results.verdict().word == "undecided"
    answers = selection.choice_table(2, results).set_index("question")["answer"]
    assert answers["a choice of a = 0.2 in a repetition"] == "– (one run a setting)"
    assert "[one run]" in results.verdict().evidence[0]


def test_without_the_papers_choice_nothing_can_be_decided() -> None:
    results = experiment(lambda name: 80, 1, a=(0.1, 0.3, 0.4, 0.5))
    assert results.verdict().word == "undecided"
    assert not selection.choice_table(2, results)["question"].str.contains("a = 0.2").any()


def test_a_single_value_can_be_shown() -> None:
    results = experiment(lambda name: 80, 1, a=(0.2,))
    assert results.verdict().word == "undecided"
    assert len(selection.choice_table(2, results)) > 3


def test_the_choice_table_says_what_is_printed() -> None:
    answers = selection.choice_table(2, experiment(lambda name: 80, 1)).set_index("question")["answer"]
    assert answers["the paper's choice"] == "a = 0.2, with a sum of 25"


def test_the_claim_is_about_the_choice_against_the_mean_of_the_others() -> None:
    (claim,) = selection.claims(2, experiment(lambda name: 80, 1))
    assert (claim.row, claim.over) == ("a = 0.2", ("a = 0.1", "a = 0.3", "a = 0.4", "a = 0.5", "a = 0.6"))
    printed = selection.printed_lead(2, ["LFW"])
    errors = np.array([0.567, 0.617, 0.633, 0.667, 0.6])  # of the others on LFW, in percent
    assert printed == pytest.approx(0.55 / np.exp(np.log(errors).mean()) - 1, abs=1e-3)


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    """The spread about a setting's mean, with that of a seed left out: 95 % of the time."""
    hits = []
    numbers = np.random.default_rng(0)
    for _ in range(200):
        noise = numbers.normal(0, 1, (len(ROWS), 3, 3))  # rows, seeds, tests
        runs = made_up({name: 80 + n for name, n in zip(ROWS, noise, strict=True)}).runs
        halves = selection.half_widths(runs)
        hits += [abs(noise[2:-1, :, t].mean(axis=1)) < halves[test] for t, test in enumerate(TESTS)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.02)
    assert np.isnan(list(selection.half_widths(experiment(lambda name: 80, 1, seeds=1).runs).values())).all()


def test_the_figure_has_a_panel_for_every_test() -> None:
    results = experiment(lambda name: 80, 1)
    runs = results.runs
    figure = plots.parameter(selection.by_value(2, results), runs["ArcFace"], selection.half_widths(runs), "a", 0.2)
    assert [axes.get_title() for axes in figure.axes] == list(TESTS)


@given(st.integers(0, 1000))
def test_seeds_that_move_all_settings_alike_change_nothing(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    accuracy = numbers.normal(80, 1, (3, 4, 3))
    moved = accuracy + numbers.normal(0, 5, (3, 1, 3))
    assert selection.residual_covariance(moved) == pytest.approx(selection.residual_covariance(accuracy))


def test_simulated_tests_vary_together_as_measured() -> None:
    """Tests that always agree give one setting all the points; independent ones seldom do."""
    together, apart = np.ones((3, 3)), np.eye(3)
    null = np.zeros((3, 6))
    assert (selection.simulated_sums(null, together, 3, 500, 0).max(axis=1) == 18).mean() > 0.95
    assert (selection.simulated_sums(null, apart, 3, 500, 0).max(axis=1) == 18).mean() == pytest.approx(1 / 36, abs=0.03)


def test_the_verdict_needs_every_record(runs_folder: Path, no_data: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marginface.book.items.stale", lambda run, root: None)
    monkeypatch.setattr("marginface.book.records.data_folder", lambda: runs_folder)
    monkeypatch.setattr("marginface.book.rehearsals.rehearse", lambda recipe: [])
    every = [run for group in experiment(winner("a = 0.2", 4), 0.3, seeds=5).runs.values() for run in group]
    for each in every[:-1]:
        each.provenance = {"steps": 1, "device": "cpu", "precision": "32-true"}
        store(each)
    assert TABLE2.verdict().word == "not yet"
    store(every[-1])
    assert TABLE2.verdict().word == "holds"
