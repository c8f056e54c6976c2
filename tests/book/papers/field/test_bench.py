"""The bench: every loss twice, judged over ArcFace, in groups that cannot be told apart."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from tests.book.papers.made import results

from marginface.book.items import Results
from marginface.book.papers.choosing import AS_PRINTED, ON_GLYPHS, ON_MANY
from marginface.book.papers.field.bench import (
    APART,
    BENCH,
    PRINTED,
    _spans,
    alike,
    as_chosen_there,
    as_printed,
    at_both,
    claims,
    explored,
    orders,
    parts,
    sentences,
    spread,
    stands_on,
    tabulate,
    worth,
)
from marginface.book.papers.field.methods import BASE, MANY_BED, MARGINS, MATCHED, METHODS, SCALES, THERE
from marginface.book.papers.interface.losses import SMALL
from marginface.data.catalog import other_half
from marginface.margins import ArcFace

pytestmark = pytest.mark.usefixtures("chosen")


def test_every_method_is_there_at_its_best_and_as_printed() -> None:
    rows = PRINTED.ask().rows
    assert BENCH.ask(**ON_GLYPHS).rows == {name: rows[name] for name in METHODS}
    assert BENCH.ask().rows.keys() == METHODS.keys()
    assert {row.recipe.data for row in BENCH.ask().rows.values()} == {SMALL.data}
    alone = {name for name in METHODS if f"{name}, {AS_PRINTED}" not in rows}
    assert alone >= {"Softmax", "AdaCos, fixed", "AdaCos, dynamic"}
    assert rows[f"ArcFace, {AS_PRINTED}"].recipe.margin == ArcFace()


def test_with_the_papers_profile_it_is_interfaces_recipe() -> None:
    rows = BENCH.ask("paper").rows
    assert {row.recipe.data for row in rows.values()} == {"faces_emore"}
    assert set(rows) == METHODS.keys() - {"Dyn-ArcFace", "Contrastive loss"}
    assert PRINTED.ask("paper").rows == rows


def test_claims_are_over_arcface_with_what_interfaces_table_prints() -> None:
    made = results(BENCH, lambda name: 0.1)
    found = {claim.text: claim for claim in claims(made)}
    others = {claim.text for claim in explored(made)}
    assert found.keys() | others == {f"{name} over ArcFace" for name in METHODS if name != "ArcFace"}
    assert others == {f"{name} over ArcFace" for name in APART}
    elastic = found["ElasticFace-Arc over ArcFace"].printed
    assert elastic == pytest.approx(((100 - 99.82) / (100 - 99.82) * (100 - 98.60) / (100 - 98.27)) ** 0.5 - 1)
    assert found["AdaFace over ArcFace"].printed is None


@pytest.mark.parametrize("data", ["lfw+cfp/first/64", "lfw+cfp/second/64", ON_GLYPHS["data"]])
def test_both_are_at_their_best_where_settings_were_chosen(data: str) -> None:
    assert len(claims(results(BENCH, lambda name: 0.1, data=data))) == len(METHODS) - 1 - len(APART)


def test_with_ten_times_as_many_classes_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the settings were chosen with fewer; ArcFace is there at what was chosen with as many, too, if that is another."""
    monkeypatch.setitem(MATCHED, MANY_BED, {BASE: MATCHED["glyphs"][BASE]})
    assert BENCH.ask(**ON_MANY).rows.keys() == METHODS.keys()
    monkeypatch.setitem(MATCHED, MANY_BED, {BASE: (SCALES["glyphs"][0], MARGINS[0])})
    made, tuned = results(BENCH, lambda name: 0.07 if name.endswith(THERE) else 0.1, **ON_MANY), f"{BASE}, {THERE}"
    assert made.rows.keys() == {*METHODS, tuned}
    assert made.rows[tuned].recipe == replace(made.rows[BASE].recipe, margin=ArcFace(16, 0.3))
    assert claims(made) == []
    assert next(claim.row for claim in explored(made)) == tuned
    assert {claim.row for claim in explored(made)} == {*METHODS, tuned} - {BASE}
    assert alike(made).loss[0] == tuned
    assert tuned not in BENCH.ask(**ON_GLYPHS).rows


def test_both_as_chosen_with_ten_times_as_many_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three whose setting was chosen there two have another than with fewer classes, and one has the same."""
    smallest = SCALES["glyphs"][0], MARGINS[0]
    chosen = {"AdaFace": smallest, "MagFace": MATCHED["glyphs"]["MagFace"], BASE: smallest}
    monkeypatch.setitem(MATCHED, MANY_BED, chosen)
    errors = {BASE: 0.1, "AdaFace": 0.08, "MagFace": 0.12, f"{BASE}, {THERE}": 0.09, f"AdaFace, {THERE}": 0.06}
    made = results(BENCH, lambda row: errors.get(row, 0.1), noise=0.001, **ON_MANY)
    told = {name: [cell.partition(" %")[0] for cell in cells] for name, *cells in as_chosen_there(made).to_numpy()}
    assert list(told) == list(chosen)
    assert [float(share) for share in told["AdaFace"]] == pytest.approx([-20, -33.3, -25], abs=1)
    assert [float(share) for share in told["MagFace"][:2]] == pytest.approx([20, 33.3], abs=1.5)
    assert told["MagFace"][2] == told[BASE][0] == told[BASE][1] == "–"
    assert float(told[BASE][2]) == pytest.approx(-10, abs=1)
    once = replace(made, runs={row: group for row, group in made.runs.items() if not row.endswith(THERE)})
    assert parts(made) == parts(once), "a loss counts once"


def adaface(row: str) -> float:
    return 0.07 if row == "AdaFace" else 0.1


@pytest.mark.parametrize(("numbers", "text"), [([], "–"), ([2], "2"), ([2, 3, 4, 6, 8, 9], "2–4, 6, 8–9")])
def test_numbers_in_a_row_are_a_span(numbers: list[int], text: str) -> None:
    assert _spans(numbers) == text


def test_claims_are_in_the_order_of_errors() -> None:
    assert next(claim.row for claim in claims(results(BENCH, adaface))) == "AdaFace"


def test_a_group_of_alike_and_one_that_errs_less() -> None:
    table = alike(results(BENCH, adaface))
    assert table.loss[0] == "AdaFace"
    assert table.iloc[0, -1] == "–"
    assert table.iloc[1, -1] == f"3–{len(METHODS)}"
    assert len(table) == len(METHODS)


def test_a_loss_that_scatters_as_no_other_does_takes_nothing_from_the_others() -> None:
    """Where seeds are few, as with ten thousand characters, all rows together say how far a loss scatters."""
    made = results(BENCH, adaface)
    shaken = {name: list(group) for name, group in made.runs.items()}
    for n, run in enumerate(shaken["CosFace"]):
        shaken["CosFace"][n] = replace(run, metrics=dict.fromkeys(run.metrics, 1 - 0.1 * 2**n / 4))
    words, same = {}, {}
    for seeds in (5, 3):
        few = replace(made, runs={name: group[:seeds] for name, group in shaken.items()})
        words[seeds] = {each.claim.row: each.word for each in few.judged()}["AdaFace"]
        table = alike(few).set_index("loss")
        same[seeds] = table.loc["AdaFace"].iloc[-1], table.loc["CosFace"].iloc[0]
    assert words == {5: "holds", 3: "undecided"}
    spans, place = same[5]
    assert spans == str(place), "not told from CosFace alone"
    assert same[3] == (f"3–{len(METHODS)}", 1)


def test_what_learned_with_one_seed_alone_says_nothing_of_the_others() -> None:
    """Of that itself all rows together say how far it scatters."""
    made = few(results(BENCH, adaface), 2)
    first, second = made.runs["CosFace"]
    failed = replace(second, metrics=dict.fromkeys(second.metrics, 0.01))
    shaken = replace(made, runs={**made.runs, "CosFace": [first, failed]})
    widths = []
    for own in (made, shaken):
        found = {each.claim.row: each for each in own.effects().effects}
        assert found["AdaFace"].word == "holds"
        low, high = found["CosFace"].interval
        widths.append(np.log1p(high) - np.log1p(low))
    assert widths[1] > 5 * widths[0]


def few(made: Results, seeds: int) -> Results:
    return replace(made, runs={row: group[:seeds] for row, group in made.runs.items()})


@pytest.mark.parametrize(("seeds", "others"), [(5, 5), (2, 2), (1, 2), (5, 2), (2, 5)])
def test_halves_are_judged_in_one_and_glyphs_beside_them(seeds: int, others: int) -> None:
    """AdaFace errs less on one half and as much more on the other: over both it is told from nobody. AdaCos errs less on both,
    which one seed alone does not show."""

    def error(row: str, adaface: float) -> float:
        return {"AdaFace": adaface, "AdaCos, fixed": 0.07}.get(row, 0.1)

    first = few(results(BENCH, lambda row: error(row, 0.08)), seeds)
    second = few(results(BENCH, lambda row: error(row, 0.125), draw=1, data=other_half(SMALL.data)), others)
    glyphs = results(BENCH, adaface, **ON_GLYPHS)
    both = replace(first, beds={"other half": second, "glyphs": glyphs})
    found = {(each.bed, each.claim.text): each for each in both.judged()}
    assert found["faces", "AdaFace over ArcFace"].claim.row == ("AdaFace", "AdaFace, other half")
    assert found["faces", "AdaFace over ArcFace"].word == "undecided"
    assert found["faces", "AdaCos, fixed over ArcFace"].share == pytest.approx(-0.3, abs=0.02)
    assert (found["faces", "AdaCos, fixed over ArcFace"].word == "holds") is (min(seeds, others) > 1)
    assert found["glyphs", "AdaFace over ArcFace"].word == "holds"
    assert next(iter(both.judged())).claim.text == "AdaCos, fixed over ArcFace", "of the least errors on both halves"
    table = alike(both).set_index("loss")
    assert float(table["errors, %"]["AdaFace"]) == pytest.approx(10, abs=0.4)
    assert alike(both).loss[0] == "AdaCos, fixed"
    assert alike(both.on("glyphs")).loss[0] == "AdaFace"
    assert stands_on(both).count("seeds") == 2
    assert both.labels().count("seeds") == 3


def test_a_test_bed_without_runs_says_so() -> None:
    """As with a smoke run, or where the data that is asked for is one of the other test beds."""
    bare = results(BENCH, lambda row: 0.1, **ON_GLYPHS).on("other half")
    assert bare.tests == []
    assert "Nothing is recorded here" in bare.show(alike(bare))._repr_html_()
    assert parts(bare) == worth(bare) == at_both(bare) == ""
    assert len(as_chosen_there(bare)) == 0


def test_what_the_papers_settings_come_to() -> None:
    table = as_printed(results(PRINTED, lambda name: 0.2 if name.endswith(AS_PRINTED) else 0.1)).set_index("loss")
    assert table.loc["AdaFace"].iloc[0].startswith(("+0.", "-0."))
    assert table.loc["AdaFace"].iloc[1].startswith(("-49", "-50"))
    assert table.loc["ArcFace"].iloc[0] == "–"


def test_what_the_search_was_worth() -> None:
    """A paper's setting that is the best one, too, has no row of its own; what differs by more does not count."""
    told = worth(results(PRINTED, lambda row: 0.1 / (0.9 if row.endswith(AS_PRINTED) else 1), noise=0.001))
    found = re.fullmatch(r"At its best .* errs 10 % less .* of (\d+) losses; (\d+) of them err less, 0 more\.", told)
    assert found is not None
    alike = [name for name, method in METHODS.items() if not method.otherwise]
    assert found[1] == found[2] == str(sum(f"{name}, {AS_PRINTED}" in PRINTED.ask().rows for name in alike))
    assert {"UniformFace", "N-pair loss", "Partial FC"}.isdisjoint(alike)


def test_what_is_told_as_printed_need_not_be_so_at_their_best() -> None:
    """One loss errs less as printed alone, one more in both; the rest err alike."""
    errors = {f"AdaFace, {AS_PRINTED}": 0.05, "CircleLoss": 0.2, f"CircleLoss, {AS_PRINTED}": 0.2}
    made = results(PRINTED, lambda row: errors.get(row, 0.1), noise=0)
    count = sum(f"{name}, {AS_PRINTED}" in made.runs and not method.otherwise for name, method in METHODS.items()) - 1
    assert at_both(made) == (
        f"Of the {count} others, over ArcFace, each by itself beyond chance: as printed 1 err less and 1 more; at their best "
        "0 err less and 1 more."
    )
    assert at_both(few(made, 1)) == ""


def test_what_scatters_as_printed_takes_nothing_from_the_losses_at_their_best() -> None:
    made = few(results(PRINTED, lambda row: 0.08 if row == "AdaFace" else 0.1), 2)
    shaken = {
        row: [group[0], replace(group[1], metrics=dict.fromkeys(group[1].metrics, 0.6))] if row.endswith(AS_PRINTED) else group
        for row, group in made.runs.items()
    }
    assert at_both(made).endswith("at their best 1 err less and 0 more.")
    assert at_both(replace(made, runs=shaken)).endswith("at their best 1 err less and 0 more.")


def test_the_papers_settings_with_ten_thousand_characters() -> None:
    """What was chosen there has no printed setting of its own."""
    rows = PRINTED.ask(**ON_MANY).rows
    assert f"{BASE}, {THERE}" in rows
    assert f"{BASE}, {AS_PRINTED}" in rows
    assert not any(THERE in row and AS_PRINTED in row for row in rows)


@pytest.mark.parametrize("common", [0.01, 0.3])
def test_the_spread_of_losses_has_nothing_of_the_seeds(common: float) -> None:
    """Not of what a seed does to all alike, however much it is, nor of what it does to each, which is taken away."""
    found = []
    for draw in range(200):
        numbers = np.random.default_rng(draw)
        logs = 0.05 * numbers.normal(size=(27, 1)) + common * numbers.normal(size=(1, 5)) + 0.05 * numbers.normal(size=(27, 5))
        found.append(spread([logs[:, :2] + 1, logs[:, 2:]] if draw % 2 else [logs]))
    loss, middle, seed = np.mean(np.square(found), axis=0) ** 0.5
    assert loss == pytest.approx(0.05, rel=0.03)
    assert middle == pytest.approx(1.35 * np.hypot(0.05, 0.05 / 5**0.5), rel=0.1)
    assert seed == pytest.approx(np.hypot(common, 0.05), rel=0.1)


def test_one_seed_says_nothing_of_the_spread() -> None:
    made = results(BENCH, lambda row: 0.1)
    assert parts(replace(made, runs={row: group[:1] for row, group in made.runs.items()})) == ""


def test_parts_in_words() -> None:
    told = parts(results(BENCH, lambda row: 0.1, noise=0.001, **ON_GLYPHS))
    assert re.search(
        r"differ by 0\.\d % .* half of them lie within 0\.\d %\), from seed to seed by \d\.\d %, and from setting to setting",
        told,
    )
    shares = re.search(r"the loss is (\d+) %, the setting (\d+) %, the seed (\d+) %\. Of the nine settings", told)
    assert shares is not None
    loss, setting, seed = map(int, shares.groups())
    assert loss <= 1 < seed < 10 < 90 < setting, "the errors that were made up differ by little, those of settings are recorded"
    assert loss + setting + seed in (99, 100, 101)


def test_with_ten_times_as_many_classes_settings_are_no_part() -> None:
    told = parts(results(BENCH, lambda row: 0.1, **ON_MANY))
    assert re.fullmatch(r"From loss to loss .*, from seed to seed by \d\.\d %\.", told)


def test_how_alike_the_orders_of_two_test_beds_are() -> None:
    """Of three test beds two have the same order, and the third has another."""
    every = list(BENCH.ask().rows)
    mixed = np.random.default_rng(0).permutation(len(every))
    faces = results(BENCH, lambda row: 0.1 + 0.01 * every.index(row), noise=0)
    same = results(BENCH, lambda row: 0.2 + 0.004 * every.index(row), noise=0, **ON_GLYPHS)
    other = results(BENCH, lambda row: 0.1 + 0.01 * mixed[every.index(row.removesuffix(f", {THERE}"))], noise=0, **ON_MANY)
    made = replace(faces, beds={"glyphs": same, "glyphs, 10,000 characters": other})
    found = made.effects().effects
    told = re.fullmatch(
        rf"How alike the orders of {len(every) - 1} losses are, as Spearman's ρ: faces ↔ glyphs 1\.00 \[1\.00, 1\.00\]; "
        r"faces ↔ glyphs, 10,000 characters (\S+) \[(\S+), (\S+)\]; glyphs ↔ glyphs, 10,000 characters (\S+) .*",
        orders(found),
    )
    assert told is not None
    rho, low, high, again = map(float, told.groups())
    names = [name for name in every if name != "ArcFace"]
    expected = spearmanr([every.index(name) for name in names], [mixed[every.index(name)] for name in names]).statistic
    assert rho == again == pytest.approx(expected, abs=0.005)
    assert -1 < low < rho < high < 1
    assert orders([each for each in found if each.bed == "faces"]) == ""


def test_the_figure_in_three_sentences() -> None:
    """One loss errs less, one more; of one whose printed number is better the printed change is excluded."""
    errors = {"AdaFace": 0.07, "CircleLoss": 0.13}
    made = results(BENCH, lambda row: errors.get(row, 0.1), noise=0.001)
    told = sentences(made.effects().effects)
    less, more, rest = told.split(". ")
    assert re.fullmatch(rf"Of {len(METHODS) - 1 - len(APART)} claims .* hold: AdaFace on faces -30\.\d % \[.*]", less)
    assert re.fullmatch(r"It errs more, beyond chance as well: CircleLoss on faces \+30\.\d % \[.*]", more)
    assert rest.startswith(f"The other {len(METHODS) - 3 - len(APART)} are told")
    assert "ElasticFace-Cos on faces" in rest


@pytest.mark.parametrize(("device", "one", "hours"), [("cpu", "thread", "2.0"), ("cuda", "device", "0.5")])
def test_what_runs_took(device: str, one: str, hours: str) -> None:
    """On a CPU every thread counts."""
    made = few(results(BENCH, lambda row: 0.1, **ON_GLYPHS), 1)
    spent = {"device": device, "threads": 4, "duration_s": 1800 / len(METHODS)}
    runs = {row: [replace(run, provenance=spent) for run in group] for row, group in made.runs.items()}
    bed = replace(made, runs={row: 2 * group for row, group in runs.items()})
    told = replace(made, runs=runs, beds={"glyphs": bed, "other half": replace(made, runs={})}).cost()
    n, twice = len(METHODS), "4.0" if device == "cpu" else "1.0"
    assert told == f"All took, in hours of one {one}: {hours} on these data ({n} runs), {twice} on glyphs ({2 * n} runs)."


def test_the_table_has_settings() -> None:
    table = tabulate(results(BENCH, lambda name: 0.1, **ON_GLYPHS)).set_index("loss")
    assert table.setting["Partial FC"] == "ArcFace(scale=32, m=0.6), 30 % of the classes"
    assert table.setting["UniformFace"].startswith("ArcFace(scale=32, m=0.6) + UniformFace(")
