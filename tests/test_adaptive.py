"""Losses that meet a batch: what they keep, learn and draw. Their values on a first batch are in test_heads."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from marginface import chunks, reference, streamed
from marginface.adaptive import AdaCos, AdaFace, AdaptiveFace, CurricularFace, DynArcFace, ElasticFace, MagFace
from marginface.heads import MarginHead
from marginface.margins import ArcFace, Margin
from marginface.ranks import Ranks
from marginface.regularizers import IAM
from marginface.sharded import ShardedMarginHead
from marginface.variants import CircleLoss, SphereFace2, SphereFaceR, SubCenterArcFace

MEETING: dict[str, Margin] = {
    "AdaFace": AdaFace(8, alpha=0.3),
    "MagFace": MagFace(8, short=0.5, long=4, lam=2),
    "CurricularFace": CurricularFace(8, 0.9, 0.3),
    "ElasticFace": ElasticFace(8),
    "ElasticFace+": ElasticFace(8, 0.3, 0.2, "cos", plus=True),
    "AdaCos": AdaCos(),
    "AdaptiveFace": AdaptiveFace(8),
    "DynArcFace": DynArcFace(8, 0.3, 0.5, 0.2),
    "SphereFace2": SphereFace2(8),
}


def head_of(margin: Margin, **settings: int) -> MarginHead:
    torch.manual_seed(1)
    return MarginHead(4, 6, margin, **{"chunk_size": 2, "keep_bytes": 0} | settings).double()  # type: ignore[arg-type]


def batches(count: int, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    source = torch.Generator().manual_seed(seed)
    return [
        (3 * torch.randn(5, 4, generator=source, dtype=torch.float64), torch.randint(6, (5,), generator=source))
        for _ in range(count)
    ]


def kept(head: MarginHead, name: str) -> Tensor:
    value = getattr(head.kept, name)
    assert isinstance(value, Tensor)
    return value


def cosines(head: MarginHead, x: Tensor, y: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(x, head.weight[y]).detach()


def test_adaface_keeps_moving_averages_of_norms() -> None:
    head, mean, deviation = head_of(AdaFace(8, alpha=0.3)), 20.0, 100.0
    for x, y in batches(3):
        head(x, y)
        mean = 0.3 * x.norm(dim=1).mean().item() + 0.7 * mean
        deviation = 0.3 * x.norm(dim=1).std().item() + 0.7 * deviation
    assert kept(head, "mean").item() == pytest.approx(mean)
    assert kept(head, "deviation").item() == pytest.approx(deviation)
    head(*[part[:1] for part in batches(1)[0]])  # one sample has no deviation
    assert kept(head, "deviation").item() == pytest.approx(deviation)


def test_adaface_gives_short_embeddings_arcfaces_margin() -> None:
    """ẑ = -1: all of m is added to the angle, and nothing taken from the cosine."""
    head = head_of(AdaFace(8, m=0.4)).eval()
    kept(head, "mean").fill_(50)
    kept(head, "deviation").fill_(1)
    x, y = batches(1)[0]
    expected = 8 * (cosines(head, x, y).arccos() + 0.4).cos()
    torch.testing.assert_close(head.logits(x, y)[torch.arange(5), y], expected)


def test_adacos_does_not_push_samples_away_from_their_class() -> None:
    """With three classes that lie opposite to a sample log(B) is below 0."""
    head = MarginHead(2, 3, AdaCos())
    head.weight.data.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.3], [-1.0, -0.3]]))
    for _ in range(3):
        head(torch.tensor([[1.0, 0.2]]), torch.tensor([0]))
        assert kept(head, "s").item() >= 0


def test_curricularface_keeps_a_moving_average_of_cosines() -> None:
    head, t = head_of(CurricularFace(8, alpha=0.3)), 0.0
    for x, y in batches(3):
        head(x, y)
        t = 0.3 * cosines(head, x, y).mean().item() + 0.7 * t
    assert kept(head, "t").item() == pytest.approx(t)


def test_adacos_follows_its_batches() -> None:
    head, s = head_of(AdaCos()), math.sqrt(2) * math.log(5)
    for x, y in batches(3):
        found = torch.nn.functional.cosine_similarity(x[:, None], head.weight, dim=2).detach()
        others = found.mul(s).exp().scatter(1, y[:, None], 0).sum(dim=1)
        s = math.log(others.mean()) / math.cos(min(math.pi / 4, cosines(head, x, y).arccos().median().item()))
        loss = head(x, y)
        torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(s * found, y))


LATER: dict[str, tuple[Margin, Callable[[Tensor, Tensor, Tensor, list[float], int], Tensor]]] = {
    "AdaFace": (AdaFace(8), lambda x, W, y, before, n: reference.adaface(x, W, y, 8, 0.4, 0.333, 0.99, before)),
    "AdaFace, slow": (
        AdaFace(8, 0.7, 5.0, 0.3),
        lambda x, W, y, before, n: reference.adaface(x, W, y, 8, 0.7, 5.0, 0.3, before),
    ),
    "CurricularFace": (
        CurricularFace(8, 0.9, 0.3),
        lambda x, W, y, before, n: reference.curricularface(x, W, y, 8, 0.9, 0.3, *before),
    ),
    "AdaCos": (AdaCos(), lambda x, W, y, before, n: reference.adacos(x, W, y, True, *before)),
    "AdaCos, fixed": (AdaCos(False), lambda x, W, y, before, n: reference.adacos(x, W, y, False)),
    "ElasticFace+": (
        MEETING["ElasticFace+"],
        lambda x, W, y, before, n: reference.elasticface(x, W, y, 8, "cos", True, ElasticFace(8, 0.3, 0.2).draw(len(x), n)),
    ),
}


@pytest.mark.parametrize(("chunk_size", "keep_bytes"), [(2, 0), (2, 100), (2, 2**20), (99, 0)])
@pytest.mark.parametrize("kind", [MarginHead, ShardedMarginHead])
@pytest.mark.parametrize("name", LATER)
def test_later_batches_equal_the_literal_equation(name: str, kind: type[MarginHead], chunk_size: int, keep_bytes: int) -> None:
    """Loss and gradients, with what was kept of the batches before."""
    margin, equation = LATER[name]
    head = kind(4, 6, margin, chunk_size=chunk_size, keep_bytes=keep_bytes).double()
    assert head.kept is not None
    (first, *later), states = batches(3), []
    head(*first)
    for number, (x, y) in enumerate(later, start=1):
        states.append([value.item() for value in head.kept.buffers()])
        loss = head(x.requires_grad_(), y)
        expected = equation(x, head.weight, y, states[-1], number)
        torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
        ours, theirs = (torch.autograd.grad(of, [x, head.weight]) for of in (loss, expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
    assert (states[0] != states[1]) == (name not in ("AdaCos, fixed", "ElasticFace+"))


@pytest.mark.parametrize(("keep_bytes", "products"), [(0, 9), (100, 7), (2**20, 3)])
@pytest.mark.parametrize("kind", [MarginHead, ShardedMarginHead])
def test_cosines_of_a_first_pass_are_not_computed_again(
    kind: type[MarginHead], keep_bytes: int, products: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three chunks of classes, of which there is room for none, one and all: in the first pass, the next, and the gradient."""
    made, product = [], chunks.product

    def counted(*given: Any, **named: Any) -> Tensor:
        made.append(given)
        return product(*given, **named)

    monkeypatch.setattr(chunks, "product", counted)
    head, (x, y) = kind(4, 6, AdaCos(), chunk_size=2, keep_bytes=keep_bytes).double(), batches(1)[0]
    head(x.requires_grad_(), y).backward()
    assert len(made) == products


@pytest.mark.parametrize("classes", [2, 6])
@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("sharded", [True, False])
def test_adacos_scales_plain_logits_as_those_of_a_batch(sharded: bool, dynamic: bool, classes: int) -> None:
    """At first, and after the scale has followed a batch."""
    kind = ShardedMarginHead if sharded else MarginHead
    head, (x, y) = kind(4, classes, AdaCos(dynamic)).double(), batches(1)[0]
    for _ in range(2):
        plain, of_batch = head.logits(x), head.logits(x, y % classes)
        torch.testing.assert_close(plain, of_batch, rtol=1e-12, atol=1e-12)
        assert (plain.abs().max() > 1.5) == (classes > 2)
        head(x, y % classes)


def test_what_is_kept_stays_where_a_network_is_tested() -> None:
    for name, margin in MEETING.items():
        head = head_of(margin)
        head(*batches(1)[0])
        before = {key: value.clone() for key, value in head.state_dict().items() if isinstance(value, Tensor)}
        head.eval()(*batches(1)[0])
        with torch.no_grad():
            head.train()(*batches(1)[0])
        assert all(torch.equal(head.state_dict()[key], value) for key, value in before.items()), name


def test_elasticface_draws_margins_that_differ_and_are_drawn_again_from_its_state() -> None:
    margin = ElasticFace(8, 0.5, 0.1)
    drawn = torch.cat([margin.draw(1000, number) for number in range(5)])
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.01)
    assert drawn.std().item() == pytest.approx(0.1, abs=0.01)
    assert len(drawn.unique()) == len(drawn)
    assert not torch.equal(margin.draw(9, 3), ElasticFace(8, 0.5, 0.1, seed=1).draw(9, 3))


@pytest.mark.parametrize("kind", [MarginHead, ShardedMarginHead])
def test_elasticface_draws_by_the_heads_seed(kind: type[MarginHead]) -> None:
    """The same where classes are over ranks, and in a head that goes on."""
    whole, (x, y) = head_of(ElasticFace(8)), batches(1)[0]
    losses = []
    for seed in (0, 0, 1):
        head = kind(4, 6, ElasticFace(8), seed=seed).double()
        head.weight.data = whole.weight.data
        losses.append([head(x, y).item() for _ in range(3)])
        again = kind(4, 6, ElasticFace(8), seed=seed).double()
        again.load_state_dict(head.state_dict())
        assert again(x, y) == head(x, y)
        changed = ShardedMarginHead.of(head).gather()
        assert changed.seed == seed
        torch.testing.assert_close(changed(x, y), head(x, y), rtol=1e-12, atol=1e-12)
    assert losses[0] == losses[1]
    assert all(one != other for one, other in zip(losses[0], losses[2], strict=True))
    assert losses[0] == pytest.approx([head_loss.item() for head_loss in (whole(x, y), whole(x, y), whole(x, y))])


def test_elasticface_draws_for_each_process_with_a_whole_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """With classes over processes every one draws for all samples, and the same."""
    margin, (x, y) = ElasticFace(8, kind="cos"), batches(1)[0]
    taken = []
    for rank in (0, 1):
        monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
        monkeypatch.setattr("torch.distributed.get_rank", lambda rank=rank: rank)
        head = head_of(margin)
        taken.append(cosines(head, x, y) - head.logits(x, y)[torch.arange(5), y].detach() / 8)
        torch.testing.assert_close(taken[-1], margin.draw(5, 0, 0, rank))
        sharded = ShardedMarginHead(4, 6, margin, group=Ranks.alone()).double()
        found = cosines(sharded, x, y) - sharded.logits(x, y)[torch.arange(5), y].detach() / 8
        torch.testing.assert_close(found, margin.draw(5, 0))
    assert not (taken[0] == taken[1]).any()


def test_elasticface_plus_gives_larger_margins_to_who_is_further() -> None:
    x, y = batches(1)[0]
    head = head_of(ElasticFace(8, 0.5, 0.2, "cos", plus=True))
    taken = cosines(head, x, y) - head.logits(x, y)[torch.arange(5), y].detach() / 8
    assert torch.equal(taken.argsort(), cosines(head, x, y).argsort(descending=True))


@pytest.mark.parametrize("name", MEETING)
def test_a_run_goes_on_from_its_state(name: str) -> None:
    one, other = head_of(MEETING[name]), head_of(MEETING[name])
    for x, y in batches(2):
        one(x, y)
    other.load_state_dict(one.state_dict())
    for x, y in batches(2, seed=1):
        assert torch.equal(one(x, y), other(x, y))
    one.reset_parameters()
    assert one.kept is not None
    assert one.kept.batches == 0


@pytest.mark.parametrize("name", MEETING)
def test_what_is_computed_a_second_time_equals_the_first(name: str) -> None:
    plain, twice = head_of(MEETING[name]), head_of(MEETING[name])
    for x, y in batches(3):
        one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        loss = plain(one, y)
        again = checkpoint(twice, other, y, use_reentrant=False)
        torch.testing.assert_close(loss, again, rtol=0, atol=0)
        loss.backward()
        again.backward()
        torch.testing.assert_close(one.grad, other.grad)
    for key, value in plain.state_dict().items():
        assert not isinstance(value, Tensor) or torch.equal(value, twice.state_dict()[key]), key


@pytest.mark.parametrize("name", MEETING)
def test_with_one_class_the_loss_is_what_a_loss_adds_by_itself(name: str) -> None:
    loss = MarginHead(4, 1, MEETING[name])(10 * torch.randn(3, 4), torch.zeros(3, dtype=torch.int64))
    assert (loss == 0) == (name not in ("MagFace", "AdaptiveFace", "SphereFace2"))


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("kind", [MarginHead, ShardedMarginHead])
@pytest.mark.parametrize("name", MEETING)
def test_a_batch_that_is_not_finite_leaves_what_is_kept_as_it_was(name: str, kind: type[MarginHead], bad: float) -> None:
    head = kind(4, 6, MEETING[name], check_values=False).double()
    assert head.kept is not None
    (x, y), (worse, own) = batches(2)
    head(x, y)
    before = {key: value.clone() for key, value in head.kept.named_buffers()}
    worse[1, 2] = bad
    assert not head(worse, own).isfinite()
    for key, value in head.kept.named_buffers():
        assert torch.equal(value, before[key]), key
    assert head(x, y).isfinite()


@pytest.mark.parametrize("length", [1e10, 1e18, 1e25, 3e38])
@pytest.mark.parametrize("alpha", [0.01, 0.99, 1.0])
def test_adaface_is_finite_for_every_length(alpha: float, length: float) -> None:
    head, (x, y) = MarginHead(4, 6, AdaFace(alpha=alpha)), batches(1)[0]
    x = x.float() / x.float().abs().amax()
    for by in (length * torch.linspace(0.1, 1, 5)[:, None], length, torch.tensor([length, 0, 1e-38, 1e-9, 1])[:, None], 1.0):
        leaf = (by * x).requires_grad_()
        loss = head(leaf, y)
        gradients = torch.autograd.grad(loss, [leaf, head.weight])
        for value in (loss, *gradients, kept(head, "mean"), kept(head, "deviation")):
            assert value.isfinite().all()


@pytest.mark.parametrize("chunk_size", [2, 99])
@pytest.mark.parametrize("name", MEETING)
def test_a_later_batch_does_not_change_the_gradient_of_a_batch_in_testing(name: str, chunk_size: int) -> None:
    found = []
    for comes in (False, True):
        head, ((x, y), later) = head_of(MEETING[name], chunk_size=chunk_size), batches(2)
        head(*later)
        head.eval()
        leaf = x.requires_grad_()
        loss = head(leaf, y) + head.logits(leaf).square().mean()
        if comes:
            head.train()(*later)
        found.append(torch.autograd.grad(loss, leaf)[0])
    assert torch.equal(*found)


@pytest.mark.parametrize("name", MEETING)
def test_a_head_may_be_made_without_memory_and_begun_later(name: str) -> None:
    with torch.device("meta"):
        head = MarginHead(4, 6, MEETING[name])
    head.to_empty(device="cpu")
    head.reset_parameters()
    begun = MarginHead(4, 6, MEETING[name])
    assert head.kept is not None
    assert begun.kept is not None
    for (key, value), other in zip(head.kept.state_dict().items(), begun.kept.state_dict().values(), strict=True):
        assert torch.equal(value, other) if isinstance(value, Tensor) else value == other, key
    assert head(*[part.float() if part.is_floating_point() else part for part in batches(1)[0]]).isfinite()


def test_averages_of_a_head_in_half_precision_are_in_single() -> None:
    """Steps of a hundredth are lost where numbers have three digits."""
    full, half = MarginHead(4, 6, AdaFace(8, alpha=0.01)), MarginHead(4, 6, AdaFace(8, alpha=0.01)).bfloat16()
    for _ in range(20):
        x, y = torch.randn(5, 4), torch.randint(6, (5,))
        full(x, y)
        half(x, y)
    assert half.weight.dtype == torch.bfloat16
    for name in ("mean", "deviation"):
        torch.testing.assert_close(kept(half, name), kept(full, name))
    assert kept(half.double(), "mean").dtype == torch.float64


def test_adaptiveface_learns_a_margin_for_each_class() -> None:
    head = head_of(AdaptiveFace(8, lam=0.7))
    with torch.no_grad():
        kept(head, "m").uniform_(0.1, 0.5)
    x, y = batches(1)[0]
    loss = head(x, y)
    m = kept(head, "m").detach().clone().requires_grad_()
    expected = reference.adaptiveface(x, head.weight.detach(), y, 8, m, 0.7)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, kept(head, "m"))[0], torch.autograd.grad(expected, m)[0])


@pytest.mark.parametrize("kind", [MarginHead, ShardedMarginHead])
def test_adaptivefaces_margins_count_within_0_and_1_and_find_back(kind: type[MarginHead]) -> None:
    head, (x, y) = kind(4, 6, AdaptiveFace(8, lam=0.7)).double(), batches(1)[0]
    y = torch.tensor([0, 1, 2, 3, 4])
    with torch.no_grad():
        kept(head, "m").copy_(torch.tensor([-7.0, -0.1, 0.4, 1.5, 9.0, 2.0]))
    taken = cosines(head, x, y) - head.logits(x, y)[y, y].detach() / 8
    torch.testing.assert_close(taken, torch.tensor([0, 0, 0.4, 1, 1], dtype=torch.float64))
    loss = head(x, y)
    torch.testing.assert_close(loss, reference.adaptiveface(x, head.weight, y, 8, kept(head, "m").detach(), 0.7))
    (slope,) = torch.autograd.grad(loss, kept(head, "m"))
    torch.testing.assert_close(slope[:2], torch.full((2,), -0.7 / 6, dtype=torch.float64))
    assert (slope[3:5] > 0).all()
    assert slope[5] == 0


def test_adaptivefaces_margins_stand_still_where_what_is_missing_of_p_is_lambda_over_s() -> None:
    """A batch with every class once: the sum of the margins' gradients is s · mean (1 - p) - λ."""
    head, x = head_of(AdaptiveFace(8, 0.2, lam=0.0)), batches(2)[0][0][[0, 1, 2, 3, 4, 0]]
    y = torch.arange(6)
    (slope,) = torch.autograd.grad(head(x, y), kept(head, "m"))
    p = head.logits(x, y).softmax(dim=1)[y, y].detach()
    assert slope.sum().item() == pytest.approx(8 * (1 - p).mean().item())
    still = head_of(AdaptiveFace(8, 0.2, lam=slope.sum().item()))
    assert torch.autograd.grad(still(x, y), kept(still, "m"))[0].sum().item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("chunk_size", [1, 4, None])
@pytest.mark.parametrize("kind", [MarginHead, ShardedMarginHead])
def test_dynarcface_gives_a_class_the_margin_that_it_has_room_for(kind: type[MarginHead], chunk_size: int | None) -> None:
    """By the nearest other class: two lie 0.3 apart, one is at right angles to all, one opposite to it."""
    at = torch.tensor([0.0, 0.3, math.pi, math.pi / 2 + 0.15], dtype=torch.float64)
    head = kind(2, 4, DynArcFace(8, 0.3, 0.5, 0.2), chunk_size=chunk_size).double()
    head.weight.data = torch.stack([at.cos(), at.sin()], dim=1) * torch.tensor([[1.0], [3.0], [0.1], [2.0]])
    x, y = torch.nn.functional.normalize(batches(1)[0][0][:4, :2]), torch.arange(4)
    apart = torch.tensor([0.3, 0.3, math.pi / 2 - 0.15, math.pi / 2 - 0.15], dtype=torch.float64)
    expected = 8 * (cosines(head, x, y).arccos() + 0.3 + 0.5 * (apart - 0.2)).cos()
    torch.testing.assert_close(head.logits(x, y)[y, y], expected)


@pytest.mark.parametrize("chunk_size", [2, None])
def test_dynarcfaces_gradient_for_samples_is_that_of_its_value(chunk_size: int | None) -> None:
    head = head_of(DynArcFace(8, 0.3, 0.5, 0.2), **({} if chunk_size else {"chunk_size": 99}))
    x, y = batches(1)[0]
    assert torch.autograd.gradcheck(lambda x: head(x, y), (x.requires_grad_(),))


@pytest.mark.parametrize("chunk_size", [2, None])
def test_dynarcface_is_finite_for_classes_at_one_place_opposite_ones_and_one_alone(chunk_size: int | None) -> None:
    row = torch.tensor([0.3, -0.2, 0.7, 0.1])
    for rows in ([row, row, -row, 0 * row, 1e-25 * row], [row], [row, -row]):
        head = MarginHead(4, len(rows), DynArcFace(64), chunk_size=chunk_size)
        head.weight.data = torch.stack(rows)
        x = torch.stack([row, -row, 0 * row]).requires_grad_()
        for inside in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=inside):
                loss = head(x, torch.zeros(3, dtype=torch.int64))
            gradients = torch.autograd.grad(loss, [x, head.weight])
            assert torch.isfinite(loss)
            assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert loss > 0


def test_dynarcface_without_a_slope_is_arcface() -> None:
    x, y = batches(1)[0]
    torch.testing.assert_close(head_of(DynArcFace(8, 0.5, 0.0))(x, y), head_of(ArcFace(8, 0.5))(x, y), rtol=1e-12, atol=0)


@pytest.mark.parametrize("lam", [0.3, 0.7, 0.99])
@pytest.mark.parametrize("classes", [2, 6, 100_000])
def test_sphereface2s_bias_begins_where_it_has_no_gradient_at_right_angles(classes: int, lam: float) -> None:
    margin = SphereFace2(40, 0.4, 3, lam)
    b = torch.tensor(margin.shared_bias(classes), dtype=torch.float64, requires_grad=True)
    cosine = torch.zeros(1, dtype=torch.float64)
    z_y, z_j = 40 * margin.target(cosine) + b, 40 * margin.others(cosine) + b
    (slope,) = torch.autograd.grad(margin.losses(z_y, (classes - 1) * torch.nn.functional.softplus(z_j)).sum(), b)
    assert slope.item() == pytest.approx(0, abs=1e-9)
    assert SphereFace2(bias_begins=0.3).shared_bias(classes) == 0.3
    for none in (0.0, 1.0):
        assert SphereFace2(lam=none).shared_bias(classes) == 0, "it has a gradient anywhere"


def test_sphereface2s_bias_is_a_number_for_whatever_settings() -> None:
    assert SphereFace2(1000, 0.4, lam=0.5).shared_bias(2) == pytest.approx(750)  # of two that weigh alike, g(0) · r less
    assert math.isfinite(SphereFace2(lam=5e-324).shared_bias(100_000))
    assert SphereFace2().shared_bias(1) == 0


def test_sphereface2_may_have_the_derivative_of_a_cosine() -> None:
    cosine = torch.tensor([-0.9, 0.2, 1.0], dtype=torch.float64, requires_grad=True)
    exact, detached = SphereFace2(), SphereFace2(gradient="detached")
    for name in ("target", "others"):
        ours, theirs = getattr(detached, name)(cosine), getattr(exact, name)(cosine)
        torch.testing.assert_close(ours, theirs)
        assert torch.equal(torch.autograd.grad(ours.sum(), cosine)[0], torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("settings", [{"chunk_size": 2}, {"chunk_size": 99}])
def test_spherface2_learns_its_bias(settings: dict[str, int]) -> None:
    head = head_of(SphereFace2(8, bias_begins=0.3), **settings)
    x, y = batches(1)[0]
    with torch.no_grad():
        kept(head, "bias").fill_(0.3)  # as a double
    b = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    expected = reference.sphereface2(x, head.weight.detach(), y, 8, 0.4, 3, 0.7, b)
    loss = head(x, y)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, kept(head, "bias"))[0], torch.autograd.grad(expected, b)[0])
    torch.testing.assert_close(head_of(SphereFace2(8, bias_begins=0.3, weight=50), **settings)(x, y), 50 * loss)


def test_sums_of_softplus_have_no_place_for_what_wants_a_logarithm() -> None:
    with pytest.raises(ValueError, match=r"IAM on logits .* SphereFace2"):
        MarginHead(4, 6, SphereFace2(), [IAM(0.1, on="logits")])
    with pytest.raises(ValueError, match=r"corrected=True .* SphereFace2"):
        ShardedMarginHead(4, 6, SphereFace2(), sample_rate=0.5, corrected=True)
    assert torch.isfinite(MarginHead(4, 6, SphereFace2(), [IAM(0.1)])(torch.randn(3, 4), torch.arange(3)))


def test_sampled_classes_with_a_bias_that_all_share() -> None:
    head = ShardedMarginHead(4, 60, SphereFace2(), sample_rate=0.5)
    head(torch.randn(3, 4, requires_grad=True), torch.arange(3)).backward()
    assert kept(head, "bias").grad is not None


def test_a_sub_centre_of_its_own_is_arcface() -> None:
    """With the K weights of a class alike, all is as with one."""
    x, y = batches(1)[0]
    one, several = head_of(ArcFace(16, 0.3)), head_of(SubCenterArcFace(16, 0.3, 3))
    assert several.weight.shape == (6, 3, 4)
    with torch.no_grad():
        several.weight.copy_(one.weight[:, None].expand(6, 3, 4))
    torch.testing.assert_close(several(x, y), one(x, y))


def test_only_the_nearest_sub_centre_moves() -> None:
    x, y = batches(1)[0]
    for settings in ({"chunk_size": 2}, {"chunk_size": 2, "keep_bytes": 2**20}, {"chunk_size": 99}):
        head = head_of(SubCenterArcFace(16, 0.3, 3), **settings)
        head(x[:1], y[:1]).backward()
        assert head.weight.grad is not None
        moved = head.weight.grad.norm(dim=2) > 0
        assert torch.equal(moved.sum(dim=1), torch.ones(6, dtype=torch.int64))
        directions = torch.nn.functional.normalize(head.weight.detach(), dim=2)
        assert torch.equal(moved.int().argmax(dim=1), (directions @ torch.nn.functional.normalize(x[0], dim=0)).argmax(dim=1))


@pytest.mark.parametrize("keep_bytes", [200, 2**20])
def test_a_bias_of_all_classes_keeps_its_gradient_where_derivatives_are_kept(keep_bytes: int) -> None:
    """Of few chunks or of all: what the backward pass is left to do is as if nothing had been kept."""
    x, y = torch.randn(5, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 5, 3, 3, 1])
    found = []
    for room in (0, keep_bytes):
        head = head_of(SphereFace2(8), keep_bytes=room)
        assert head.kept is not None
        assert head.kept.bias is not None
        points = x.clone().requires_grad_()
        head(points, y).backward()
        found.append([points.grad, head.weight.grad, head.kept.bias.grad])
    for again, expected in zip(*found, strict=True):
        torch.testing.assert_close(again, expected, rtol=1e-12, atol=1e-12)
    alike = torch.zeros(1, requires_grad=True).expand(6)
    each = torch.zeros(6, requires_grad=True)
    assert [streamed._can_keep(SphereFace2(8), bias) for bias in (alike, each)] == [True, False]


@pytest.mark.parametrize("keep_bytes", [0, 200, 2**20])
@pytest.mark.parametrize("chunk_size", [2, 4])
def test_sub_centres_have_the_gradients_of_the_whole_matrix(chunk_size: int, keep_bytes: int) -> None:
    """With derivatives kept of no chunk, of some, of all; a byte can say which of 256 was the nearest, and not of more."""
    x, y = batches(1)[0]
    for centres in (3, 256, 257) if keep_bytes > 200 else (3,):
        found = []
        for settings in ({"chunk_size": 99}, {"chunk_size": chunk_size, "keep_bytes": keep_bytes}):
            head, leaf = head_of(SubCenterArcFace(16, 0.3, centres), **settings), x.clone().requires_grad_()
            head(leaf, y).backward()
            found.append((leaf.grad, head.weight.grad))
        torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


def test_the_last_of_many_sub_centres_is_not_taken_for_another() -> None:
    """Derivatives are kept with a byte that says which was the nearest, for which 257 are too many."""
    x, y = batches(1)[0]
    found = []
    for settings in ({"chunk_size": 99}, {"chunk_size": 2, "keep_bytes": 2**20}):
        head = head_of(SubCenterArcFace(16, 0.3, 257), **settings)
        with torch.no_grad():
            head.weight[:, 256] = x[:1] + 0.1 * torch.linspace(-1, 1, 24).view(6, 4) * x[0].norm()
        head(x, y).backward()
        assert head.weight.grad is not None
        assert head.weight.grad[:, 256].norm() > 1e-3
        found.append(head.weight.grad)
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


def test_how_many_chunks_are_kept() -> None:
    """Of four bytes a product, and of sub-centres one more."""
    x, one, several = torch.zeros(10, 4), torch.zeros(100, 4), torch.zeros(100, 3, 4)
    assert [chunks.fits(x, one, 20, keep) for keep in (799, 800, 1600, 10**6)] == [0, 1, 2, 5]
    assert [chunks.fits(x, several, 20, keep) for keep in (999, 1000, 2000, 10**6)] == [0, 1, 2, 5]


def test_the_nearest_sub_centre_is_the_same_forward_and_backward_under_autocast() -> None:
    """In half precision another of some that lie close together might be the nearest."""
    torch.manual_seed(0)
    x, y = torch.randn(64, 32), torch.randint(200, (64,))
    grads = []
    for inside in (False, True):
        torch.manual_seed(1)
        head = MarginHead(32, 200, SubCenterArcFace(16, 0.3, 3), chunk_size=50)
        with torch.no_grad():
            first = head.weight[:, :1]
            head.weight.copy_(first + 0.02 * first.norm(dim=2, keepdim=True) * torch.randn_like(head.weight))
        loss = head(x, y)
        with torch.autocast("cpu", torch.bfloat16, enabled=inside):
            loss.backward()
        grads.append(head.weight.grad)
    torch.testing.assert_close(*grads)


def test_circle_loss_pulls_harder_on_what_is_further_off() -> None:
    margin = CircleLoss(1, 0.25)
    cosine = torch.tensor([-0.5, 0.2, 0.7], requires_grad=True)
    (slope,) = torch.autograd.grad(margin.target(cosine).sum(), cosine)
    torch.testing.assert_close(slope, 1.25 - cosine.detach())
    (slope,) = torch.autograd.grad(margin.others(cosine).sum(), cosine)
    torch.testing.assert_close(slope, (cosine.detach() + 0.25).clamp_min(0))


def test_sphereface_r_changes_values_and_leaves_the_derivative_of_a_cosine_at_one() -> None:
    cosine = torch.tensor([-1.0, -0.9, 0.2, 1.0], requires_grad=True)
    for margin, values in (
        (SphereFaceR(m=2, version="v1").target(cosine), torch.tensor([-1.0, -1.0, 2 * 0.2**2 - 1, 1.0])),
        (SphereFaceR(m=2, version="v2").others(cosine), ((1 + cosine.detach()) / 2).sqrt()),
    ):
        torch.testing.assert_close(margin.detach(), values, rtol=1e-5, atol=1e-5)
        (slope,) = torch.autograd.grad(margin.sum(), cosine)
        assert torch.equal(slope, torch.ones(4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdaFace(alpha=0.0), "alpha"),
        (lambda: MagFace(short=20, long=10), "short=20 must be less than long=10"),
        (lambda: ElasticFace(kind="sphere"), "kind"),  # type: ignore[arg-type]
        (lambda: SubCenterArcFace(K=1), "K=1 must be a whole number from 2 on"),
        (lambda: SphereFace2(lam=1.5), "lam"),
        (lambda: CircleLoss(m=2.0), "m=2.0"),
        (lambda: SphereFaceR(version="v3"), "version"),  # type: ignore[arg-type]
        (lambda: SphereFaceR(m=0.5), "m=0.5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
