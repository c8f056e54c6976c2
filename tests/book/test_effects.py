"""Differences between trainings: what is estimated from runs, how claims are worded, and whether promises are kept."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats

from marginface.book import effects, errors, judging, published, telling
from marginface.book.effects import NOTHING, Above, Effect, Within
from marginface.book.errors import error, influence
from marginface.book.plots import Forest, Matrix, forest, matrix
from marginface.book.plots.forest import EDGE
from marginface.book.simulation import Design, effect, experiments, move, study
from marginface.evaluation.crossed import Contrast
from marginface.evaluation.placements import all_pairs
from marginface.margins import ArcFace
from marginface.training import Run
from marginface.training.recipes import Recipe

RECIPE = Recipe(ArcFace(), data="lfw+cfp/first/64")
order = np.random.default_rng(0).permutation(3500)


def run(seed: int, **correct: float) -> Run:
    """A run that judges these shares of 3,500 pairs rightly, always the same pairs first; a keyword a test, "_" for "-"."""
    arrays = {f"{name.replace('_', '-')} correct": order < 3500 * share for name, share in correct.items()}
    metrics = {key.removesuffix(" correct"): float(array.mean()) for key, array in arrays.items()}
    return Run(replace(RECIPE, seed=seed), metrics, {}, arrays, "made up", "")


def pages(*levels: float, seeds: int = 5, noise: float = 0.002) -> dict[str, list[Run]]:
    """Rows "0", "1", … at these accuracies on LFW; a seed moves all of them."""
    numbers = np.random.default_rng(1)
    shared = numbers.normal(0, 0.02, seeds)
    return {
        str(row): [run(s, LFW=level + shared[s] + numbers.normal(0, noise)) for s in range(seeds)]
        for row, level in enumerate(levels)
    }


def above(row: str, over: str | tuple[str, ...], printed: float | None = None) -> Above:
    return Above(row, over, ("LFW",), f"{row} over {over}", printed)


# what is estimated


def test_an_effect_is_the_share_by_which_errors_change() -> None:
    """Over seeds 20 % become 10 and 16, and over tests the half of that stays: the mean is of logarithms."""
    ours = [run(0, LFW=0.9, CFP_FP=0.8), run(1, LFW=0.84, CFP_FP=0.8)]
    theirs = [run(0, LFW=0.8, CFP_FP=0.8), run(1, LFW=0.8, CFP_FP=0.8)]
    (found,) = effects.judge([Above("a", "b", ("LFW", "CFP-FP"), "a over b")], {"a": ours, "b": theirs})
    assert found.share == pytest.approx((0.5 * 0.8) ** 0.25 - 1, abs=1e-3)


def test_a_row_over_the_mean_of_others() -> None:
    (found,) = effects.judge([above("0", ("1", "2"))], pages(0.9, 0.8, 0.6, noise=0))
    logs = [np.mean([np.log(error(each, "LFW")) for each in group]) for group in pages(0.9, 0.8, 0.6, noise=0).values()]
    assert found.found.mean == pytest.approx(logs[0] - (logs[1] + logs[2]) / 2)


def test_both_halves_make_one_effect() -> None:
    """Each row twice, tested on different people: the effect is the mean, and both sets of people count."""
    one, two = pages(0.8, 0.85), pages(0.7, 0.75)
    second = {
        f"{name}, second": [replace(r, recipe=replace(r.recipe, data="lfw+cfp/second/64")) for r in two[name]] for name in two
    }
    claim = Above(("1", "1, second"), ("0", "0, second"), ("LFW",), "1 over 0")
    (both,) = effects.judge([claim], one | second)
    each = [effects.judge([above("1", "0")], half)[0].found for half in (one, two)]
    assert both.found.mean == pytest.approx((each[0].mean + each[1].mean) / 2)
    assert both.found.people == pytest.approx((each[0].people + each[1].people) / 4)


def test_rows_of_one_training_are_pooled_by_themselves() -> None:
    """Two of four rows hardly differ over seeds; pooled with the others, their difference has the others' spread."""
    runs = pages(0.9, 0.88, noise=1e-4) | {f"other {n}": group for n, group in pages(0.8, 0.7, noise=0.02).items()}
    (pooled,) = effects.judge([above("0", "1")], runs)
    (own,) = effects.judge([replace(above("0", "1"), among=("0", "1"))], runs)
    (alone,) = effects.judge([above("0", "1")], {name: runs[name] for name in ("0", "1")})
    assert own.found == alone.found
    assert own.found.mean == pooled.found.mean
    assert own.found.seeds < pooled.found.seeds / 5


def test_a_narrow_interval_has_a_digit_more() -> None:
    narrow = Effect(above("a", "b"), "faces", Contrast(0.0004, 1e-8, 0.0, 8, 8, 3), "undecided")
    assert narrow.difference == "+0.04 % [+0.02, +0.06]"
    assert replace(narrow, found=replace(narrow.found, seeds=1e-4)).difference == "+0.0 % [-2.2, +2.4]"


def test_runs_that_agree_have_no_interval() -> None:
    """A width of nothing would say that it is certain, of which a few runs know nothing."""
    same = Effect(above("a", "b"), "faces", Contrast(0.0, 0.0, 0.0, 4, 1, 3), "undecided")
    assert same.difference == "+0.0 % [in all runs]"


def test_no_error_counts_as_half_of_one() -> None:
    assert error(run(0, LFW=1.0), "LFW") == 0.5 / 3500
    with pytest.raises(ValueError, match="'LFW' is without an error, of nobody knows how many"):
        error(replace(run(0, LFW=1.0), arrays={}), "LFW")
    with pytest.raises(ValueError, match="a run has no 'YTF', but LFW"):
        error(run(0, LFW=0.9), "YTF")


@cache
def embedded(seed: int) -> Run:
    """A run with all pairs of 40 people with five images each."""
    numbers = np.random.default_rng(seed)
    people = np.repeat(np.arange(40), 5)
    found = all_pairs(numbers.normal(0, 1, (40, 16))[people] + numbers.normal(0, 1.2, (200, 16)), people)
    arrays = {f"LFW all pairs {part}": array for part, array in found.arrays().items()}
    tars = {f"LFW all pairs TAR@FAR={far:.0e}": float(tar) for far, tar in zip(found.fars, found.tars, strict=True)}
    metrics = {"LFW": 0.9, "LFW all pairs AUC": found.auc} | tars
    return Run(replace(RECIPE, seed=seed), metrics, {}, arrays, "made up", "")


def test_all_pairs_decide_where_all_runs_have_them() -> None:
    assert errors.deciding("LFW", [embedded(0), embedded(1)]) == "LFW all pairs AUC"
    assert errors.deciding("LFW", [embedded(0), run(0, LFW=0.9)]) == "LFW"
    glyphs = replace(embedded(0), recipe=replace(RECIPE, data="glyphs/1000/32"))
    with_tar = replace(glyphs, metrics=glyphs.metrics | {"LFW all pairs TAR@FAR=1e-04": 0.5})
    assert errors.deciding("LFW", [with_tar]) == "LFW all pairs TAR@FAR=1e-04"


def test_people_are_those_of_the_placements() -> None:
    made = embedded(0)
    for measure in ("LFW all pairs AUC", "LFW all pairs TAR@FAR=1e-02"):
        known = influence(made, measure)
        assert known is not None
        assert (known[0], len(known[1])) == ("lfw+cfp/first/64, all of LFW", 40)
        assert known[1].sum() == pytest.approx(0, abs=0.02 * np.abs(known[1]).sum())
    rows = {
        name: [replace(embedded(2 * k + s), recipe=replace(RECIPE, seed=s)) for s in range(2)] for k, name in enumerate("ab")
    }
    (found,) = effects.judge([Above("a", "b", ("LFW",), "a over b")], rows)
    mean = [np.mean([np.log(1 - each.metrics["LFW all pairs AUC"]) for each in group]) for group in rows.values()]
    assert found.found.mean == pytest.approx(mean[0] - mean[1])


def test_pairs_of_a_person_are_drawn_together() -> None:
    """CFP's lists have 350 genuine and 350 impostor pairs a fold, seven of a person in a row; people are the same in both."""
    first, second = (influence(run(0, **{test: 0.8}), name) for test, name in (("CFP_FF", "CFP-FF"), ("CFP_FP", "CFP-FP")))
    assert first is not None
    assert second is not None
    assert first[0] == second[0] == "lfw+cfp/first/64, CFP"
    wrong = ~run(0, CFP_FF=0.8).arrays["CFP-FF correct"]
    person = [*range(7), *range(350, 357)]  # the first one's pairs
    assert first[1][0] == pytest.approx((wrong[person].sum() - 14 * wrong.mean()) / 3500 / wrong.mean())
    assert len(first[1]) == 250
    lists = influence(run(0, LFW=0.8), "LFW"), influence(run(0, templates=0.8), "templates")
    assert [len(each[1]) for each in lists if each is not None] == [500, 3500]


def test_tests_of_the_same_people_hang_together() -> None:
    """Two tests that err alike say no more of people than one; two that are independent say more."""
    numbers = np.random.default_rng(0)
    hard = numbers.normal(0, 0.4, 500)

    def tested(seed: int, ease: float, apart: bool) -> Run:
        made = run(seed, CFP_FF=0.8, CFP_FP=0.8)
        for k, test in enumerate(("CFP-FF", "CFP-FP")):
            mine = np.roll(hard, 7 * k) if apart else hard
            chance = np.clip(0.8 + ease * np.repeat(mine, 7), 0, 1)
            made.arrays[f"{test} correct"] = numbers.uniform(size=3500) < chance
            made.metrics[test] = float(made.arrays[f"{test} correct"].mean())
        return made

    def variance(apart: bool) -> float:
        rows = {name: [tested(seed, ease, apart) for seed in range(8)] for name, ease in (("a", 1.0), ("b", -1.0))}
        return effects.judge([Above("a", "b", ("CFP-FF", "CFP-FP"), "a")], rows)[0].found.people

    assert variance(apart=False) > 1.5 * variance(apart=True)


# how it is worded


def word(mean: float, half: float, printed: float | None = None, claims: int = 1) -> str:
    """The word for an effect with this 95 % interval, among other claims of which nothing is known."""
    found = Contrast(mean, (half / 1.96) ** 2, 0, 1e6, 1, 5)
    claim = above("a", "b", printed)
    rejected = effects.step_down([effects._hypotheses(claim, found)] + [(1.0, 1.0)] * (claims - 1))[0]
    return effects._word(claim, found, *rejected)


@pytest.mark.parametrize(
    ("mean", "half", "printed", "expected"),
    [
        (-0.2, 0.1, None, "holds"),
        (-0.2, 0.1, -0.2, "holds"),
        (-0.5, 0.1, -0.2, "holds"),  # more than printed
        (-0.2, 0.1, -0.5, "smaller than printed"),
        (-0.05, 0.1, -0.5, "absent here"),
        (0.05, 0.1, -0.5, "absent here"),
        (-0.1, 0.2, -0.15, "undecided"),
        (-0.1, 0.2, None, "undecided"),
        (-0.1, 0.2, 0.5, "undecided"),  # printed against the claim: its size is none of the claim's
        (0.2, 0.1, -0.1, "opposite"),
        (0.2, 0.1, None, "opposite"),
    ],
)
def test_words_follow_from_the_interval_the_printed_effect_and_zero(
    mean: float, half: float, printed: float | None, expected: str
) -> None:
    assert word(mean, half, printed) == expected


def test_more_claims_need_more_evidence() -> None:
    assert word(-0.2, 0.15) == "holds"
    assert word(-0.2, 0.15, claims=10) == "undecided"
    assert word(-0.2, 0.15, -0.9, claims=10) == "undecided", "what excludes none by itself is not called absent"


def test_one_run_decides_nothing() -> None:
    (found,) = effects.judge([above("1", "0", -0.3)], pages(0.8, 0.95, seeds=1))
    assert (found.word, found.difference) == ("undecided", "-77.9 % [one run]")
    assert telling.power([found]) == "One run a row shows nothing."
    assert found.needed is None


def test_what_is_decided_only_by_itself_is_told() -> None:
    alone, neither = (Contrast(-0.1, error**2, 0, 8, 1, 5) for error in (0.04, 0.06))
    told = [Effect(above("a", "b"), "faces", found, "undecided", 0.01).judged for found in (alone, neither)]
    assert told == ["undecided (it would be decided if it were the only claim)", "undecided"]


def made(*words: str) -> list[Effect]:
    found = Contrast(-0.1, 0.001, 0, 8, 1, 5)
    return [Effect(above("a", "b"), "faces", found, each) for each in words]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("holds", "holds"), "holds"),
        (("holds", "smaller than printed"), "smaller than printed"),
        (("holds", "undecided"), "holds in part"),
        (("smaller than printed", "opposite"), "holds in part"),
        (("absent here", "absent here"), "absent here"),
        (("absent here", "undecided"), "undecided"),
        (("opposite", "undecided"), "opposite"),
    ],
)
def test_a_page_sums_up_its_claims(words: Sequence[str], expected: str) -> None:
    verdict = effects.verdict(made(*words))
    assert (verdict.word, verdict.leg, len(verdict.evidence)) == (expected, "recorded runs", len(words))
    giving = ("holds", "smaller than printed") if expected == "holds in part" else (expected,)
    assert verdict.evidence[0].split(": ")[-1].startswith(giving)


def test_where_nothing_is_compared_the_page_says_so() -> None:
    """As with one value of a parameter alone."""
    assert effects.verdict([]).word == "not judged"
    assert NOTHING in Forest([])._repr_html_()


def test_an_equivalence_has_a_margin_and_an_interval_of_two_one_sided_tests() -> None:
    runs = pages(0.8, 0.8, noise=0.001)
    claims = [Within("1", "0", ("LFW",), margin, "alike") for margin in (0.05, 0.0001)]
    near, nearer = (effects.judge([claim], runs)[0] for claim in claims)
    assert (near.word, nearer.word) == ("holds", "undecided")
    assert near.interval == pytest.approx(np.expm1(near.found.interval(0.9)))
    assert near.shown > 0
    far = effects.judge([Within("1", "0", ("LFW",), 0.05, "alike")], pages(0.8, 0.7, noise=0.001))
    assert far[0].word == "opposite"


def test_a_printed_share_of_few_errors_does_not_stand_beside_many() -> None:
    """Where three in five are errors nothing is said of a size; where one in five is, it is judged by it."""
    for many, printed in ((0.6, None), (0.2, -0.3)):
        (found,) = effects.judge([replace(above("1", "0"), printed=-0.3)], pages(1 - many, 1 - many, noise=0.001))
        assert found.claim.printed == printed
        assert found.word == ("undecided" if printed is None else "absent here")


def test_a_claim_about_a_row_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="'5 over 0' is about '5', which is not among 0, 1"):
        effects.judge([replace(above("5", "0"), printed=-0.1)], pages(0.8, 0.7))
    with pytest.raises(ValueError, match="'5 over 0' is about '5', which is not among 0, 1"):
        effects.judge([above("5", "0")], pages(0.8, 0.9))


def test_printed_numbers_give_the_same_share() -> None:
    assert published.share([99.83], [99.80]) == pytest.approx(-0.15)
    assert published.share([99.0, 98.0], [98.0, 96.0]) == pytest.approx(-0.5)
    assert published.share([], []) is None
    assert published.share([100.0], [99.0]) is None


def test_needed_seeds_are_those_for_the_printed_size() -> None:
    (found,) = effects.judge([above("1", "0", -0.02)], pages(0.8, 0.802, noise=0.003))
    assert found.word == "undecided"
    assert found.needed is not None
    wanted = found.found.with_runs(found.needed).detectable(found.level)
    assert wanted <= -np.log1p(-0.02)
    assert str(found.needed) in telling.table([found])["seeds to decide"].to_list()


def test_needed_seeds_are_those_for_the_measured_size_where_the_printed_one_is_excluded() -> None:
    """What is far smaller than printed is not decided by the few seeds that would show the printed size."""
    (found,) = effects.judge([above("1", "0", -0.9)], pages(0.8, 0.802, noise=0.003))
    assert found.found.differs(found.claim.size) < found.level  # type: ignore[union-attr, arg-type]
    assert found.needed is not None
    assert found.found.with_runs(found.needed).detectable(found.level) <= abs(found.found.mean)
    assert found.found.with_runs(found.needed - 1).detectable(found.level) > abs(found.found.mean)


# how it is shown


def test_the_figure_has_a_line_a_claim_and_a_panel_a_test_bed() -> None:
    faces = made("holds", "explored")
    glyphs = [replace(each, bed="glyphs") for each in faces]
    texts = [replace(each, claim=replace(each.claim, text=t, printed=-0.2)) for each, t in zip(faces, "ab", strict=True)]
    figure = forest([*texts, *(replace(g, claim=t.claim) for g, t in zip(glyphs, texts, strict=True))])
    assert [axes.get_title() for axes in figure.axes] == ["on faces", "on glyphs"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]
    hollow = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert [line.get_markerfacecolor() for line in hollow] == ["none", "none"]
    assert hollow[0].get_xdata()[0] == pytest.approx(-20)  # type: ignore[index]


def test_test_beds_with_nothing_in_common_are_beneath_each_other() -> None:
    """Side by side each would leave the lines of the others empty; beds with one difference in common share their lines."""
    (one,) = made("holds")
    named = [("a", "faces"), ("b", "faces"), ("c", "glyphs"), ("b", "large faces"), ("c", "many glyphs"), ("d", "many glyphs")]
    figure = forest([replace(one, bed=bed, claim=replace(one.claim, text=text)) for text, bed in named])
    found = [
        ([axes.get_title() for axes in part.axes], [each.get_text() for each in part.axes[0].get_yticklabels()])
        for part in figure.subfigs
    ]
    assert found == [
        (["on faces", "on large faces"], ["a", "b"]),
        (["on glyphs", "on many glyphs"], ["c", "d"]),
    ]
    assert all(len(axes.lines) > 1 for axes in figure.axes)


def test_what_lies_far_to_the_right_is_an_arrow_at_the_edge() -> None:
    """Where nearly nothing is an error, a few more are many times as many; they are not to flatten all other lines."""
    near, far = made("holds", "explored")
    far = replace(far, found=replace(far.found, mean=3.0), claim=replace(far.claim, text="far"))
    (axes,) = forest([near, far]).axes
    assert axes.get_xlim()[1] < 2 * EDGE
    arrows = [line for line in axes.lines if line.get_marker() == ">"]
    assert [np.concatenate(arrow.get_data()).tolist() for arrow in arrows] == [[EDGE, 1], [EDGE, 1]]  # of it, and its interval
    assert "An arrow at the right" in telling.caption([near, far])
    assert "An arrow" not in telling.caption([near])


def test_the_page_has_the_figure_in_words_too() -> None:
    claim = replace(made("holds")[0].claim, text="<a> over b", printed=-0.15)
    html = Forest([replace(made("holds")[0], claim=claim)], "made up")._repr_html_()
    assert 'aria-label="By how many percent the errors change' in html
    assert "&lt;a&gt; over b: -9.5 % [" in html
    assert "printed -15.0 %" in html
    assert "with a probability of 80 % (One claim: 5.0 %)" in html


def test_what_was_explored_stands_behind_a_line_unless_nothing_is_claimed() -> None:
    runs = pages(0.8, 0.9, 0.9)
    judged, more = effects.judge([above("1", "0")], runs), effects.explore([above("2", "0"), above("2", "1")], runs)
    first, behind = Forest([*more, *judged])._repr_html_().split("<details><summary>2 more differences were explored</summary>")
    assert ("1 over 0</td>" in first, "2 over 0</td>" in first) == (True, False)
    assert ("1 over 0</td>" in behind, "2 over 0</td>" in behind) == (False, True)
    alone = Forest(more)._repr_html_()
    assert "<details>" not in alone
    assert "2 over 1</td>" in alone


def test_the_caption_counts_words_and_names_the_clearest_difference() -> None:
    runs = pages(0.8, 0.9, 0.8001)
    claims = [Above(row, "0", ("LFW",), f"{row} over 0") for row in ("1", "2")]
    text = telling.caption([*effects.judge(claims, runs), *effects.explore(claims, runs)])
    assert "Of 2 claims: 1 holds, 1 undecided." in text
    assert "The clearest: 1 over 0, -" in text
    assert "An error is on faces one minus accuracy (LFW)." in text
    assert "No interval leaves out zero." in telling.caption(effects.judge(claims[1:], runs))


def test_explored_differences_are_neither_judged_nor_part_of_the_family() -> None:
    runs = pages(0.8, 0.9, 0.9)
    judged = effects.judge([above("1", "0")], runs)
    more = effects.explore([above("2", "0"), above("2", "1")], runs)
    assert [each.word for each in more] == ["explored", "explored"]
    assert [each.level for each in [*judged, *more]] == [0.05] * 3
    assert telling.power([*judged, *more]) == telling.power(judged)


def test_f_is_that_of_an_analysis_of_variance() -> None:
    groups = list(pages(0.8, 0.81, 0.83).values())
    logs = [[np.log(error(each, "LFW")) for each in group] for group in groups]
    assert effects.separation(groups, "LFW") == pytest.approx(stats.f_oneway(*logs).statistic)


# whether promises are kept


def test_a_known_effect_is_what_the_mean_of_many_experiments_is() -> None:
    design = Design(rows=2, seeds=5, people=200)
    moved = np.array([0.0, move(design, -0.1)])
    assert effect(design, moved[1]) == pytest.approx(-0.1)
    found = [each.mean for (each,) in experiments(design, moved, 300)]
    assert np.mean(found) == pytest.approx(-0.1, abs=3 * np.std(found) / 300**0.5)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "repeats"), [(3, 300), (5, 200), (10, 120), (20, 60)])
def test_intervals_families_and_power_are_as_promised(seeds: int, repeats: int) -> None:
    """On simulated experiments; `benchmarks/effects.py` makes many more, and finds 95 %, 5 % and 80 %."""
    kept = study(Design(seeds=seeds), repeats, seed=seeds)
    assert 0.93 <= kept.coverage <= 0.97
    chance = 2 * (0.05 * 0.95 / repeats) ** 0.5  # of so few experiments
    assert kept.wrong <= 0.05 + chance
    assert kept.excluded <= 0.05 + chance
    assert kept.power == pytest.approx(0.8, abs=0.05 + chance)


def test_the_page_on_judging_says_where_errors_come_from() -> None:
    (found,) = effects.judge([above("1", "0")], pages(0.8, 0.82))
    line = judging.anatomy([found]).iloc[0]
    seeds, people, both = (float(line[name]) for name in ("from seeds", "from people", "together"))
    assert both == pytest.approx(np.hypot(seeds, people), abs=0.1)


def test_a_search_is_judged_by_its_people() -> None:
    """The same counts as which pairs are right, group by group, move an effect alike."""
    numbers = np.random.default_rng(0)
    pairs = np.full(50, 12)
    right = {seed: numbers.binomial(12, 0.8, 50) for seed in (0, 1)}
    curve = {"cmc": np.ones((2, 1), np.float32), "roc": np.ones((2, 1), np.float32)}
    run = Run(Recipe(ArcFace(), data="glyphs/9/32"), {}, {}, {}, "", "", {})

    def made(seed: int) -> Run:
        counts = np.stack([pairs, right[seed], right[seed] // 2]).astype(np.uint16)
        own = {"planted identification people": counts} | {f"planted identification {k}": v for k, v in curve.items()}
        return replace(run, metrics={"planted identification rank-1": right[seed].sum() / 600}, arrays=own)

    found = influence(made(0), "planted identification rank-1")
    assert found is not None
    assert found[0] == "glyphs/9/32, people looked for"
    wrong = 600 - right[0].sum()
    np.testing.assert_allclose(found[1], ((12 - right[0]) - wrong / 50) / wrong)
    right[0] = pairs
    assert error(made(0), "planted identification rank-1") == 0.5 / 600


def test_what_decides_tells_settings_apart_best_on_people_set_aside() -> None:
    """By the recorded runs of settings that were tried: on faces the area under the ROC, on glyphs the TAR."""
    table = judging.set_aside().set_index("on")
    area, tar = table["F, AUC"].astype(float), table["F, TAR@FAR=1e-04"].astype(float)
    faces = table.index.str.startswith("faces")
    assert faces.sum() == 3
    assert (~faces).sum() == 2
    assert ((area > tar) == faces).all()


def test_many_effects_have_a_cell_each_and_a_colour_where_they_are_told() -> None:
    (less,), (same,) = made("holds"), made("undecided")
    places = {"sound": {"A": less, "B": same}, "wrong names": {"B": less}}
    (axes,) = matrix(places).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["A", "B"]
    assert [text.get_position() for text in axes.texts] == [(0, 0), (0, 1), (1, 1)]
    assert [text.get_fontweight() for text in axes.texts] == ["bold", "normal", "bold"]
    assert len(axes.patches) == 2
    html = Matrix(places, "made up")._repr_html_()
    assert f"sound: A {axes.texts[0].get_text()}. wrong names: B" in html
    assert '<p class="stands-on">made up</p>' in html
