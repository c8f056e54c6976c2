"""The losses that IAM and PAM are added to: chosen where nothing is tested, and the best of what was tried."""

import pytest

from marginface.book.papers import bases, by_worth, choosing, grids
from marginface.book.papers.bases import CHOSEN, LAMBDAS, SEEDS, START, candidates, with_iam
from marginface.book.papers.choosing import DECIDE, RECIPES, Loss, tried
from marginface.book.papers.glyphs import GLYPHS
from marginface.book.records import lookup
from marginface.margins import CosFace, L2Softmax, Margin, NormFace, Softmax, SphereFace
from marginface.regularizers import IAM


def test_everything_is_tried_on_what_is_set_aside_alone() -> None:
    recipes = [recipe for page in ("bases", "lambdas") for recipe in grids()[page]]
    assert {recipe.data for recipe in recipes} == {"lfw+cfp/first/64/choice", "glyphs/1000/32/choice"}
    assert (
        len(recipes)
        == len({recipe.key for recipe in recipes})
        == 2 * sum(len(losses) for bed in RECIPES for losses in candidates(bed).values())
    )
    assert {recipe.seed for recipe in by_worth(["bases"], [4])} == {4}


@pytest.mark.parametrize("bed", RECIPES)
def test_each_loss_has_the_best_of_its_candidates(bed: str) -> None:
    """Of those that are recorded. And what is chosen is one of them."""
    assert all(bases.chosen_of(bed, name) in losses for name, losses in candidates(bed).items())
    for name, found in bases.standings(bed).items():
        assert found[bases.chosen_of(bed, name)] == min(found.values()), name


def test_the_errors_that_decide_are_averaged_in_logarithms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the seeds that all recorded candidates have: one that has no more is not helped by an easy seed of the others."""
    from tests.book.papers.made import run

    losses = candidates("faces")["ℓ2"]
    shares = {(0, 0): (0.1, 0.2, 0.4), (1, 0): (0.1, 0.1, 0.1), (0, 1): (1e-3, 1e-3, 1e-3)}
    made = {}
    for (n, seed), errors in shares.items():
        recipe = tried("faces", losses[n], SEEDS)[seed]
        found = run(recipe, seed, 0.5, DECIDE["faces"])
        found.metrics = dict(zip(DECIDE["faces"], (1 - error for error in errors), strict=True))
        made[recipe] = found
    monkeypatch.setattr(choosing, "lookup", made.get)
    assert bases.standings("faces") == {"ℓ2": {losses[0]: pytest.approx(0.2), losses[1]: pytest.approx(0.1)}}


def test_a_choice_at_the_edge_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Number by number, each among the settings that have all else in common with the one that was chosen."""
    tried = {CosFace(scale, m): 0.1 for scale, m in ((8.0, 0.3), (16.0, 0.1), (16.0, 0.3), (16.0, 0.5), (32.0, 0.1))}
    tried[CosFace(8.0, 0.3)] = 0.12

    def told(chosen: CosFace) -> str:
        monkeypatch.setitem(bases.CHOSEN["faces"], "CosFace", Loss(chosen))
        monkeypatch.setattr(choosing, "standings", lambda *_: {"CosFace": {Loss(each): share for each, share in tried.items()}})
        return bases.at_the_edge("faces")

    assert told(CosFace(16.0, 0.3)).endswith("what lies beside them errs more: scale of CosFace by 20.0 %.")
    assert told(CosFace(32.0, 0.1)).endswith("errs more: scale of CosFace by 0.0 %."), "no other margin was tried with it"
    assert told(CosFace(16.0, 0.5)).endswith("errs more: m of CosFace by 0.0 %.")
    tried[CosFace(8.0, 0.3)] = 0.09
    assert told(CosFace(16.0, 0.3)) == "On faces no setting is at the edge of what was tried.", "what lies beside it errs less"
    tried[CosFace(8.0, 0.3)] = 0.12
    tried[CosFace(32.0, 0.3)] = 0.11
    assert told(CosFace(16.0, 0.3)) == "On faces no setting is at the edge of what was tried."


def test_losses_that_were_chosen_with_those_of_other_papers_count_too() -> None:
    """On glyphs L-Softmax has the larger m of two, and NormFace, with ArcFace's candidates on that page, a scale between."""
    told = bases.at_the_edge("glyphs")
    assert "m of L-Softmax by " in told
    assert "NormFace" not in told


def test_pam_begins_after_275_of_360_epochs() -> None:
    """Of 500 steps on faces and 400 on people set aside; on glyphs of as many as their runs have."""
    recorded = lookup(CHOSEN["glyphs"]["CosFace"].on(GLYPHS))
    assert recorded is not None
    steps = dict(zip(START, (500, 400, recorded.provenance["steps"], recorded.provenance["steps"]), strict=True))
    assert {data: round(275 / 360 * count) for data, count in steps.items()} == START
    assert max(LAMBDAS) / min(LAMBDAS) == 1000


def test_iam_has_a_scale_of_its_own_where_a_loss_has_none() -> None:
    margins: list[Margin] = [NormFace(20), CosFace(20, 0.1), L2Softmax(20), Softmax(), SphereFace(4, 5.0)]
    terms = [with_iam(Loss(margin), 0.3, 7.0).added for margin in margins]
    assert terms == [(IAM(0.3),)] * 3 + [(IAM(0.3, scale=7.0),)] * 2
    assert with_iam(Loss(Softmax()), 0.0, 7.0) == Loss(Softmax())


def test_what_was_tried_has_a_line_for_every_candidate_and_one_choice_each() -> None:
    table = bases.table()
    assert len(table) == sum(len(losses) for bed in RECIPES for losses in candidates(bed).values())
    chosen = table[table.settings.str.endswith("(chosen)")]
    assert chosen.groupby("test bed").size().to_dict() == {bed: len(candidates(bed)) for bed in RECIPES}
    assert set(bases.table(["ℓ2"]).loss) == {"ℓ2"}
