"""Rehearsals: every record's is played; the memory of them spares a second time."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.book.test_runs import QUICK

from marginface.adjacent import PAM
from marginface.book import memory, rehearsals
from marginface.book.papers import grids
from marginface.book.records import lookup
from marginface.regularizers import Fresh
from marginface.training.recipes import Recipe


def recorded() -> dict[str, list[Recipe]]:
    """The recipes of the book's records, those that have one rehearsal together."""
    groups: dict[Recipe, list[Recipe]] = {}
    for recipe in dict.fromkeys(r for recipes in grids().values() for r in recipes if lookup(r)):
        groups.setdefault(rehearsals._rehearsed(recipe), []).append(recipe)
    return {played.key: recipes for played, recipes in groups.items()}


RECORDED = recorded()


@pytest.mark.slow
@pytest.mark.parametrize("key", RECORDED)
def test_the_code_computes_what_was_recorded(key: str) -> None:
    """Played here and now, whatever is remembered."""
    now = rehearsals.rehearse(RECORDED[key][0])
    for recipe in RECORDED[key]:
        run = lookup(recipe)
        assert run is not None
        assert rehearsals.same(run.provenance["rehearsal"], now), recipe.key


def test_a_term_that_comes_in_late_is_in_its_rehearsal() -> None:
    """PAM waits for most of a run; how it counts then must be known by a few steps."""
    light, heavy = (replace(QUICK, regularizers=(Fresh.of(PAM, weight=w, start_step=10_000),)) for w in (1.0, 100.0))
    before, after = rehearsals.rehearse(light), rehearsals.rehearse(heavy)
    losses = rehearsals.STEPS // 2
    assert before[:losses] == after[:losses]
    assert before[losses] != after[losses]
    alone = replace(QUICK, regularizers=(Fresh.of(PAM, weight=1.0, start_step=1),))
    assert rehearsals._rehearsed(alone).regularizers == alone.regularizers


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """The recipes that are really played, with an empty memory."""
    found: list[Recipe] = []

    def play(recipe: Recipe) -> tuple[float, ...]:
        found.append(recipe)
        return (2.5, 1.0 + recipe.lr)

    monkeypatch.setattr(memory.pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.setattr(rehearsals, "_played", play)
    return found


def test_a_rehearsal_is_remembered_for_all_seeds(played: list[Recipe]) -> None:
    first = rehearsals.remembered(QUICK)
    assert first == [2.5, 1.0 + QUICK.lr] == rehearsals.remembered(replace(QUICK, seed=7))
    assert len(played) == 1
    assert rehearsals.rehearse(QUICK) == first
    assert len(played) == 2, "who asks for a rehearsal gets one"


def test_only_what_nobody_remembers_is_prepared(played: list[Recipe]) -> None:
    recipes = [replace(QUICK, lr=lr) for lr in (0.1, 0.2, 0.3)]
    rehearsals.remembered(recipes[1])
    assert rehearsals.prepare(recipes + recipes, jobs=1) == 2
    assert rehearsals.prepare(recipes, jobs=1) == 0
    assert len(played) == 3


@pytest.mark.parametrize("damage", [[], {"a": 1}, "text", ["0.1"], 3.0])
def test_what_is_no_rehearsal_is_played_again(played: list[Recipe], damage: object) -> None:
    memory.keep("rehearsals", rehearsals._rehearsed(QUICK).key, damage)
    assert rehearsals.remembered(QUICK) == [2.5, 1.0 + QUICK.lr]
    assert memory.recall("rehearsals", rehearsals._rehearsed(QUICK).key) == [2.5, 1.0 + QUICK.lr]


@pytest.mark.slow
def test_many_are_played_by_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come out as they do one after the other."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(rehearsals, "WORTH_PROCESSES", 2)
    recipes = [replace(QUICK, lr=lr) for lr in (1e-3, 2e-3)]
    assert rehearsals.prepare(recipes, jobs=2) == 2
    for recipe in recipes:
        kept = memory.recall("rehearsals", rehearsals._rehearsed(recipe).key)
        assert kept is not None
        assert rehearsals.same(kept, rehearsals.rehearse(recipe))
