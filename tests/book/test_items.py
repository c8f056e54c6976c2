"""Items: what a page, the scorecard and the runs read from one description."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tests.book.test_runs import QUICK

from marginface.book import papers, published
from marginface.book.effects import Above
from marginface.book.items import SMOKE, Item
from marginface.book.obtain import Bed, Row
from marginface.book.papers import ITEMS, find, grids
from marginface.book.records import store
from marginface.book.verdicts import Claim
from marginface.data.files import data_folder
from marginface.regularizers import IAM
from marginface.training import Run

TOY = Item(
    "ArcFace",
    "Table 7",
    notebook="toy",
    parameters={"beta": 0.2},
    rows=lambda p: {
        "without": Row(replace(QUICK, regularizers=())),
        "with": Row(replace(QUICK, data="mnist" if p.profile == "paper" else "digits")),
    },
    seeds=(0, 1),
    claims=lambda results: (Above("with", "without", ("accuracy",), "it adds"),),
)


def made(accuracy: float, data: str = "digits") -> dict[str, list[Run]]:
    def run(name: str, row: Row, seed: int) -> Run:
        value = 0.9 + 0.001 * seed + accuracy * (1 + seed / 10) * (name == "with")
        recipe = replace(row.recipe, seed=seed, data=data)
        return Run(recipe, {"accuracy": value}, {}, {}, data, "", {"device": "cpu", "precision": "32-true", "steps": 7})

    return {name: [run(name, row, seed) for seed in (0, 1)] for name, row in TOY.ask().rows.items()}


def test_a_verdict_follows_the_claims() -> None:
    assert replace(TOY.ask(), runs=made(0.01)).verdict().word == "holds"
    assert replace(TOY.ask(), runs=made(-0.01)).verdict().word == "opposite"


def test_what_means_nothing_is_not_judged() -> None:
    """A smoke run, and data that stands in for the right one."""
    assert replace(TOY.ask("smoke"), runs=made(0.01)).verdict().word == "not judged"
    assert replace(TOY.ask(), runs=made(0.01, "synthetic/4x4/8")).verdict().word == "not judged"


@pytest.mark.slow
def test_a_smoke_run_says_so_and_has_two_seeds(runs_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = TOY.obtain("smoke", seeds=[3, 4, 5], device="cpu")
    assert [run.recipe.seed for run in results.runs["with"]] == [3, 4]
    assert SMOKE in capsys.readouterr().err
    assert "your run, not recorded" in results.label()
    assert not runs_folder.exists()


def test_the_grid_has_every_row_with_a_seed_before_the_next_seed() -> None:
    assert [(recipe.seed, len(recipe.regularizers)) for recipe in TOY.grid()] == [(0, 0), (0, 1), (1, 0), (1, 1)]


TWO_BEDS = replace(TOY, beds={"glyphs": Bed((0, 1, 2), {"beta": 0.1})}, rows=lambda p: _of(p.beta))


OTHER = "glyphs/600/32"


def _of(beta: float) -> dict[str, Row]:
    """On the other test bed the rows have other parameters, and here other data."""
    base = replace(QUICK, data="digits" if beta == 0.2 else OTHER)
    return {"without": Row(replace(base, regularizers=())), "with": Row(replace(base, regularizers=(IAM(beta),)))}


def test_rows_are_asked_for_on_every_test_bed() -> None:
    """Each seed on all of them before the next seed, and where one has fewer seeds, the other goes on alone."""
    rounds = [[(recipe.data, recipe.seed) for recipe in each] for each in TWO_BEDS.rounds()]
    both = [[("digits", seed)] * 2 + [(OTHER, seed)] * 2 for seed in (0, 1)]
    assert rounds == [*both, [(OTHER, 2)] * 2]
    assert {recipe.seed for recipe in TWO_BEDS.grid([7])} == {7}


def test_what_is_recorded_on_another_test_bed_is_judged_beside_the_rest(runs_folder: Path) -> None:
    """With the seeds that all its rows have, as one family of claims; two seeds are needed."""
    asked = TWO_BEDS.ask()
    ours = replace(asked, runs=made(0.01))
    assert "make runs ONLY=toy" in ours.on("glyphs").table()._repr_html_()
    for seed in range(3):
        for name, row in _of(0.1).items():
            if seed < 2 or name == "with":
                store(
                    replace(
                        made(-0.01)[name][0],
                        recipe=replace(row.recipe, seed=seed),
                        metrics={"accuracy": 0.9 - 0.01 * (name == "with") + 0.001 * seed},
                    )
                )
        found = replace(ours, beds=TWO_BEDS._beds(asked))
        assert len(found.judged()) == (1 if seed == 0 else 2)
    assert [run.recipe.seed for run in found.on("glyphs").runs["with"]] == [0, 1]
    assert [each.word for each in found.judged()] == ["holds", "opposite"]
    assert found.verdict().word == "holds in part"
    assert TWO_BEDS.ask("smoke").beds == {}
    with pytest.raises(ValueError, match="not trained on 'glyhps'; it has glyphs"):
        found.on("glyhps")


def test_a_spread_that_is_pooled_by_itself_is_so_on_every_test_bed(runs_folder: Path) -> None:
    """A third row, whose seeds differ by more, changes no effect of the two that share a training."""
    claim = Above("with", "without", ("accuracy",), "it adds", among=("without", "with"))
    alone = replace(TWO_BEDS, claims=lambda results: (claim,))

    def rows(p: SimpleNamespace) -> dict[str, Row]:
        return _of(p.beta) | {"rough": Row(replace(_of(p.beta)["with"].recipe, lr=1.0))}

    beside = replace(alone, rows=rows)
    for beta, better in ((0.2, 0.01), (0.1, 0.02)):
        for n, (name, row) in enumerate(rows(SimpleNamespace(beta=beta)).items()):
            for seed in (0, 1):
                accuracy = 0.9 + better * (name == "with") + (0.05 if name == "rough" else 1e-4 * n) * seed
                recipe = replace(row.recipe, seed=seed)
                store(replace(made(0.01)[name if n < 2 else "with"][0], recipe=recipe, metrics={"accuracy": accuracy}))
    ours, theirs = alone.recorded(), beside.recorded()
    assert ours is not None
    assert theirs is not None
    assert [each.found for each in ours.judged()] == [each.found for each in theirs.judged()]
    assert [each.bed for each in theirs.judged()] == ["digits", "glyphs"]


def _on_half(data: str) -> dict[str, Row]:
    base = replace(QUICK, data=data)
    return {"without": Row(replace(base, regularizers=())), "with": Row(base)}


def test_other_people_of_the_same_test_bed_are_judged_together(runs_folder: Path) -> None:
    """The effect is the mean of that on both halves, its uncertainty from the runs of both; each half's people count."""
    halves = replace(
        TOY,
        parameters={"data": "lfw+cfp/first/64"},
        rows=lambda p: _on_half(p.data),
        beds={"other half": Bed((0, 1), {"data": lambda p: p.data.replace("first", "second")}, joined=True)},
    )
    for half, worse in (("first", 0.02), ("second", 0.06)):
        for name, row in _on_half(f"lfw+cfp/{half}/64").items():
            for seed in (0, 1):
                metrics = {"accuracy": 0.9 - worse * (name == "with") + 0.001 * seed}
                store(replace(made(0.01)["with"][0], recipe=replace(row.recipe, seed=seed), metrics=metrics))
    found = halves.recorded()
    assert found is not None
    (effect,) = found.judged()
    logs = [np.log((0.1 + worse - 0.001 * seed) / (0.1 - 0.001 * seed)) for worse in (0.02, 0.06) for seed in (0, 1)]
    assert effect.found.mean == pytest.approx(np.mean(logs))
    assert effect.word == "opposite"
    assert [recipe.data for recipe in halves.grid([0])] == ["lfw+cfp/first/64"] * 2 + ["lfw+cfp/second/64"] * 2
    there = halves.ask(data="lfw+cfp/second/64")
    assert halves._beds(there) == {}  # the other half is what was asked for


def test_records_from_before_a_test_count_as_missing(runs_folder: Path) -> None:
    for group in made(0.01).values():
        for run in group:
            store(run)
    needy = replace(TOY, needs=("search",))
    assert TOY.recorded() is not None
    assert needy.recorded() is None
    assert needy.verdict().word == "not yet"
    with pytest.raises(ValueError, match="records lack search: make runs ONLY=toy RETEST=1"):
        needy.obtain()
    for group in made(0.01).values():
        for run in group:
            store(replace(run, metrics=run.metrics | {"search rank-1": 0.5}))
    assert needy.recorded() is not None


def test_a_parameter_that_an_item_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'beta'"):
        TOY.obtain(betta=0.3)
    with pytest.raises(ValueError, match="seeds='all'"):
        TOY.obtain(seeds="all")


def test_statements_are_judged_with_the_values_that_are_asked_for() -> None:
    item = Item("PAM", "Figure 1", "x", {"m": 0.5}, statements=lambda p: [Claim("m is 0.5", "§1", p.m == 0.5, f"{p.m}")])
    assert item.verdict().word == "reproduced"
    assert item.obtain(m=0.4).verdict().word == "contradicted"
    assert item.obtain("smoke").verdict().word == "reproduced"  # computed: the numbers are the same


def test_every_item_is_listed_once_with_its_notebook() -> None:
    listed = published.items().set_index(["paper", "item"])["notebook"]
    names = [(item.paper, item.name) for item in ITEMS]
    assert len(set(names)) == len(names)
    for item in ITEMS:
        if (item.paper, item.name) in listed.index:
            assert listed[item.paper, item.name] == item.notebook
    assert find("ArcFace", "Table 7") is not None
    assert find("ArcFace", "Table 99") is None


def page(item: Item) -> Path:
    return data_folder().parent / "notebooks" / f"{item.notebook}.ipynb"


@pytest.mark.parametrize("item", [item for item in ITEMS if item.rows and page(item).exists()], ids=lambda item: item.notebook)
def test_everything_that_a_page_shows_by_default_is_recorded(item: Item) -> None:
    """An item gets its page when its runs are recorded, some on each test bed: a book's build trains nothing."""
    results = item.recorded()
    assert results is not None
    assert all(there.runs for bed, there in results.beds.items() if not item.beds[bed].joined)


@pytest.mark.parametrize(
    "item", [item for item in ITEMS if item.parameters and page(item).exists()], ids=lambda item: item.notebook
)
def test_the_notebook_has_the_items_parameters_with_its_defaults(item: Item) -> None:
    """The cell that people change, and the description that the scorecard reads, cannot disagree."""
    import nbformat

    notebook = nbformat.read(data_folder().parent / "notebooks" / f"{item.notebook}.ipynb", as_version=4)
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    values: dict[str, object] = {}
    exec(cell.source, values)
    given = {name: values[name] for name in item.parameters}
    assert item.ask(**given).settings == item.ask().settings  # type: ignore[arg-type]
    if item.rows is not None:
        assert list(values["seeds"]) == list(item.seeds)  # type: ignore[call-overload]
    assert re.search(r"\.obtain\(", "".join(c.source for c in notebook.cells))


def test_a_folder_that_is_added_brings_its_items_its_list_and_its_printed_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wide"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from marginface.book.items import Item\nITEMS = (Item('Wide', 'Table 1', 'wide/table1', statements=lambda p: []),)\n"
    )
    (folder / "items.csv").write_text("paper,item,shows,notebook\nWide,Table 1,the margin,wide/table1\n")
    (folder / "table1.csv").write_text("m,benchmark,value_printed,value\n0.1,LFW,99.5,99.5\n")
    monkeypatch.setattr(papers, "__path__", [*papers.__path__, str(tmp_path)])
    monkeypatch.setattr(papers, "wide", None, raising=False)  # what an import leaves behind goes away again
    monkeypatch.setitem(sys.modules, "marginface.book.papers.wide", None)
    del sys.modules["marginface.book.papers.wide"]
    monkeypatch.setattr(published, "PAPERS", tmp_path)
    assert {(i.paper, i.name) for i in papers.discover()} - {(i.paper, i.name) for i in ITEMS} == {("Wide", "Table 1")}
    assert published.items().iloc[-1].to_list() == ["Wide", "Table 1", "the margin", "wide/table1", "", ""]
    assert published.value(published.table("wide", 1), {"m": 0.1}) == 99.5
    with pytest.raises(ValueError, match=r"no printed table wide 2; there are .*, wide_table1"):
        published.table("wide", 2)


def test_every_record_is_asked_for_by_an_item() -> None:
    asked = {recipe.key for recipes in grids().values() for recipe in recipes}
    assert {path.stem for path in (data_folder() / "runs").glob("*.json")} <= asked
