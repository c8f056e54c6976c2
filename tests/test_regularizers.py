"""Center loss and ring loss against the literal equations; their state; what the head does with it. IAM is in test_heads."""

import copy
import math
from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from marginface import reference
from marginface.heads import MarginHead
from marginface.margins import ArcFace, NormFace, Softmax
from marginface.regularizers import IAM, CenterLoss, RingLoss, Stateful, Terms

Y = torch.tensor([0, 1, 2, 2, 4, 2, 0])


def make_head(*regularizers: Stateful | IAM, classes: int = 5) -> MarginHead:
    torch.manual_seed(1)
    return MarginHead(4, classes, NormFace(), regularizers).double()


def samples() -> Tensor:
    return torch.randn(7, 4, dtype=torch.float64, requires_grad=True)


def added(head: MarginHead, x: Tensor) -> Tensor:
    """What the regularizers add to the base loss."""
    base = make_head(classes=len(head.weight))
    base.weight.data = head.weight.data
    return head(x, Y) - base(x, Y)


@pytest.mark.parametrize("centres", ["rule", "learned"])
def test_center_loss_equals_the_literal_equation(centres: Literal["rule", "learned"]) -> None:
    center = CenterLoss(0.7, centres)
    head, x = make_head(center), samples()
    c = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    center.centre.data.copy_(c.detach())
    expected = 0.7 * reference.center(x, c, Y)
    ours = added(head, x)
    torch.testing.assert_close(ours, expected)
    (mine,), theirs = torch.autograd.grad(ours, [x], retain_graph=True), torch.autograd.grad(expected, [x, c])
    torch.testing.assert_close(mine, theirs[0])
    if centres == "learned":
        torch.testing.assert_close(torch.autograd.grad(ours, [center.centre])[0], theirs[1])


def test_centres_move_by_the_papers_rule_in_training_only() -> None:
    center = CenterLoss(0.7, alpha=0.3)
    head, x = make_head(center), samples()
    assert (center.centre == 0).all()
    for _ in range(2):  # the second time from centres that are not zero
        expected = reference.center_update(x.detach(), center.centre.clone(), Y, 0.3)
        head(x, Y)
        torch.testing.assert_close(center.centre, expected)
    assert (center.centre[3] == 0).all()  # the class that is not in the batch
    assert (center.centre[[0, 1, 2, 4]].norm(dim=1) > 0).all()
    before = center.centre.clone()
    head.eval()(x, Y)
    head.train().logits(x, Y)
    assert torch.equal(center.centre, before)


def test_learned_centres_are_moved_by_the_optimizer_alone() -> None:
    center = CenterLoss(0.7, "learned")
    head, x = make_head(center), samples()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    before = center.centre.detach().clone()
    head(x, Y).backward()
    assert torch.equal(center.centre, before)
    optimizer.step()
    c = before.requires_grad_()
    (gradient,) = torch.autograd.grad(0.7 * reference.center(x.detach(), c, Y), [c])
    assert gradient.abs().max() > 0.01
    torch.testing.assert_close(center.centre.detach(), before.detach() - 0.1 * gradient)


def test_ring_loss_equals_the_literal_equation() -> None:
    ring = RingLoss(0.7)
    head, x = make_head(ring), samples()
    R = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    ring.R.data = R.detach().clone()
    ours, expected = added(head, x), 0.7 * reference.ring(x, R)
    torch.testing.assert_close(ours, expected)
    for mine, other in zip(torch.autograd.grad(ours, [x, ring.R]), torch.autograd.grad(expected, [x, R]), strict=True):
        torch.testing.assert_close(mine, other)


def test_the_radius_starts_at_the_mean_norm_of_the_first_training_batch() -> None:
    ring = RingLoss(0.7)
    head, x = make_head(ring), samples()
    head.eval()(x, Y)
    assert ring.R == 0
    head.train()(x, Y)
    torch.testing.assert_close(ring.R.detach(), x.detach().norm(dim=1).mean())
    head(3 * x, Y)
    torch.testing.assert_close(ring.R.detach(), x.detach().norm(dim=1).mean())


@pytest.mark.parametrize("make", [lambda: CenterLoss(0.7), lambda: CenterLoss(0.7, "learned"), lambda: RingLoss(0.7)])
def test_gradcheck(make: Callable[[], Stateful]) -> None:
    regularizer, x = make(), samples()
    head = make_head(regularizer)
    head(x, Y)
    head.eval()  # so that the state stays while it looks
    state = list(regularizer.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: head(x, Y), (x, *state))


@pytest.mark.parametrize("make", [lambda: CenterLoss(0.7), lambda: CenterLoss(0.7, "learned"), lambda: RingLoss(0.7)])
def test_state_goes_into_the_checkpoint_and_comes_back(make: Callable[[], Stateful]) -> None:
    x = samples()
    first, second = make_head(IAM(0.1), make()), make_head(IAM(0.1), make())
    for _ in range(3):
        optimizer = torch.optim.SGD(first.parameters(), lr=0.1)
        first(x, Y).backward()
        optimizer.step()
    assert (second.eval()(x, Y) - first.eval()(x, Y)).abs() > 1e-3
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(second(x, Y), first(x, Y), rtol=0, atol=0)
    assert len(second.state_dict()) == 3  # class weights, step, and the state


@pytest.mark.parametrize("regularizer", [CenterLoss(0.1), CenterLoss(0.1, "learned"), RingLoss(0.1)])
def test_finite_for_zero_embeddings_and_embeddings_on_their_centre(regularizer: Stateful) -> None:
    head = MarginHead(4, 5, Softmax(), [regularizer])
    x = torch.zeros(7, 4, requires_grad=True)
    for _ in range(2):
        loss = head(x, Y)
        parameters = [x, head.weight, *regularizer.parameters()]
        assert all(torch.isfinite(tensor).all() for tensor in (loss, *torch.autograd.grad(loss, parameters)))


def test_the_base_loss_stays_what_it_was() -> None:
    """Neither the random numbers nor the gradient of the class weights change with a regularizer on embeddings."""
    torch.manual_seed(3)
    plain = MarginHead(4, 5, ArcFace())
    torch.manual_seed(3)
    head = MarginHead(4, 5, ArcFace(), [CenterLoss(1.0), RingLoss(1.0)])
    x = torch.randn(7, 4)
    (mine,) = torch.autograd.grad(head(x, Y), [head.weight])
    (theirs,) = torch.autograd.grad(plain(x, Y), [plain.weight])
    assert torch.equal(mine, theirs)


def test_autocast_leaves_them_in_float32() -> None:
    head = MarginHead(4, 5, NormFace(), [CenterLoss(1.0), RingLoss(1.0)]).eval()
    x = torch.randn(7, 4)
    with torch.autocast("cpu", torch.bfloat16):
        loss = head(x, Y)
    torch.testing.assert_close(loss, head(x, Y), rtol=0, atol=0)
    assert head(x.bfloat16(), Y).dtype == torch.float32


def test_terms_hold_what_the_head_was_given() -> None:
    seen: list[Terms] = []

    def look(terms: Terms) -> Tensor:
        seen.append(terms)
        return terms.target.new_zeros(())

    head = MarginHead(4, 5, NormFace(), [look])
    x = torch.randn(7, 4)
    head(x, Y)
    assert torch.equal(seen[0].embeddings, x)
    assert torch.equal(seen[0].labels, Y)
    assert torch.equal(seen[0].class_weights, head.weight)
    torch.testing.assert_close(seen[0].cosine, torch.cosine_similarity(x, head.weight[Y]))


def test_a_copy_of_a_head_has_its_own_state() -> None:
    head = make_head(CenterLoss(0.7))
    other = copy.deepcopy(head)
    other(samples(), Y)
    (center,) = head.regularizers
    assert isinstance(center, CenterLoss)
    assert (center.centre == 0).all()
    assert other.regularizers[0] is other.stateful[0]
    assert (other.state_dict()["stateful.0.centre"] != 0).any()


def test_settings_can_be_read_off() -> None:
    assert str(CenterLoss(0.1, alpha=0.2)) == "CenterLoss(weight=0.1, centres='rule', alpha=0.2)"
    assert str(RingLoss(0.1)) == "RingLoss(weight=0.1)"


def _rebind() -> None:
    center = CenterLoss(0.1)
    MarginHead(4, 5, NormFace(), [center])
    MarginHead(4, 6, NormFace(), [center])


def _unbound() -> None:
    one = torch.ones(1)
    CenterLoss(0.1)(Terms(one, one, one, lambda: one, 2, torch.ones(1, 4), torch.tensor([0]), one, torch.ones(2, 4)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CenterLoss(-0.1), r"CenterLoss: weight=-0.1"),
        (lambda: CenterLoss(math.inf), r"CenterLoss: weight=inf"),
        (lambda: CenterLoss(1, "fixed"), r"CenterLoss: centres='fixed'"),  # type: ignore[arg-type]
        (lambda: CenterLoss(1, alpha=1.1), r"CenterLoss: alpha=1.1"),
        (lambda: RingLoss(math.nan), r"RingLoss: weight=nan"),
        (_rebind, r"has centres \(5, 4\), not \(6, 4\)"),
        (_unbound, r"does not know its classes"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_plain_and_stateful_regularizers_are_added_in_one_head() -> None:
    head = make_head(IAM(0.2), RingLoss(0.7), IAM(0.3))
    x = samples()
    parts = added(make_head(IAM(0.5)), x) + added(make_head(RingLoss(0.7)), x)
    torch.testing.assert_close(added(head, x), parts)
    assert isinstance(head.stateful, nn.ModuleList)
    assert len(head.stateful) == 1
