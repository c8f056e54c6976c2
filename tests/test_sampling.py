"""Some of the classes at a time: which ones, what the loss is of, and what an optimizer leaves alone."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from tests.test_sharded import MARGINS
from torch import Tensor

from marginface import reference
from marginface.adaptive import AdaCos, ElasticFace
from marginface.directions import unit
from marginface.heads import MarginHead
from marginface.margins import ArcFace, CombinedMargin, Margin, NormFace, Softmax
from marginface.regularizers import IAM
from marginface.sampling import chosen, draw_classes, generator
from marginface.sharded import ShardedMarginHead

DIM, CLASSES = 4, 12
SAMPLED = MARGINS | {
    "CombinedMargin": CombinedMargin(8, 1.1, 0.3, 0.2),
    "ElasticFace": ElasticFace(8, sigma=0.3),
    "ElasticFace Cos": ElasticFace(8, 0.35, 0.3, "cos"),
    "AdaCos fixed": AdaCos(dynamic=False),
}
OPTIMIZERS: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
    "adamw, one at a time": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1, foreach=False),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, momentum=0.9, weight_decay=0.1),
}


def batch(samples: int = 3) -> tuple[Tensor, Tensor]:
    return torch.randn(samples, DIM, dtype=torch.float64, requires_grad=True), torch.randint(CLASSES, (samples,))


def sampled(margin: Margin, **settings: object) -> ShardedMarginHead:
    head = ShardedMarginHead(DIM, CLASSES, margin, sample_rate=0.5, **settings).double()  # type: ignore[arg-type]
    if head.bias is not None:
        head.bias.data.normal_()
    return head


def met(head: ShardedMarginHead) -> Tensor:
    """The classes of the last batch."""
    gradient = head.weight.grad
    assert gradient is not None
    return gradient.coalesce().indices()[0]


def test_the_batch_is_always_among_them() -> None:
    for draw in range(50):
        place = torch.tensor([-3, 5, 5, 11, 40, 12])  # some are of other ranks
        index, among, correction = draw_classes(12, 5, place, generator(0, draw, 0, place.device))
        assert index.tolist() == sorted(set(index.tolist()))
        assert index[among[1:4]].tolist() == [5, 5, 11]
        assert among[[0, 4, 5]].tolist() == [5, 5, 5]
        assert torch.equal(correction.exp() > 1, ~torch.isin(index, torch.tensor([5, 11])))
        torch.testing.assert_close(correction.exp().max(), torch.tensor(10 / 3, dtype=torch.float64))


def test_all_others_are_drawn_equally_often() -> None:
    place, times = torch.tensor([2]), torch.zeros(6)
    for draw in range(3000):
        times[draw_classes(6, 3, place, generator(0, draw, 0, place.device))[0]] += 1
    assert times[2] == 3000
    rest = times[times < 3000]  # each is there with probability 2/5: a standard deviation of 27
    assert ((rest - 1200).abs() < 150).all()


@pytest.mark.parametrize(
    ("classes", "rate", "samples", "count"), [(100, 0.1, 5, 10), (100, 0.1, 50, 50), (30, 0.1, 50, 30), (0, 0.1, 5, 0)]
)
def test_there_is_room_for_the_whole_batch(classes: int, rate: float, samples: int, count: int) -> None:
    assert chosen(classes, rate, samples) == count
    index, *_ = draw_classes(classes, count, torch.arange(samples), None)
    assert len(index) == count


@pytest.mark.parametrize("name", SAMPLED)
def test_it_is_the_loss_of_the_classes_that_were_met(name: str) -> None:
    """With what a margin has of the batch or of all classes: averages, a scale, the nearest class, a mean."""
    margin = SAMPLED[name]
    head = sampled(margin)
    all_of_it = head.gather()
    x, y = batch()
    loss = head(x, y)
    loss.backward()
    index = met(head)
    assert len(index) == 6
    other = x.detach().requires_grad_()
    first = all_of_it._first(unit(other), all_of_it.weight, y)
    some = MarginHead(DIM, len(index), all_of_it._met_here(margin, other, first, True)).double()
    some.weight.data = head.weight.detach()[index]
    if head.bias is not None and some.bias is not None:
        some.bias.data = head.bias.detach()[index]
    if some.kept is not None and all_of_it.kept is not None:  # a bias that all classes share
        some.kept.load_state_dict(all_of_it.kept.state_dict())
    expected = some(other, torch.searchsorted(index, y))
    expected.backward()
    assert head.weight.grad is not None
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(head.weight.grad.coalesce().values(), some.weight.grad, rtol=1e-12, atol=1e-12)
    if head.bias is not None and some.bias is not None:
        assert head.bias.grad is not None
        torch.testing.assert_close(head.bias.grad.coalesce().values(), some.bias.grad, rtol=1e-12, atol=1e-12)
    theirs = dict([*all_of_it.named_parameters(), *some.named_parameters()])
    for key, learned in head.named_parameters():
        if key.startswith("kept."):
            torch.testing.assert_close(learned.grad, theirs[key].grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("corrected", [False, True])
def test_it_is_the_literal_equation(corrected: bool) -> None:
    head = sampled(ArcFace(8, 0.4), corrected=corrected)
    x, y = batch()
    loss = head(x, y)
    loss.backward()
    W = head.weight.detach().clone().requires_grad_()
    expected = reference.partial_fc(x, W, y, 8, 0.4, met(head), corrected)
    of_x, of_weight = torch.autograd.grad(expected, [x, W])
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(x.grad, of_x)
    assert head.weight.grad is not None
    torch.testing.assert_close(head.weight.grad.to_dense(), of_weight)


@pytest.mark.parametrize("corrected", [False, True])
def test_corrected_it_is_right_on_average(corrected: bool) -> None:
    """Every set of two others out of four is as likely as any: over all of them the sum of exponentials is the whole one."""
    x, y = torch.randn(1, DIM, dtype=torch.float64), torch.tensor([3])
    head = ShardedMarginHead(DIM, 5, NormFace(4), sample_rate=0.6, corrected=corrected).double()
    sums: dict[tuple[int, ...], Tensor] = {}
    while len(sums) < 6:
        loss = head(x, y)
        loss.backward()
        sums[tuple(met(head).tolist())] = loss.detach().expm1()  # Σ exp(z_j - z_y)
        head.zero_grad()
    whole = head.eval()(x, y).detach().expm1()
    mean = torch.stack(list(sums.values())).mean()
    assert torch.allclose(mean, whole, rtol=1e-12) == corrected
    assert torch.allclose(mean, whole / 2, rtol=1e-12) != corrected


def test_iam_on_cosines_is_of_what_was_met_and_corrected_too() -> None:
    head = sampled(ArcFace(8), regularizers=[IAM(0.5)], corrected=True)
    plain = ShardedMarginHead.of(head.gather(), regularizers=[], sample_rate=0.5, corrected=True)
    x, y = batch(1)
    both, base = head(x, y), plain(x, y)
    both.backward()
    index = met(head)
    cosines = torch.nn.functional.normalize(x.detach()) @ torch.nn.functional.normalize(head.weight.detach()[index]).T
    z = 8 * cosines[0]
    own = index == y
    others = (z[~own] + torch.tensor(11 / 5, dtype=torch.float64).log()).logsumexp(dim=0)
    expected = 0.5 * (torch.nn.functional.logsigmoid(others - z[own][0]) - torch.tensor(11.0, dtype=torch.float64).log())
    torch.testing.assert_close(both - base, expected, rtol=1e-10, atol=1e-12)


def test_all_are_met_at_a_rate_of_1_and_in_evaluation() -> None:
    whole = MarginHead(DIM, CLASSES, Softmax()).double()
    x, y = batch()
    assert torch.equal(ShardedMarginHead.of(whole, sample_rate=1.0)(x, y), ShardedMarginHead.of(whole)(x, y))
    some = ShardedMarginHead.of(whole, sample_rate=0.5)
    assert some(x, y) != whole(x, y)
    torch.testing.assert_close(some.eval()(x, y), whole.eval()(x, y), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_leaves_alone_what_was_not_met(name: str) -> None:
    """What was met it moves as if there were nothing else."""
    head = sampled(Softmax())
    assert head.bias is not None
    optimizer = OPTIMIZERS[name]([head.weight, head.bias])
    for _ in range(6):
        x, y = batch()
        optimizer.zero_grad()
        head(x, y).backward()
        index = met(head)
        rest = torch.ones(CLASSES, dtype=torch.bool).index_fill(0, index, False)
        tables = {"weight": head.weight.detach().clone(), "bias": head.bias.detach().clone()}
        state = {
            (name, key): value.clone()
            for name, parameter in head.named_parameters()
            for key, value in optimizer.state[parameter].items()
            if isinstance(value, Tensor)
        }
        twins = {name: torch.nn.Parameter(table[index].clone()) for name, table in tables.items()}
        twin = OPTIMIZERS["adamw, one at a time" if "one at" in name else name](list(twins.values()))
        for key, parameter in twins.items():
            gradient = getattr(head, key).grad
            parameter.grad = gradient.coalesce().values().clone()
            old = {k: v for (n, k), v in state.items() if n == key}
            if old:
                twin.state[parameter] = {k: v[index].clone() if v.dim() else v.clone() for k, v in old.items()}
        twin.step()
        optimizer.step()
        for key, before in tables.items():
            after = getattr(head, key)
            assert torch.equal(after[rest], before[rest])
            torch.testing.assert_close(after[index], twins[key], rtol=1e-14, atol=1e-14)
            assert after.grad is not None
            assert after.grad.is_sparse
            for k, value in optimizer.state[after].items():
                if isinstance(value, Tensor) and value.dim():
                    assert value.shape == after.shape
                    assert torch.equal(value[rest], state[key, k][rest] if (key, k) in state else torch.zeros_like(value[rest]))
                    torch.testing.assert_close(value[index], twin.state[twins[key]][k], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("positional", [True, False])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_step_with_a_closure_is_one_without(name: str, positional: bool) -> None:
    """The closure sees all classes, and what moves are those that it has met: to the last bit."""
    whole, batches, found = MarginHead(DIM, CLASSES, Softmax()).double(), [batch() for _ in range(5)], []
    for with_closure in (False, True):
        head = ShardedMarginHead.of(whole, sample_rate=0.5)
        optimizer, losses = OPTIMIZERS[name](list(head.parameters())), []

        def closure(
            x: Tensor, y: Tensor, head: ShardedMarginHead = head, optimizer: torch.optim.Optimizer = optimizer
        ) -> float:
            assert head.weight.shape == whole.weight.shape
            optimizer.zero_grad()
            loss = head(x, y)
            loss.backward()
            return loss.item()

        for x, y in batches:
            now = partial(closure, x.detach(), y)
            if not with_closure:
                losses.append(now())
                optimizer.step()
            else:
                losses.append(optimizer.step(now) if positional else optimizer.step(closure=now))
        state = [value for p in head.parameters() for value in optimizer.state[p].values() if isinstance(value, Tensor)]
        found.append((losses, [*head.parameters(), *state]))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(one, other) for one, other in zip(found[0][1], found[1][1], strict=True))


def test_a_closure_may_meet_other_classes_each_time() -> None:
    """Of an optimizer that calls it twice in a step: no weight is lost on the way."""

    class Twice(torch.optim.SGD):
        @torch.no_grad()
        def step(self, closure: Any = None) -> Any:
            with torch.enable_grad():
                closure()
            return super().step(closure)

    head = sampled(ArcFace(8))
    optimizer, before, (x, y) = Twice(head.parameters(), lr=0.1), head.weight.detach().clone(), batch()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = head(x, y)
        loss.backward()
        return loss

    optimizer.step(closure)
    rest = torch.ones(CLASSES, dtype=torch.bool).index_fill(0, met(head), False)
    assert torch.equal(head.weight.detach()[rest], before[rest])
    assert head.weight.shape == before.shape


@pytest.mark.parametrize("then", ["forward", "logits", "state", "load", "step"])
def test_a_step_that_is_interrupted_leaves_all_of_the_weight(then: str) -> None:
    head = sampled(ArcFace(8))
    optimizer, other = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9), sampled(ArcFace(8))
    other_optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    x, y = batch()
    head(x, y).backward()
    optimizer.step()
    before = head.weight.detach().clone()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    handle = optimizer.register_step_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    handle.remove()
    other(x, y).backward()
    other_optimizer.step()  # which has nothing to do with it
    if then == "step":
        optimizer.step()
    elif then == "load":
        head.load_state_dict(other.state_dict())
    else:
        actions: dict[str, Callable[[], object]] = {
            "forward": lambda: head(x, y),
            "logits": lambda: head.logits(x),
            "state": head.state_dict,
        }
        actions[then]()
    assert head.weight.shape == before.shape
    assert optimizer.state[head.weight]["momentum_buffer"].shape == before.shape
    if then not in ("step", "load"):
        assert torch.equal(head.weight, before)


@pytest.mark.parametrize("to_none", [True, False])
def test_after_an_interrupted_step_a_gradient_that_was_dropped_stays_so(to_none: bool) -> None:
    head, (x, y) = sampled(ArcFace(8)), batch()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    head(x, y).backward()
    handle = optimizer.register_step_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    handle.remove()
    optimizer.zero_grad(set_to_none=to_none)
    loss = head(x, y)
    (expected,) = torch.autograd.grad(loss, head.weight, retain_graph=True)
    loss.backward()
    assert head.weight.grad is not None
    torch.testing.assert_close(head.weight.grad.to_dense(), expected.to_dense())


def test_batches_that_are_accumulated_move_the_classes_of_all_of_them() -> None:
    head = sampled(ArcFace(8))
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    before = head.weight.detach().clone()
    gradients: list[Tensor] = []
    for _ in range(2):
        x, y = batch(2)
        loss = head(x, y)
        gradients += torch.autograd.grad(loss, head.weight, retain_graph=True)
        loss.backward()
    optimizer.step()
    dense = gradients[0].to_dense() + gradients[1].to_dense()
    moved = torch.zeros(CLASSES, dtype=torch.bool)
    for gradient in gradients:
        moved[gradient.coalesce().indices()[0]] = True
    assert 6 < moved.sum() < CLASSES
    assert torch.equal(head.weight.detach()[~moved], before[~moved])
    torch.testing.assert_close(head.weight.detach()[moved], (before - 0.1 * (dense + 0.1 * before))[moved])


def test_it_goes_on_from_its_state() -> None:
    """Another seed or another rank draws others."""
    whole = MarginHead(DIM, 200, ArcFace(8)).double()

    def losses(head: ShardedMarginHead, count: int) -> list[float]:
        return [head(x, y).item() for x, y in batches[:count]]

    batches = [(x.detach(), y) for x, y in (batch() for _ in range(4))]
    head = ShardedMarginHead.of(whole, sample_rate=0.1)
    first = losses(head, 2)
    again = ShardedMarginHead.of(whole, sample_rate=0.1)
    again.load_state_dict(head.state_dict())
    assert losses(again, 4) == losses(head, 4) != first
    assert losses(ShardedMarginHead.of(whole, sample_rate=0.1), 2) == first
    assert losses(ShardedMarginHead.of(whole, sample_rate=0.1, seed=1), 2) != first
    index = [draw_classes(50, 5, torch.tensor([0]), generator(0, 1, rank, torch.device("cpu")))[0] for rank in (0, 1)]
    assert not torch.equal(*index)


@pytest.mark.parametrize("rate", [0, -0.1, 1.5, float("nan")])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(ValueError, match="sample_rate"):
        ShardedMarginHead(DIM, CLASSES, ArcFace(), sample_rate=rate)
