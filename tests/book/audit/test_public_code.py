"""Papers against public code: the computed examples, each against something worked out another way."""

import math

import numpy as np
import pytest
import torch

from marginface.adaptive import AdaFace, ElasticFace, MagFace
from marginface.book.audit.public_code import examples, later, points
from marginface.evaluation.verification import kfold_accuracy, pair_scores
from marginface.heads import MarginHead
from marginface.margins import ArcFace, CosFace, InterFace
from marginface.variants import SphereFace2


def test_loss_of_one_sample() -> None:
    """CosFace by hand: 64 (cos 40° - 0.35) against one class at 50° and the rest at 90°."""
    target, near = 64 * (math.cos(math.radians(40)) - 0.35), 64 * math.cos(math.radians(50))
    expected = np.log1p(np.exp(near - target) + 8 * np.exp(-target))
    assert examples.loss_of(CosFace(), 40, classes=10) == pytest.approx(expected)


def test_the_printed_sign_relaxes_and_the_released_one_tightens() -> None:
    table = examples.sign_table(degrees=(40,)).set_index("loss").iloc[:, 0].astype(float)
    for name in ("cid&ct", "did&ct", "did&dt, b = 10°"):
        assert table[f"{name}, sign as printed"] < table["ArcFace"] < table[f"{name}, sign as released"]
    unit = "did&dt, b = 10 rad"
    assert table[f"{unit}, sign as printed"] > table["ArcFace"] > table[f"{unit}, sign as released"], "f is positive everywhere"
    easy, plain = examples.loss_of(InterFace.cid_ct(), 5), examples.loss_of(ArcFace(), 5)
    assert easy > plain, "near the class weight it is the other way round"


def test_the_schedule_in_steps() -> None:
    table = examples.schedule_table()
    assert table["paper"].tolist() == ["80k", "140k", "210k", "280k", "295k"]
    assert table.iloc[-1, 2] == f"{26 * 5_822_653 / 512 / 1000:.1f}k"


def test_the_gradients_differ_by_the_sines() -> None:
    """d cos(θ + m) / d cos θ = sin(θ + m) / sin θ."""
    table = examples.gradient_table(degrees=(20, 90))
    for row, theta in zip(table.itertuples(index=False), np.radians([20, 90]), strict=True):
        assert float(row[1]) == pytest.approx(math.sin(theta + 0.5) / math.sin(theta), abs=1e-3)
        assert float(row[2]) == 1


def test_angles_at_the_start() -> None:
    """Cosines of random directions are nearly normal, with standard deviation 1/√512; the largest of a million is about 4.9."""
    expected = math.degrees(math.acos(-4.9 / math.sqrt(512)))
    assert examples.start_angle() == pytest.approx(expected, abs=2)


def test_synthetic_pairs_can_be_told_apart() -> None:
    left, right, same = examples.draw_pairs(pairs=600)
    assert same.sum() == 300
    assert 0.9 < kfold_accuracy(pair_scores(left, right), same).accuracy < 1
    assert examples.threshold_table(seeds=2).shape == (2, 4)


def test_the_best_of_many() -> None:
    """Of two binomial draws: E max = sum over k of 1 - F(k)², here against a simulation."""
    draws = np.random.default_rng(0).binomial(100, 0.9, (200_000, 2)).max(axis=1).mean() / 100
    assert examples._best_of(2, 0.9, 100) == pytest.approx(draws, abs=5e-4)
    assert examples._best_of(1, 0.9, 100) == pytest.approx(0.9)


def test_mirror_images() -> None:
    """20 e₁ + 5 (e₁ + √3 e₂)/2 against e₁, and the same with both at length 1: half the angle."""
    before, after = examples.mirror_scores()
    assert before == pytest.approx(22.5 / math.hypot(22.5, 2.5 * math.sqrt(3)))
    assert after == pytest.approx(math.cos(math.radians(30)))


def test_scipy_and_equal_rates() -> None:
    error = examples.interpolation_error()
    assert error == "" or "duplicates" in error


def test_what_is_left_of_where_an_average_began() -> None:
    """AdaFace's own, whose deviation begins at 100, after batches in which all norms are 1, so that it is 0."""
    head = MarginHead(4, 3, AdaFace(alpha=later.RECIPES))
    x, y = torch.nn.functional.normalize(torch.randn(5, 4), dim=1), torch.arange(5) % 3
    for _ in range(10):
        head(x, y)
    assert head.kept is not None
    assert head.kept.get_buffer("deviation").item() == pytest.approx(100 * later.left(later.RECIPES, 10), rel=1e-4)
    assert later.average_table().iloc[:, 1].tolist() == ["1.00", "99.00", "0.00"]


def test_adaface_as_printed_is_the_library() -> None:
    norms, degrees = [120.0, 150.0, 180.0], 10.0
    theta = torch.tensor(math.radians(degrees), dtype=torch.float64, requires_grad=True)
    W = torch.eye(3, dtype=torch.float64)
    head = MarginHead(3, 3, AdaFace(scale=1.0, alpha=1.0)).double()
    head.weight.data = W
    direction = torch.stack([theta.cos(), theta.sin(), torch.zeros_like(theta)])
    x, y = torch.tensor(norms)[:, None] * direction, torch.zeros(3, dtype=torch.int64)
    head(x, y)
    T = head.logits(x, y)[:, 0]
    for i, z in enumerate(later.quality(norms)):
        (slope,) = torch.autograd.grad(T[i], theta, retain_graph=True)
        assert slope.item() == pytest.approx(later.adaface_slope(degrees, z))
        assert T[i].item() == pytest.approx(math.cos(math.radians(degrees) - 0.4 * z) - 0.4 * (1 + z))
    assert not later.quality(norms, held=True).any()
    assert later.adaface_slope(degrees, 1) > 0 == later.adaface_slope(degrees, 1, held=True)


def test_with_magfaces_bound_a_length_that_is_shortest_grows() -> None:
    """The hardest sample there can be: p = 0 and θ + m = 90°, s K against the slope of λ (1/a + a/u²)."""
    loss = MagFace()
    bound = later.magface_bound(loss)
    assert bound == pytest.approx(22.586667)  # as the authors' own check prints it
    for lam in (bound - 0.1, bound + 0.1):
        a = torch.tensor(loss.short, dtype=torch.float64, requires_grad=True)
        m = loss.least + (loss.most - loss.least) * (a - loss.short) / (loss.long - loss.short)
        value = -loss.scale * torch.cos(math.pi / 2 - loss.least + m) + lam * (1 / a + a / loss.long**2)
        (slope,) = torch.autograd.grad(value, a)
        assert (slope < 0) == (lam > bound)


def test_elasticface_plus_by_rank_is_the_library_and_by_order_is_not() -> None:
    cosine, drawn = np.array([0.6, 0.9, 0.5]), np.array([0.3, 0.1, 0.2])
    assert later.by_rank(cosine, drawn).tolist() == [0.2, 0.1, 0.3]
    assert later.by_order(cosine, drawn).tolist() == [0.2, 0.1, 0.3], "a swap is its own inverse"
    cosine = np.array([0.5, 0.9, 0.6])
    assert later.by_rank(cosine, drawn).tolist() == [0.3, 0.1, 0.2]
    assert later.by_order(cosine, drawn).tolist() == [0.2, 0.3, 0.1]
    margin = ElasticFace(1.0, sigma=0.0175, kind="cos", plus=True)
    head = MarginHead(4, 4, margin).double()
    x, y = torch.randn(6, 4, dtype=torch.float64), torch.arange(6) % 4
    own = torch.nn.functional.cosine_similarity(x, head.weight.detach()[y])
    taken = own - head.logits(x, y)[torch.arange(6), y].detach()
    np.testing.assert_allclose(taken, later.by_rank(own.numpy(), margin.draw(6, 0).numpy()))


def test_orders_and_ranks_agree_at_two_samples_of_a_batch() -> None:
    """At those that the permutation, done twice, leaves where they are: in cycles of one or two, one of each on average."""
    same, correlation = later.elastic_agreement(samples=20, batches=4000)
    assert same == pytest.approx(2, abs=0.2)
    assert correlation == pytest.approx(1 / 19, abs=0.02), "which comes from these two"
    assert len(later.elastic_table()) == 5


def test_sphereface2_pulls_fifty_times_as_much_with_the_codes_weight() -> None:
    """At 90°, g' is t / 2^(t - 1) = 0.75, and the own class, one of very many, is nowhere near sure: λ = 0.7 of it."""
    assert later.sphereface2_pull(SphereFace2()) == pytest.approx(0.7 * 0.75, rel=1e-2)
    assert later.sphereface2_pull(SphereFace2(weight=50.0)) == pytest.approx(50 * later.sphereface2_pull(SphereFace2()))


def test_points_and_their_verdict() -> None:
    found = points.points()
    by_topic = {point.topic: point.same for point in found}
    assert by_topic["InterFace: the sign of f"] is False
    assert by_topic["InterFace: how long training takes"] is True
    assert by_topic["ArcFace: pixel values, 2018"] is True
    assert by_topic["which checkpoint is reported"] is None
    assert by_topic["verification: mirror images"] is None
    assert [by_topic[p.topic] for p in later.points()] == [False] * 10 + [None, None]
    casia = next(point for point in found if point.topic.startswith("InterFace: training on CASIA"))
    assert casia.same is None
    assert casia.example.endswith("32.6k steps")  # 34 epochs of 490,623 images in batches of 512
    assert len(points.points_table(found)) == len(found) == len(by_topic)
    verdict = points.verdict(found)
    assert verdict.word == "reproduced in part"
    assert len(verdict.evidence) == 1 + list(by_topic.values()).count(False)
    assert points.verdict([p for p in found if p.same]).word == "reproduced"
    assert points.verdict([p for p in found if p.same is False]).word == "contradicted"


def test_the_released_sign_is_that_of_the_code(shared: object) -> None:
    """Losses of the released code, where they are at hand: our `released` meets them, the paper's sign does not."""
    files = sorted((shared.parent / "golden").glob("losses_*.npz"))  # type: ignore[attr-defined]
    if not files:
        pytest.skip("no golden values beside the data")
    golden = np.load(files[0])
    W, x, y = (torch.from_numpy(golden[name]) for name in ("weight", "embeddings", "labels"))
    losses = []
    for sign in ("released", "paper"):
        head = MarginHead(W.shape[1], len(W), InterFace.cid_ct(sign=sign)).double()
        head.weight.data = W
        losses.append(head(x, y).item())
    released, paper = losses
    assert released == pytest.approx(float(golden["interface_cid_ct.official.loss"]))
    assert paper != pytest.approx(released)
