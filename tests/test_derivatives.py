"""What else than a backward pass is asked of a head: compilers, exporters, derivatives of every kind, and their costs."""

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from marginface import adaptive
from marginface.adaptive import AdaCos, DynArcFace, ElasticFace
from marginface.adjacent import PAM
from marginface.angles import angle, sine, turn_back
from marginface.heads import MarginHead
from marginface.margins import ArcFace, CosFace, InterFace, LSoftmax, Margin, NormFace, RedefinedArcFace, Softmax, SphereFace
from marginface.regularizers import IAM, CenterLoss, RingLoss, Stateful

MARGINS: dict[str, Margin] = {
    "Softmax": Softmax(),
    "SphereFace": SphereFace(2, 1.0),
    "ArcFace": ArcFace(8),
    "RedefinedArcFace": RedefinedArcFace(8),
    "InterFace": InterFace.did_dt(scale=8, detach=False),
}


OF_TORCH = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # its own, in forward mode


class Logits(nn.Module):
    def __init__(self, head: MarginHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.head.logits(x, y)


def batch(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    return torch.randn(4, 3, dtype=dtype), torch.tensor([0, 1, 2, 4])


@pytest.mark.slow
@OF_TORCH
@pytest.mark.parametrize("name", MARGINS)
def test_torch_func_and_double_backward_work_on_the_whole_matrix(name: str) -> None:
    head = MarginHead(3, 5, MARGINS[name], [IAM(0.1)], chunk_size=None).double()
    x, y = batch()
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(head(leaf, y), leaf)
    torch.testing.assert_close(torch.func.grad(lambda x: head(x, y))(x), expected)
    along = torch.func.jvp(lambda x: head(x, y), (x,), (torch.ones_like(x),))
    torch.testing.assert_close(along[1], expected.sum())
    each = torch.func.vmap(torch.func.grad(lambda x, y: head(x[None], y[None])))(x, y)
    torch.testing.assert_close(each / len(x), expected)

    def loss(x: Tensor, W: Tensor) -> Tensor:
        return torch.func.functional_call(head, {"weight": W}, (x, y))

    assert torch.autograd.gradgradcheck(loss, (leaf, head.weight))
    assert torch.autograd.gradgradcheck(lambda x: head.logits(x, y), (leaf,))


@OF_TORCH
def test_over_chunks_of_classes_they_say_what_they_need() -> None:
    head = MarginHead(3, 5, ArcFace(8), chunk_size=2).double()
    x, y = batch()
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(head(leaf, y), leaf, create_graph=True)
    for ask in (
        lambda: torch.func.jvp(lambda x: head(x, y), (x,), (x,)),
        lambda: torch.func.vmap(lambda x, y: head(x[None], y[None]))(x, y),
        lambda: slope.sum().backward(),
    ):
        with pytest.raises(NotImplementedError, match="they need chunk_size=None"):
            ask()


@OF_TORCH
@pytest.mark.parametrize("training", [True, False])
def test_a_first_pass_over_chunks_asks_for_no_less(training: bool) -> None:
    """What AdaCos and DynArcFace find in it the next pass takes, at whatever level of torch.func that is."""
    x, y = batch()
    head = MarginHead(3, 5, DynArcFace(8), chunk_size=2).double().train(training)
    (expected,) = torch.autograd.grad(head(leaf := x.clone().requires_grad_(), y), leaf)
    torch.testing.assert_close(torch.func.grad(lambda x: head(x, y))(x), expected)
    adacos = MarginHead(3, 5, AdaCos(), chunk_size=2).double().train(training)
    for ask in (
        lambda: torch.func.jvp(lambda x: head(x, y), (x,), (x,)),
        lambda: torch.func.jvp(lambda x: adacos(x, y), (x,), (x,)),
        lambda: torch.func.vmap(lambda x, y: adacos(x[None], y[None]))(x, y),
    ):
        with pytest.raises(NotImplementedError, match="they need chunk_size=None"):
            ask()


@OF_TORCH
def test_the_functions_of_angles_are_differentiable_twice_and_finite_at_their_ends() -> None:
    cosine = torch.tensor([-0.9, -0.1, 0.3, 0.99], dtype=torch.float64, requires_grad=True)
    by = torch.tensor([0.1, -0.2, 0.3, 0.5], dtype=torch.float64, requires_grad=True)
    for function, arguments in ((angle, (cosine,)), (sine, (cosine,)), (turn_back, (cosine, by))):
        assert torch.autograd.gradcheck(function, arguments, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(function, arguments)
    end = torch.tensor([-1.0, 1.0], requires_grad=True)
    for function in (angle, sine):
        (slope,) = torch.autograd.grad(function(end).sum(), end, create_graph=True)
        assert torch.equal(slope, torch.zeros(2))
        (curve,) = torch.autograd.grad(slope.sum(), end)
        assert torch.isfinite(curve).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", MARGINS)
def test_logits_are_exported_for_batches_of_any_size(name: str) -> None:
    module = Logits(MarginHead(3, 5, MARGINS[name]))
    N = torch.export.Dim("N", min=1, max=1024)
    x, y = batch(torch.float32)
    exported = torch.export.export(module, (x, y), dynamic_shapes=({0: N}, {0: N})).module()
    for size in (1, 3):
        torch.testing.assert_close(exported(x[:size], y[:size]), module(x[:size], y[:size]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")  # of the compiler
@pytest.mark.parametrize("name", ["ArcFace", "InterFace"])
def test_the_whole_matrix_compiles_into_one_graph(name: str) -> None:
    torch._dynamo.reset()
    head = MarginHead(3, 5, MARGINS[name], [IAM(0.1)])
    x, y = batch(torch.float32)
    for function in (head, head.logits):
        compiled: Any = torch.compile(function, fullgraph=True, backend="aot_eager")
        ours, theirs = (torch.autograd.grad(f(x, y).sum(), head.weight)[0] for f in (compiled, function))
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["AdaFace", "CurricularFace", "AdaCos", "CenterLoss", "RingLoss"])
def test_torch_func_takes_what_has_a_state_where_a_network_is_tested(name: str) -> None:
    margin: Margin = getattr(adaptive, name, ArcFace)()
    regularizers = [{"CenterLoss": CenterLoss, "RingLoss": RingLoss}[name](0.1)] if margin == ArcFace() else []
    head, (x, y) = MarginHead(3, 5, margin, regularizers, chunk_size=None).double(), batch()
    with pytest.raises(RuntimeError):
        torch.func.grad(lambda x: head(x, y))(x)
    head.eval()
    torch.testing.assert_close(torch.func.grad(lambda x: head(x, y))(x), torch.autograd.grad(head(x.requires_grad_(), y), x)[0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")  # of the compiler
def test_a_loss_that_meets_batches_is_compiled_once() -> None:
    torch._dynamo.reset()
    heads = [MarginHead(3, 5, ElasticFace(), chunk_size=None) for _ in range(2)]
    heads[1].load_state_dict(heads[0].state_dict())
    compiled, graphs = torch.compile(heads[1], backend="eager"), []
    for _ in range(4):
        x, y = batch(torch.float32)
        torch.testing.assert_close(compiled(x, y), heads[0](x, y))
        graphs.append(torch._dynamo.utils.counters["frames"]["total"])
    assert len(set(graphs)) == 1


@pytest.mark.parametrize("regularizer", [CenterLoss(0.1), RingLoss(0.1)])
@pytest.mark.parametrize("chunk_size", [2, None])
def test_shapes_can_be_had_without_values(chunk_size: int | None, regularizer: Stateful) -> None:
    head = MarginHead(3, 5, InterFace(), [type(regularizer)(0.1)], chunk_size).to("meta")
    loss = head(torch.empty(4, 3, device="meta"), torch.empty(4, dtype=torch.int64, device="meta"))
    loss.backward()
    assert loss.shape == ()
    assert head.weight.grad is not None
    assert head.weight.grad.shape == (5, 3)


def test_values_are_looked_at_only_where_asked() -> None:
    x, y = batch(torch.float32)
    x[0] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        MarginHead(3, 5, NormFace())(x, y)
    assert MarginHead(3, 5, NormFace(), check_values=False)(x, y).isnan()


class Kept:
    """A tensor that autograd has been given to keep."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def test_what_is_kept_for_the_backward_pass_is_autograds_and_goes_with_it() -> None:
    held: weakref.WeakSet[Kept] = weakref.WeakSet()

    def pack(tensor: Tensor) -> Kept:
        kept = Kept(tensor)
        held.add(kept)
        return kept

    head, (x, y) = MarginHead(3, 50, ArcFace(), chunk_size=10), batch(torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        loss = head(x, y)
    assert max(kept.tensor.numel() for kept in held) == 4 * 50
    loss.backward()
    gc.collect()
    assert len(held) == 0
    assert loss.grad_fn is not None


def flops(of: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        of()
    return counter.get_total_flops()


@pytest.mark.parametrize("keep_bytes", [0, 2**20])
def test_frozen_class_weights_cost_no_gradient(keep_bytes: int) -> None:
    head, (x, y) = MarginHead(3, 50, ArcFace(), chunk_size=10, keep_bytes=keep_bytes), batch(torch.float32)
    x.requires_grad_()
    product = 2 * 4 * 50 * 3
    both = flops(lambda: head(x, y).backward())
    head.weight.requires_grad_(False)
    assert flops(lambda: head(x, y).backward()) == both - product
    assert head.weight.grad is not None
    assert flops(lambda: head.logits(x, y)) == product


@pytest.mark.parametrize("factor", [1e-30, 1e-20, 1e20, 1e30])
@pytest.mark.parametrize("chunk_size", [2, None])
@pytest.mark.parametrize("margin", [ArcFace(8), CosFace(8), InterFace.did_ct(scale=8)], ids=lambda m: type(m).__name__)
def test_only_directions_count_whatever_the_lengths(margin: Margin, chunk_size: int | None, factor: float) -> None:
    head = MarginHead(3, 5, margin, [IAM(0.1), PAM(0.1)], chunk_size).eval()
    x, y = batch(torch.float32)
    x.requires_grad_()
    loss = head(x, y)
    slopes = torch.autograd.grad(loss, [x, head.weight])
    far = (x.detach() * factor).requires_grad_()
    torch.testing.assert_close(head(far, y), loss)
    torch.testing.assert_close(torch.autograd.grad(head(far, y), far)[0] * factor, slopes[0])
    with torch.no_grad():
        head.weight.mul_(factor)
    torch.testing.assert_close(head(x, y), loss)
    torch.testing.assert_close(torch.autograd.grad(head(x, y), head.weight)[0] * factor, slopes[1])


@pytest.mark.parametrize(("dtype", "factor"), [(torch.float32, 1e20), (torch.float64, 1e170), (torch.float64, 1e-170)])
@pytest.mark.parametrize("margin", [LSoftmax(2), SphereFace(2)], ids=lambda m: type(m).__name__)
def test_kept_norms_are_right_whatever_their_size(margin: Margin, dtype: torch.dtype, factor: float) -> None:
    """The logits grow with the embedding; the loss is that of the far ends of a softmax, and finite."""
    head = MarginHead(3, 5, margin).to(dtype)
    x, y = batch(dtype)
    torch.testing.assert_close(head.logits(x * factor, y) / factor, head.logits(x, y), rtol=1e-5, atol=1e-5)
    assert torch.isfinite(head(x * factor, y))
