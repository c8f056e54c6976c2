"""ArcFace Tables 2 to 6 and 11: what differs between rows, the paper's own recipes, and what is claimed of them."""

from dataclasses import replace

import pytest

from marginface.backbones import create
from marginface.book import published
from marginface.book.items import Item, Results
from marginface.book.papers import find
from marginface.book.papers.arcface.networks import TABLE2, TABLE3, TABLE4
from marginface.book.papers.arcface.table11 import MARGINS, TABLE11
from marginface.book.papers.arcface.values import TABLE5, TABLE6
from marginface.book.papers.arcface.varied import SEEDS
from marginface.margins import ArcFace, NormFace
from marginface.training import Run
from marginface.training.recipes import Recipe

TABLES = [TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, TABLE11]
FIELD = dict.fromkeys(["Table 2", "Table 3", "Table 4"], "backbone") | {"Table 5": "weight_decay", "Table 6": "margin"}


def every_bed(item: Item) -> list[Results]:
    asked = item.ask()
    return [asked, *item._others(asked).values()]


def made(results: Results, **accuracy: float) -> Results:
    """Runs at these accuracies, on the paper's tests as far as they are ours."""

    def run(recipe: Recipe, name: str, seed: int) -> Run:
        value = accuracy.get(name, 0.8) + 0.001 * seed
        return Run(replace(recipe, seed=seed), {"LFW": value, "CFP-FF": value, "CFP-FP": value}, {}, {}, "made up", "")

    return replace(results, runs={name: [run(row.recipe, name, s) for s in range(3)] for name, row in results.rows.items()})


@pytest.mark.parametrize("item", TABLES[:5], ids=lambda item: item.name)
def test_rows_differ_in_one_setting(item: Item) -> None:
    """And in the dropout, where that is the setting."""
    for results in every_bed(item):
        recipes = [row.recipe for row in results.rows.values()]
        first = recipes[0]
        for recipe in recipes:
            same = {FIELD[item.name]: getattr(first, FIELD[item.name]), "dropout": first.dropout}
            assert replace(recipe, **same) == first
            assert (recipe.dropout != first.dropout) == (item is TABLE3 and recipe is recipes[-1])
        assert len({recipe.key for recipe in recipes}) == len(recipes)


@pytest.mark.parametrize("item", TABLES, ids=lambda item: item.name)
def test_every_printed_line_has_its_row_and_the_rows_are_claimed_about(item: Item) -> None:
    number = int(item.name.split()[1])
    table = published.table("arcface", number)
    for profile in ("book", "paper"):
        asked = item.ask(profile)
        lines = [row.printed for row in asked.rows.values() if row.printed]
        missing = 2 if item is TABLE11 and profile == "book" else 0  # SphereFace and it with triplets
        assert len(lines) == table.row.nunique() - missing
        assert all(published.value(table, line) is not None for line in lines)
    results = made(item.ask())
    assert item.claims is not None
    assert item.explored is not None
    claims = item.claims(results)
    assert claims
    for claim in [*claims, *item.explored(results)]:
        assert claim.measures == ("LFW", "CFP-FP")
    words = {each.word for each in results.judged()}
    assert words <= {"undecided", "absent here"}, "no row is better than another"


def test_the_printed_share_is_over_the_tests_that_are_made() -> None:
    """E over D, with L: LFW from 99.6 to 99.71, CFP-FP from 96.04 to 96.38."""
    claims = {claim.text: claim for claim in TABLE3.claims(made(TABLE3.ask()))}  # type: ignore[misc]
    expected = ((29 / 40) * (362 / 396)) ** 0.5 - 1
    assert claims["SE-LResNetE over SE-LResNetD"].printed == pytest.approx(expected)
    assert claims["SE-LResNetE over SE-LResNetE, no dropout"].printed is None


def test_claims_follow_the_runs() -> None:
    better = made(TABLE4.ask(), **{"SE-LResNetE-IR": 0.9})
    assert better.verdict().word in ("holds", "smaller than printed")
    assert made(TABLE4.ask(), **{"SE-LResNetE": 0.9}).verdict().word == "opposite"


@pytest.mark.parametrize("item", [TABLE2, TABLE3, TABLE4], ids=lambda item: item.name)
def test_with_profile_paper_the_networks_are_the_papers(item: Item) -> None:
    rows = item.ask("paper").rows
    for row in rows.values():
        if row.printed:
            assert row.recipe.backbone == row.printed["backbone"]
    assert {row.recipe.data for row in rows.values()} == {"faces_vgg_112x112"}
    assert item.ask(depth=18, width=32).rows["SE-LResNetE"].recipe.backbone == "SE-LResNet18E-w32"


@pytest.mark.parametrize("item", TABLES, ids=lambda item: item.name)
def test_every_network_can_be_built_for_its_images(item: Item) -> None:
    for results in every_bed(item):
        for row in results.rows.values():
            recipe = row.recipe
            side = int(recipe.data.split("/")[2])
            shape = (1, side, side)
            create(recipe.backbone, embedding_dim=recipe.embedding_dim, image_shape=shape, dropout=recipe.dropout)


def test_table6_has_no_margin_beside_the_papers_and_goes_with_another_network() -> None:
    rows = TABLE6.ask().rows
    assert rows["m = 0"].recipe.margin == NormFace(16.0)
    assert rows["m = 0.8"].recipe.margin == ArcFace(16.0, 0.8)
    other = TABLE6.ask(backbone="LMobileNetE", m=[0.5], steps=7).rows["m = 0.5"].recipe
    assert (other.backbone, other.steps) == ("LMobileNetE", 7)
    paper = TABLE6.ask("paper", m=[0.5], steps=3).rows["m = 0.5"].recipe
    assert (paper.backbone, paper.data, paper.steps, paper.margin) == ("LMobileNetE", "faces_ms1m_112x112", 3, ArcFace(64, 0.5))
    assert TABLE6.ask("paper").rows["m = 0.2"].recipe.steps == 200_000


@pytest.mark.parametrize(("profile", "why"), [("book", "make runs ONLY=arcface/table6"), ("paper", "Recorded runs alone")])
def test_where_nothing_is_shown_of_a_test_bed_its_place_says_why(profile: str, why: str) -> None:
    assert why in TABLE6.ask(profile).on("glyphs").table()._repr_html_()


def test_table11_goes_on_from_the_runs_of_the_same_seed() -> None:
    for results in every_bed(TABLE11):
        for name, row in results.rows.items():
            if name.endswith(", then Triplet"):
                before = results.rows[name.removesuffix(", then Triplet")].recipe
                assert row.recipe.start == before
                assert (row.recipe.lr, row.recipe.momentum, row.recipe.weight_decay) == (0.005, 0.0, 5e-4)
                assert [recipe.start.seed for recipe in row.recipes([3, 4]) if recipe.start] == [3, 4]
    on_faces, on_glyphs = (results.rows for results in every_bed(TABLE11))
    for name in MARGINS:
        seen = [
            [rows[f"other set: {name}{then}"].recipe.data for then in ("", ", then Triplet")] for rows in (on_faces, on_glyphs)
        ]
        assert seen == [["lfw+cfp/first/64/lfw", "lfw+cfp/first/64/cfp"], ["glyphs/300/32", "glyphs/1000/32"]]
    assert not [name for name in TABLE11.ask(data="my folder").rows if name.startswith("other set")]


def test_their_runs_are_asked_for_by_the_names_of_their_pages() -> None:
    from marginface.book.papers import grids

    for item in TABLES:
        assert find("ArcFace", item.name) is item
        assert {recipe.seed for recipe in grids()[item.notebook]} == set(SEEDS)
