"""The field's losses: a search of one size for each, and at the best of what was tried."""

import re
from itertools import product
from types import SimpleNamespace

import pytest

from marginface import sampling
from marginface.adaptive import AdaptiveFace
from marginface.book.papers import choosing, grids
from marginface.book.papers.field import methods
from marginface.book.papers.field.methods import (
    CHOICES,
    MARGINS,
    MATCHED,
    METHODS,
    NINE,
    SCALES,
    SEEDS,
    at_best,
    best,
    candidates,
    choices,
    cost,
    ends,
    matched,
    searched,
    settled,
    table,
)
from marginface.regularizers import Fresh
from marginface.spread import MarginalLoss, RangeLoss, UniformFace
from marginface.training.recipes import Recipe, loss_kinds


@pytest.mark.parametrize("bed", SCALES)
def test_each_is_tried_at_nine_settings_where_it_has_any(bed: str) -> None:
    counts = {name: len(losses) for name, losses in candidates(bed).items()}
    assert {name: count for name, count in counts.items() if count != 9} == {
        "Softmax": 1,
        "AdaCos, fixed": 1,
        "AdaCos, dynamic": 1,
    }


@pytest.mark.parametrize("bed", [bed for beds in CHOICES.values() for bed in beds])
def test_what_is_chosen_is_the_best_when_all_were_tried(bed: str) -> None:
    assert best(bed) == MATCHED[bed]


def test_what_is_to_be_chosen_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """AdaFace has another setting than its best, one of CosFace's candidates is missing, ArcFace was not chosen."""
    right = MATCHED["glyphs"]
    other = next(pair for pair in product(SCALES["glyphs"], MARGINS) if pair != right["AdaFace"])
    wrong = {name: pair for name, pair in right.items() if name != "ArcFace"} | {"AdaFace": other}
    monkeypatch.setitem(MATCHED, "glyphs", wrong)
    known = choosing.standings("glyphs", candidates("glyphs"), SEEDS)
    del known["CosFace"][candidates("glyphs")["CosFace"][0]]
    standings = choosing.standings
    monkeypatch.setattr(choosing, "standings", lambda bed, *asked: known if bed == "glyphs" else standings(bed, *asked))
    told = settled()
    for name in ("ArcFace", "AdaFace"):
        assert f'MATCHED["glyphs"]["{name}"] = {right[name]}\n' in told
    assert re.search(r"^glyphs: settings of .*CosFace.* were not all tried: make runs ONLY=field$", told, re.MULTILINE)
    assert told.count("MagFace") == 0


def test_where_all_is_settled_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "CHOICES", {"field": ("glyphs",)})
    monkeypatch.setattr(
        methods, "candidates", lambda bed: {name: METHODS[name].candidates(bed) for name in ("Softmax", "ArcFace")}
    )
    assert settled() == "MATCHED is what the recorded runs say"


def test_nothing_is_at_its_best_before_it_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MATCHED, "glyphs", {})
    assert list(at_best("glyphs")) == ["Softmax", "AdaCos, fixed", "AdaCos, dynamic"], "of which there is one setting"
    assert matched("glyphs", "ArcFace") is None


def test_a_smoke_run_is_of_a_few() -> None:
    assert list(at_best("glyphs", "smoke")) == [
        *("Softmax", "ArcFace", "Sub-center ArcFace", "AdaptiveFace", "Range loss", "Partial FC"),
    ]


def test_everything_is_tried_on_what_is_set_aside_alone() -> None:
    (recipes,) = choices()["field"]
    assert {recipe.data for recipe in recipes} == {"lfw+cfp/first/64/choice", "glyphs/1000/32/choice"}
    assert grids()["field"] == recipes


def test_the_papers_settings_are_the_defaults_of_the_classes() -> None:
    """Which say where they come from; with the exceptions that are named here."""
    other = {
        "NormFace": "IAM's s = 30 is the default",
        "SphereFace": "the annealing of the public code",
        "InterFace": "the set cid&ct",
        "ElasticFace-Cos": "of two kinds",
        "ElasticFace-Arc+": "of two kinds",
        "ElasticFace-Cos+": "of two kinds",
        "AdaCos, fixed": "of two kinds",
        "SphereFace2": "the weight of its authors' code",
        "UniformFace": "added to SphereFace with the annealing",
    }
    printed = {name: loss for name, method in METHODS.items() if (loss := method.as_printed)}
    for name, loss in printed.items():
        if name not in other:
            assert loss.margin == type(loss.margin)(), name
    assert printed["UniformFace"].added == (UniformFace(pairs="batch"),)
    assert printed["Marginal loss"].added == (MarginalLoss(1.0),)
    assert printed["Range loss"].added == (RangeLoss(5e-5, 1e-4, 2e4),)
    assert printed["Partial FC"].sample_rate == 0.1
    assert METHODS.keys() - printed == {"Dyn-ArcFace", "Contrastive loss"}, "of whose papers no setting was to be had"


@pytest.mark.parametrize("bed", SCALES)
def test_candidates_are_ones_that_can_be_trained(bed: str) -> None:
    """AdaptiveFace's margins would grow for ever with λ of s and more; Partial FC wants others beside the batch's classes."""
    for loss in candidates(bed)["AdaptiveFace"]:
        assert isinstance(loss.margin, AdaptiveFace)
        assert loss.margin.lam < loss.margin.scale / 2
    for loss in candidates(bed)["Partial FC"]:
        assert sampling.chosen(750, loss.sample_rate, 128) > 1.5 * 128


def test_what_is_not_in_the_bench_is_trained_for_another_page() -> None:
    """Each loss of the library, but for two that stand in figures and formulas alone."""
    losses = [method.at(1.0, 1.0) for method in METHODS.values()]
    here = [part for loss in losses for part in (loss.margin, *loss.added)]
    others = [part for recipes in grids().values() for recipe in recipes for part in (recipe.margin, *recipe.regularizers)]
    trained = {(part.kind if isinstance(part, Fresh) else type(part)).__name__ for part in (*here, *others)}
    settings = {"Annealing", "Ramp"}
    assert set(loss_kinds()) - trained - settings == {"WeightNormSoftmax", "CombinedMargin"}


def test_recipes_are_told_apart_and_come_back() -> None:
    (recipes,) = choices()["field"]
    assert len({recipe.key for recipe in recipes}) == len(recipes)
    for recipe in recipes:
        assert Recipe.from_json(recipe.to_json()) == recipe


def test_what_was_tried_has_a_mark_where_it_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MATCHED, "glyphs", {"ArcFace": (SCALES["glyphs"][0], MARGINS[0])})
    tried = table("glyphs")
    assert len(tried) == sum(len(losses) for losses in candidates("glyphs").values())
    assert tried.settings.str.endswith("(chosen)").sum() == 3 + 1


def test_how_far_settings_lie_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of losses of which all nine were tried; the others say nothing."""
    known: dict[str, dict[object, float]] = {
        "ArcFace": {n: 0.1 + 0.01 * n for n in range(9)},
        "CosFace": {n: 0.2 + 0.03 * n for n in range(9)},
        "AdaFace": dict.fromkeys(range(8), 0.5),
        "Softmax": {0: 0.3},
    }
    monkeypatch.setattr(choosing, "standings", lambda *_: known)
    assert "in the middle errs 50 % more than the best, and the worst 2.0 times as much (the median of 2 losses)" in searched(
        "glyphs"
    )
    monkeypatch.setattr(choosing, "standings", lambda *_: {})
    assert searched("faces") == ""


def test_what_a_search_took_is_what_its_records_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute on two threads each, and one is missing."""
    missing = choosing.tried("glyphs", candidates("glyphs")["Softmax"][0], SEEDS)
    run = SimpleNamespace(provenance={"duration_s": 60.0, "threads": 2, "device": "cpu"})
    monkeypatch.setattr(methods, "lookup", lambda recipe: None if recipe in missing else run)
    made = sum(len(losses) for losses in candidates("glyphs").values()) - 1
    assert cost("glyphs") == f"On glyphs {made} runs were made for it, {made / 30:.1f} hours of one thread."


def test_what_stands_at_the_end_of_what_was_tried_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _, scale, most = SCALES["glyphs"]
    chosen = {
        "ArcFace": (scale, MARGINS[1]),
        "CosFace": (most, MARGINS[1]),
        "N-pair loss": (NINE[3], 1.0),
    }
    monkeypatch.setitem(MATCHED, "glyphs", chosen)
    assert ends("glyphs").startswith("Of 3 losses 1 err least")
    assert ends("glyphs").endswith(": CosFace.")
