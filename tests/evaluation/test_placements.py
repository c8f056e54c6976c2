"""All pairs, against pairs written out; variances, against published formulas, leaving people out, and people drawn anew."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from marginface.evaluation import placements
from marginface.evaluation.placements import Placements, all_pairs, variance
from marginface.evaluation.verification import tar_at_far

PEOPLE, EACH, GROUPS = 60, 5, 20
WHO = np.repeat(np.arange(PEOPLE), EACH)


def faces(seed: int, people: int = PEOPLE, each: int = EACH, noise: float = 1.2, dim: int = 16) -> NDArray[np.float64]:
    numbers = np.random.default_rng(seed)
    return (numbers.normal(size=(people, 1, dim)) + noise * numbers.normal(size=(people, each, dim))).reshape(-1, dim)


def written_out(x: NDArray, who: NDArray, kind: NDArray | None) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Of every pair: its score, whether it is genuine, and its two images."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    i, j = np.triu_indices(len(x), 1)
    if kind is not None:
        i, j = (side[kind[i] != kind[j]] for side in (i, j))
    return (unit @ unit.T)[i, j], who[i] == who[j], i, j


def auc(scores: NDArray, same: NDArray) -> float:
    genuine = int(same.sum())
    ranks = rankdata(scores)[same].sum() - genuine * (genuine + 1) / 2
    return float(ranks / genuine / (len(same) - genuine))


@pytest.fixture(params=[None, 3], ids=["all", "across kinds"])
def kind(request: pytest.FixtureRequest) -> NDArray | None:
    return None if request.param is None else np.arange(len(WHO)) % request.param


@pytest.mark.slow
@pytest.mark.parametrize("block", [1000, 10**6])
@pytest.mark.parametrize("groups", [PEOPLE, GROUPS, 7])
def test_every_number_is_that_of_the_pairs_written_out(
    kind: NDArray | None, groups: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placements, "BLOCK", block)
    x, order = faces(0), np.random.default_rng(1).permutation(len(WHO))
    found = all_pairs(5 * x[order], WHO[order] * 7 - 3, None if kind is None else kind[order], groups=groups)
    scores, same, i, j = written_out(x, WHO, kind)
    group = WHO * groups // PEOPLE
    assert found.auc == pytest.approx(auc(scores, same), abs=1e-6)
    assert found.impostor_pairs == (~same).sum()
    higher = 1 - np.searchsorted(np.sort(scores[~same]), scores, side="right") / (~same).sum()
    lower = np.searchsorted(np.sort(scores[same]), scores) / same.sum()
    for g in range(groups):
        own, others = same & (group[i] == g), ~same & ((group[i] == g) | (group[j] == g))
        assert (found.genuine[g], found.impostors[g]) == (own.sum(), others.sum())
        assert found.above[g] == pytest.approx(higher[own].mean(), abs=1e-4)
        assert found.below[g] == pytest.approx(lower[others].mean(), abs=1e-4)
        for k, far in enumerate(found.fars):
            threshold = np.sort(scores[~same])[-1 - int(far * (~same).sum() + 1e-9)]
            assert found.accepted[k, g] == (own & (scores > threshold)).sum()
            assert found.admitted[k, g] == (others & (scores > threshold)).sum()
    assert found.tars.tolist() == [tar_at_far(scores, same, far) for far in found.fars]
    assert found.fars.tolist() == [far for far in placements.FARS if far * (~same).sum() >= 1]


@pytest.mark.parametrize("noise", [0.6, 1.0, 3.0])
def test_rounded_scores_move_the_auc_by_less_than_a_millionth(noise: float) -> None:
    x, who = faces(2, 150, 8, noise, dim=64), np.repeat(np.arange(150), 8)
    scores, same, _, _ = written_out(x, who, None)
    exact = auc(scores, same)
    assert all_pairs(x, who).auc == pytest.approx(exact, abs=1e-6, rel=0)
    assert exact < 1


def test_it_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placements, "BLOCK", 10_000)
    told: list[int] = []
    all_pairs(faces(0), WHO, progress=told.append)
    assert len(told) > 2
    assert min(told) > 0
    assert sum(told) == len(WHO) * (len(WHO) + 1)


def test_equal_scores_count_half() -> None:
    x = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    assert all_pairs(x, [0, 0, 1, 1, 2, 2]).auc == 1
    assert all_pairs(x, [0, 1, 0, 1, 2, 3]).auc == pytest.approx(0.5 * (2 / 13) * 0 + 0.5 * 10 / 13, abs=1e-6)
    assert all_pairs(np.ones((6, 4)), [0, 0, 1, 1, 2, 2]).auc == 0.5


def test_what_a_record_keeps_gives_the_same_again() -> None:
    made = all_pairs(faces(0), WHO, groups=GROUPS)
    arrays = made.arrays()
    kept = Placements.of(arrays)
    assert kept.tars.tolist() == made.tars.tolist()
    assert kept.auc == pytest.approx(made.auc, abs=1e-3 * (1 - made.auc))
    pairs = [(made.auc_influence(), kept.auc_influence())]
    pairs += [(made.tar_influence(far), kept.tar_influence(far)) for far in made.fars]
    for exact, short in pairs:
        assert variance(short) == pytest.approx(variance(exact), rel=0.03)
        assert variance(short, exact) == pytest.approx(variance(exact), rel=0.03)
    assert sum(array.nbytes for array in arrays.values()) < 60 * GROUPS
    with pytest.raises(ValueError, match=r"far=0\.5 must be one of 0\.1, 0\.01"):
        made.tar_influence(0.5)


def test_one_pair_a_cluster_is_delong() -> None:
    """Against DeLong, DeLong and Clarke-Pearson 1988, eq. 4 to 6, with two networks: a pair is a cluster."""
    numbers = np.random.default_rng(3)
    genuine, impostors = 400, 900
    shared = numbers.normal(size=genuine + impostors)
    same = np.arange(genuine + impostors) < genuine
    influences, components = [], []
    for _ in range(2):
        scores = shared + numbers.normal(size=len(shared)) + 1.5 * same
        positive, negative = scores[same], scores[~same]
        wins = positive[:, None] > negative[None]
        components.append((wins.mean(axis=1), wins.mean(axis=0)))
        none = np.zeros((0, len(same)), dtype=np.int64)
        missed = 1 - np.concatenate([wins.mean(axis=1), wins.mean(axis=0)])
        counts = same.astype(np.int64), (~same).astype(np.int64)
        above, below = np.where(same, missed, 0), np.where(same, 0, missed)
        found = Placements(*counts, above, below, impostors, np.empty(0), none, none, np.empty(0))
        assert found.auc == pytest.approx(wins.mean())
        influences.append(found.auc_influence())
    for a, b in ((0, 0), (1, 1), (0, 1)):
        spread = [np.cov(components[a][side], components[b][side])[0, 1] for side in (0, 1)]
        published = spread[0] / genuine + spread[1] / impostors
        assert variance(influences[a], influences[b]) == pytest.approx(published, rel=0.004)


def test_leaving_a_group_out_tells_the_same(kind: NDArray | None) -> None:
    """The jackknife over groups, which knows nothing of placements."""
    x, group = faces(0), WHO * GROUPS // PEOPLE
    scores, same, i, j = written_out(x, WHO, kind)
    left = [(group[i] != g) & (group[j] != g) for g in range(GROUPS)]
    found = all_pairs(x, WHO, kind, groups=GROUPS)
    without = np.array([auc(scores[rest], same[rest]) for rest in left])
    jackknife = (GROUPS - 1) / GROUPS * ((without - without.mean()) ** 2).sum()
    assert variance(found.auc_influence()) == pytest.approx(jackknife, rel=0.02)


@pytest.mark.slow
def test_variances_are_those_of_people_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two networks, one of them noisier: the spread of AUC, of TAR and of their differences, over draws of people."""
    monkeypatch.setattr(placements, "STEP", 2.0**-12)  # a small table is faster, and fine enough for this
    monkeypatch.setattr(placements, "BINS", 2**13 + 2)
    errors, expected = [], []
    for seed in range(300):
        numbers = np.random.default_rng(seed)
        person, image = numbers.normal(size=(PEOPLE, 1, 16)), numbers.normal(size=(PEOPLE, EACH, 16))
        error, influence = [], []
        for noise in (0.5, 0.7):
            own = noise * numbers.normal(size=(PEOPLE, EACH, 16))
            found = all_pairs((person + image + own).reshape(-1, 16), WHO, fars=(0.1,))
            error += [1 - found.auc, 1 - found.tars[0]]
            influence += [found.auc_influence(), found.tar_influence(0.1)]
        errors.append([*error, error[2] - error[0], error[3] - error[1]])
        expected.append([variance(h) for h in (*influence, influence[2] - influence[0], influence[3] - influence[1])])
    ratio = np.mean(expected, axis=0) / np.var(errors, axis=0, ddof=1)
    assert ratio.tolist() == pytest.approx([1.0] * 6, abs=0.3)  # a variance from 300 draws is known to 8 %


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"people": WHO[1:]}, r"people must be \(300,\)"),
        ({"kind": WHO[1:]}, r"kind must be \(300,\)"),
        ({"people": np.arange(300)}, "not 0 and 44850"),
        ({"people": np.zeros(300, int)}, "not 44850 and 0"),
        ({"embeddings": np.full((300, 4), np.nan)}, "embeddings must be finite"),
        ({"groups": 1}, "groups must be 2"),
    ],
)
def test_what_is_wrong_is_named(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        all_pairs(**{"embeddings": faces(0), "people": WHO} | change)
    with pytest.raises(ValueError, match="same two groups"):
        variance([1.0, 2.0], [1.0])
