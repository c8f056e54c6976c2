"""The bench on spoiled training sets."""

from dataclasses import replace

import pytest
from tests.book.papers.made import results

from marginface.book.items import Results
from marginface.book.papers import choosing
from marginface.book.papers.choosing import STEPS
from marginface.book.papers.field import methods
from marginface.book.papers.field.methods import MATCHED, METHODS, SPOILED_BEDS, candidates
from marginface.book.papers.field.spoiled import (
    SPOILED,
    SPOILED_SETS,
    THERE,
    beside_sound,
    claims,
    ends,
    explored,
    sound,
    table,
    tabulate,
)
from marginface.book.papers.glyphs import GLYPHS
from marginface.book.records import lookup
from marginface.training.recipes import on_choice


@pytest.fixture
def there(chosen: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the spoiled sets Sub-center ArcFace has the smallest scale and margin, all others the sound set's."""
    for bed in SPOILED_BEDS:
        own = {name: MATCHED["glyphs"][name] for name in candidates(bed)}
        least = {"Sub-center ArcFace": (methods.SCALES["glyphs"][0], methods.MARGINS[0])} if "wrong" in bed else {}
        monkeypatch.setitem(MATCHED, bed, own | least)


def made() -> Results:
    return results(SPOILED_SETS, lambda row: 0.07 if row.startswith("Sub-center") and row.endswith(THERE) else 0.1)


@pytest.mark.usefixtures("chosen")
def test_what_spoils_is_in_the_rows_and_steps_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    for bed in SPOILED_BEDS:
        monkeypatch.setitem(MATCHED, bed, {})
    rows = SPOILED_SETS.ask().rows
    assert len(rows) == len(METHODS) * len(SPOILED)
    assert {row.recipe.steps for row in rows.values()} == {STEPS}
    assert {row.recipe.data for row in rows.values()} == {f"{GLYPHS.data}/{how}" for how in SPOILED}
    recorded = lookup(GLYPHS)
    assert recorded is not None
    assert recorded.provenance["steps"] == STEPS


@pytest.mark.usefixtures("there")
def test_what_losses_were_made_for_is_claimed_at_the_settings_chosen_there() -> None:
    found = {(claim.row, claim.over) for claim in claims(made())}
    assert found == {
        ("Sub-center ArcFace, 10 % wrong, chosen there", "ArcFace, 10 % wrong"),
        ("Sub-center ArcFace, 30 % wrong, chosen there", "ArcFace, 30 % wrong"),
        ("AdaptiveFace, long tail", "ArcFace, long tail"),
        ("Range loss, long tail", "Softmax, long tail"),
        ("Partial FC, long tail", "ArcFace, long tail"),
    }
    others = {(claim.row, claim.over) for claim in explored(made())}
    assert others == {("SphereFace2, 30 % wrong", "ArcFace, 30 % wrong")} | {
        (row, str(row).removesuffix(f", {THERE}")) for row, _ in found if THERE in row
    }
    words = {each.claim.row: each.word for each in made().judged()}
    assert {row for row, word in words.items() if word == "holds"} == {row for row, _ in found if THERE in row}


@pytest.mark.usefixtures("chosen")
def test_nothing_is_claimed_before_it_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for bed in SPOILED_BEDS:
        monkeypatch.setitem(MATCHED, bed, {"Sub-center ArcFace": MATCHED["glyphs"]["Sub-center ArcFace"]})
    assert claims(made()) == []


@pytest.mark.usefixtures("there")
def test_a_smoke_run_claims_what_it_trains() -> None:
    few = replace(made(), runs={row: group for row, group in made().runs.items() if not row.startswith("SphereFace2")})
    assert {claim.text for claim in explored(made())} - {claim.text for claim in explored(few)} == {
        "SphereFace2 over ArcFace, 30 % wrong"
    }


@pytest.mark.usefixtures("there")
def test_the_table_has_a_column_for_each_set_and_a_line_for_what_was_chosen_there() -> None:
    shown = tabulate(made()).set_index("loss")
    assert list(shown.columns) == [f"{title}: errors, %" for title in SPOILED.values()]
    assert list(shown.index)[:2] == ["Softmax", "NormFace"]
    own = shown.loc[f"Sub-center ArcFace, {THERE}"]
    assert float(str(own["10 % wrong: errors, %"])) == pytest.approx(7, rel=0.1)
    assert own["long tail: errors, %"] == "–"


def test_how_many_settings_are_the_last_that_were_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for bed in SPOILED_BEDS:
        middle = {"ArcFace": (methods.SCALES["glyphs"][1], methods.MARGINS[1])}
        least = {"Sub-center ArcFace": (methods.SCALES["glyphs"][0], methods.MARGINS[1])} if "wrong" in bed else {}
        monkeypatch.setitem(MATCHED, bed, middle | least)
    assert ends().startswith(f"2 of {len(SPOILED_BEDS) + 2} settings")


def test_it_is_chosen_on_characters_set_aside() -> None:
    recipes = [recipe for each in methods.choices()["field/spoiled"] for recipe in each]
    assert {recipe.data for recipe in recipes} == {f"glyphs/1000/32/choice/{how}" for how in SPOILED}
    assert on_choice(choosing.recipe_of("glyphs/wrong30")).data == "glyphs/1000/32/choice/wrong30"
    assert len(table()) == len(recipes) == 9 * sum(len(candidates(bed)) for bed in SPOILED_BEDS)


def test_the_same_losses_on_the_sound_set() -> None:
    """From the records: what a loss is worth on a spoiled set may be what it is worth anyway."""
    recorded = SPOILED_SETS.recorded()
    assert recorded is not None
    there = sound(recorded)
    assert min(len(group) for group in there.runs.values()) >= 5
    table = beside_sound(recorded, there).set_index("")
    assert len(table) == len(claims(recorded)) + sum(len(method.explored) for method in METHODS.values())
    own = {each.claim.text: each.difference for each in recorded.judged()}
    assert own.items() <= table["there"].to_dict().items()
    assert table["on the sound set"].str.endswith("]").all()
    smoke = replace(recorded, settings=SPOILED_SETS.ask("smoke").settings)
    assert set(beside_sound(smoke, sound(smoke))["on the sound set"]) == {"–"}
    other = replace(recorded, settings=SPOILED_SETS.ask(steps=7).settings)
    assert sound(other).runs == {}
