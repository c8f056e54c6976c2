"""The bench: every loss twice, judged over ArcFace, in groups that cannot be told apart."""

import re

import numpy as np
import pytest
from tests.book.papers.made import results

from marginface.book.papers.field.bench import BENCH, MANY, PRINTED, alike, claims, explored, parts, spread, tabulate
from marginface.book.papers.field.methods import METHODS
from marginface.book.papers.field.spoiled import MADE_FOR, SPOILED, SPOILED_SETS, STEPS
from marginface.book.papers.glyphs import GLYPHS
from marginface.book.records import lookup
from marginface.margins import ArcFace


def test_every_method_is_there_at_its_best_and_as_printed() -> None:
    rows = BENCH.ask().rows
    assert set(METHODS) <= set(rows)
    alone = {name for name in METHODS if f"{name}, {PRINTED}" not in rows}
    assert alone >= {"Softmax", "AdaCos, fixed", "AdaCos, dynamic"}
    assert rows[f"ArcFace, {PRINTED}"].recipe.margin == ArcFace()
    many = BENCH.beds["glyphs, 10,000 characters"].of(BENCH.ask().settings)
    assert many.data == MANY
    assert BENCH.rows is not None
    assert set(BENCH.rows(many)) == set(METHODS), "at their best alone"


def test_with_the_papers_profile_it_is_interfaces_recipe() -> None:
    rows = BENCH.ask("paper").rows
    assert {row.recipe.data for row in rows.values()} == {"faces_emore"}
    assert set(rows) == set(METHODS)


def test_claims_are_over_arcface_with_what_interfaces_table_prints() -> None:
    made = results(BENCH, lambda name: 0.1)
    found = {claim.text: claim for claim in claims(made)}
    assert set(found) == {f"{name} over ArcFace" for name in METHODS if name != "ArcFace"}
    elastic = found["ElasticFace-Arc over ArcFace"].printed
    assert elastic == pytest.approx(((100 - 99.82) / (100 - 99.82) * (100 - 98.60) / (100 - 98.27)) ** 0.5 - 1)
    assert found["AdaFace over ArcFace"].printed is None
    assert not found.keys() & {claim.text for claim in explored(made)}


def test_a_group_of_alike_and_one_that_errs_less() -> None:
    made = results(BENCH, lambda name: 0.07 if name == "AdaFace" else 0.1)
    table = alike(made)
    assert table.loss[0] == "AdaFace"
    assert table.iloc[0, -1] == "–"
    assert len(str(table.iloc[1, -1]).split(", ")) >= 20
    assert len(table) == len(METHODS)


def test_parts_of_the_spread() -> None:
    """The losses' and the seeds', told from each other; and what a search is worth that takes a tenth of the errors away."""
    numbers = np.random.default_rng(0)
    shares = {name: 0.1 * np.exp(0.2 * numbers.normal()) for name in METHODS}

    def error(row: str) -> float:
        return shares[row.removesuffix(f", {PRINTED}")] / (0.9 if row.endswith(PRINTED) else 1)

    made = results(BENCH, error, noise=0.05)
    loss, seed = spread(made)
    assert loss == pytest.approx(np.log(list(shares.values())).std(ddof=1), rel=0.2)
    assert 0.05 < seed < 0.12  # a tenth up or down for all, and the noise
    assert re.search(r" have (9|10|11) % fewer errors than the papers'", parts(made))


def test_the_table_has_settings() -> None:
    table = tabulate(results(BENCH, lambda name: 0.1)).set_index("loss")
    assert table.setting["UniformFace"].endswith("+ UniformFace(weight=1.0, pairs='batch')")


def test_what_spoils_is_in_the_rows_and_steps_are_alike() -> None:
    rows = SPOILED_SETS.ask().rows
    assert len(rows) == len(METHODS) * len(SPOILED)
    assert {row.recipe.data for row in rows.values()} == {f"{GLYPHS.data}/{how}" for how in SPOILED}
    recorded = lookup(GLYPHS)
    assert recorded is not None
    assert recorded.provenance["steps"] == STEPS


def test_what_losses_were_made_for_is_claimed_and_the_rest_explored() -> None:
    made = results(SPOILED_SETS, lambda name: 0.1)
    assert SPOILED_SETS.claims is not None
    assert SPOILED_SETS.explored is not None
    claimed, others = SPOILED_SETS.claims(made), SPOILED_SETS.explored(made)
    assert len(claimed) == sum(map(len, MADE_FOR.values()))
    assert len(claimed) + len(others) == (len(METHODS) - 1) * len(SPOILED)
    table = SPOILED_SETS.tabulate(made) if SPOILED_SETS.tabulate else None
    assert table is not None
    assert list(table.columns[1:]) == [f"{title}, %" for title in SPOILED.values()]
