"""InterFace Table I at other scales and lengths: every split against ArcFace with the same scale and length."""

from tests.book.papers.made import results

from marginface.book.effects import names
from marginface.book.papers.interface.losses import EQUAL_MARGINS, table1
from marginface.book.papers.interface.scales import SCALES, claims


def test_every_scale_has_table_1_and_the_middle_one_is_trained_longer_too() -> None:
    rows = SCALES.ask(scales=[8.0, 32.0, 16.0], lengths=[3, 5]).rows
    settings = [(recipe.margin.scale, recipe.epochs) for row in rows.values() for recipe in [row.recipe]]  # type: ignore[union-attr]
    assert list(dict.fromkeys(settings)) == [(8.0, 3), (32.0, 3), (16.0, 3), (16.0, 5)]
    assert len(rows) == 4 * len(EQUAL_MARGINS)
    assert list(rows)[-1] == f"s = 16, 5 epochs: {list(table1())[-1]}"


def test_the_papers_recipe_has_one_length() -> None:
    rows = SCALES.ask("paper").rows
    assert len({row.recipe for row in rows.values()}) == len(rows) == 3 * len(EQUAL_MARGINS)
    assert all(f"{row.recipe.epochs} epochs" in name for name, row in rows.items())


def test_a_split_is_held_against_arcface_of_the_same_scale_and_length_alone() -> None:
    made = results(SCALES, lambda row: 0.1 if row.startswith("s = 64") else 0.05)
    found = claims(made)
    assert len(found) == 4 * (len(EQUAL_MARGINS) - 1)
    for claim in found:
        settings = {name.split(": ")[0] for name in (*names(claim.row), *claim.among)}
        assert len(settings) == 1
        assert len(claim.among) == len(EQUAL_MARGINS)
        assert names(claim.over) == claim.among[:1]
    assert {effect.word for effect in made.judged()} == {"holds"}, "that s = 64 errs twice as much is no difference of splits"
