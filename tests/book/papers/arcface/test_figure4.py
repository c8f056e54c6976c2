"""ArcFace Figure 4 (b) and (c): what is read from the histograms of θ that records keep."""

from dataclasses import replace

import numpy as np
import pytest

from marginface.book import plots
from marginface.book.items import Results
from marginface.book.papers.arcface import figure4
from marginface.book.papers.arcface.figure4 import FIGURE4
from marginface.margins import ArcFace, CosFace, NormFace
from marginface.training import Run
from marginface.training.recipes import Recipe


def run(recipe: Recipe, seed: int, start: float, end: float, width: int = 2, stretches: int = 20) -> Run:
    """Angles that go from one centre to another, evenly spread over `width` bins of 2° to both sides."""
    counts = np.zeros((20, 90), dtype=np.int64)
    for stretch in range(stretches):
        centre = start + (end - start) * stretch / (stretches - 1)
        place = int(centre // 2)
        counts[stretch, place - width : place + width + 1] = 100
    return Run(replace(recipe, seed=seed), {}, {}, {"theta_histogram": counts}, "made up", "", {})


def made(**end: float) -> Results:
    asked = FIGURE4.ask()
    runs = {
        name: [run(row.recipe, seed, 89, end.get(name, 41) + 2 * (seed % 2)) for seed in range(3)]
        for name, row in asked.rows.items()
    }
    return replace(asked, runs=runs)


def test_the_mean_target_logit_is_the_curve_over_the_histogram() -> None:
    one = run(Recipe(ArcFace(m=0.5)), 0, 80, 40, width=0)
    assert figure4.mean_angle(one, 0) == 81
    assert figure4.target_logits(one)[0] == pytest.approx(np.cos(np.radians(81) + 0.5))
    assert figure4.short_of_one(one, -1) == pytest.approx(1 - np.cos(np.radians(41) + 0.5))
    wide = run(Recipe(CosFace(m=0.35)), 0, 80, 40, width=1)
    assert figure4.target_logits(wide)[0] == pytest.approx(np.cos(np.radians([79, 81, 83])).mean() - 0.35)
    assert figure4.target_logits(run(Recipe(NormFace()), 0, 80, 40, width=0))[-1] == pytest.approx(np.cos(np.radians(41)))


def test_a_part_of_a_run_without_a_step_is_left_out() -> None:
    short = run(Recipe(ArcFace()), 0, 88, 70, stretches=7)
    assert figure4.shares(short).shape == (7, 90)
    np.testing.assert_allclose(figure4.shares(short).sum(axis=1), 1)
    assert figure4.mean_angle(short) == 71


def test_what_the_paper_says_holds_of_what_it_prints() -> None:
    """From 90° to between 35° and 40°, and ArcFace a little further."""
    paper = made(CosFace=38, ArcFace=35)
    words = {claim.text.split(" (faces")[0]: claim.holds for claim in figure4.theta_claims(paper, "faces")}
    assert all(words.values())
    assert all(each.word == "holds" for each in paper.judged())


@pytest.mark.parametrize(("end", "failing"), [(24, ["the centres", "θ < 30°"]), (66, ["the centres", "“almost all"])])
def test_other_distributions_do_not(end: float, failing: list[str]) -> None:
    claims = figure4.theta_claims(made(CosFace=end, ArcFace=end), "faces")
    assert [
        claim.text[: len(start)] for claim, start in zip([c for c in claims if not c.holds], failing, strict=False)
    ] == failing
    start = {name: [run(r.recipe, 0, 110, 40) for r in group] for name, group in made().runs.items()}
    early = figure4.theta_claims(replace(made(), runs=start), "faces")
    assert not early[0].holds
    beyond = {name: [run(r.recipe, 0, 176, 40) for r in group] for name, group in made().runs.items()}
    assert not figure4.theta_claims(replace(made(), runs=beyond), "faces")[1].holds


def test_the_other_way_round_is_opposite() -> None:
    words = [each.word for each in made(CosFace=35, ArcFace=45).judged()]
    assert words[1:] == ["opposite", "opposite"]


def test_with_profile_paper_it_is_the_network_of_the_section() -> None:
    rows = FIGURE4.ask("paper").rows
    assert list(rows) == ["Softmax", "CosFace", "ArcFace"]
    assert {row.recipe.backbone for row in rows.values()} == {"LResNet34E-IR"}


def test_the_figures_show_every_loss() -> None:
    results = made()
    (axes,) = plots.target_logits(results.runs).axes
    assert axes.get_legend_handles_labels()[1] == list(results.runs)
    assert len(axes.lines) == 3 * (3 + 1)
