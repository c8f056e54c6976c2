"""Classes over ranks: the loss and the gradients of the whole head, on any number of ranks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
import torch
import torch.distributed as dist
from tests.processes import Dies, together
from torch import Tensor

from marginface.adaptive import AdaCos, AdaFace, AdaptiveFace, CurricularFace, DynArcFace, ElasticFace, MagFace
from marginface.adjacent import PAM
from marginface.angles import psi
from marginface.heads import MarginHead
from marginface.margins import (
    ArcFace,
    CosFace,
    InterFace,
    L2Softmax,
    LSoftmax,
    Margin,
    NormFace,
    RedefinedArcFace,
    Softmax,
    SphereFace,
    WeightNormSoftmax,
)
from marginface.ranks import Ranks
from marginface.regularizers import IAM, CenterLoss, RingLoss, Terms
from marginface.sharded import ShardedMarginHead
from marginface.spread import MarginalLoss, RangeLoss, UniformFace
from marginface.variants import CircleLoss, SphereFace2, SphereFaceR, SubCenterArcFace

WORLDS = (1, 2, 3, 4, 5)
DIM, CLASSES = 4, 11
BATCHES = ((3, 3, 3, 3, 3), (4, 1, 2, 5, 3))  # samples of each rank


class PrintedLSoftmax(LSoftmax):
    """PAM Eq. 2 as printed: ψ for the other classes, too, with both norms."""

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        return psi(cosine, 2)


class Shifted(Softmax):
    """Keeps norms, changes the others by what depends on the own class and on the centres, all of it with gradients."""

    needs_centres, detach = True, False

    def shift(self, own: Tensor, centre: Tensor | None = None) -> Tensor:
        assert centre is not None
        return 0.3 * own * centre

    def others(self, cosine: Tensor, shift: Tensor | None = None) -> Tensor:
        assert shift is not None
        return cosine + shift


def norms_and_targets(terms: Terms) -> Tensor:
    """Somebody's own regularizer, with gradients to all that terms have for a sample."""
    return 0.01 * (terms.embeddings.square().sum(dim=1) + terms.cosine + terms.target * terms.others + terms.plain_target)


MARGINS: dict[str, Margin] = {
    "Softmax": Softmax(),
    "Softmax without bias": Softmax(bias=False),
    "WeightNormSoftmax": WeightNormSoftmax(),
    "L2Softmax": L2Softmax(4.0),
    "NormFace": NormFace(8),
    "LSoftmax": LSoftmax(3),
    "SphereFace": SphereFace(4, 1.0),
    "F-Norm SphereFace": SphereFace(2, 0.5, 8),
    "CosFace": CosFace(8),
    "ArcFace": ArcFace(16),
    "ArcFace monotonic": ArcFace(16, fallback="monotonic"),
    "RedefinedArcFace": RedefinedArcFace(8),
    "InterFace cid&ct": InterFace.cid_ct(scale=16.0),
    "InterFace cid&ct differentiated": InterFace.cid_ct(scale=16.0, detach=False),
    "InterFace did&ct": InterFace.did_ct(scale=16.0, sign="released"),
    "InterFace did&dt": InterFace.did_dt(scale=16.0),
    "InterFace did&dt differentiated": InterFace.did_dt(scale=16.0, detach=False, alpha=1.0),
    "LSoftmax as printed": PrintedLSoftmax(2),
    "a margin of one's own": Shifted(),
    "AdaFace": AdaFace(8),
    "MagFace": MagFace(8, short=0.5, long=3, lam=2),
    "CurricularFace": CurricularFace(8, 0.9),
    "ElasticFace+": ElasticFace(8, sigma=0.3, plus=True),
    "AdaCos": AdaCos(),
    "AdaptiveFace": AdaptiveFace(8, lam=0.7),
    "DynArcFace": DynArcFace(8, 0.3, 0.5, 0.2),
    "CircleLoss": CircleLoss(8),
    "SubCenterArcFace": SubCenterArcFace(8, 0.3, 2),
    "SphereFaceR": SphereFaceR(8),
    "SphereFace2": SphereFace2(8, bias_begins=0.2),
}
REGULARIZERS: dict[str, Callable[[], list[Any]]] = {
    "IAM": lambda: [IAM(0.3)],
    "IAM of its own scale": lambda: [IAM(0.3, scale=5.0)],
    "IAM on logits": lambda: [IAM(0.3, on="logits")],
    "centres": lambda: [CenterLoss(0.3)],
    "learned centres": lambda: [CenterLoss(0.3, centres="learned")],
    "ring": lambda: [RingLoss(0.3)],
    "pam 1": lambda: [PAM(0.3, block_size=2)],
    "pam 2": lambda: [PAM(0.3, version=2, repeats="mean")],
    "pam 2 with itself": lambda: [PAM(0.3, version=2, include_self=True, block_size=3, repeats="sum")],
    "marginal": lambda: [MarginalLoss(0.3)],
    "range": lambda: [RangeLoss(0.3, 0.2, 3.0)],
    "uniform": lambda: [UniformFace(0.3)],
    "uniform of the batch": lambda: [UniformFace(0.3, "batch")],
    "one's own": lambda: [norms_and_targets],
}


@dataclass(frozen=True)
class Case:
    margin: str
    regularizer: str | None = None
    classes: int = CLASSES
    labels: tuple[int, ...] | None = None  # where the batch's classes lie; None is everywhere
    batches: tuple[int, ...] = BATCHES[1]
    chunk_size: int | None = 2
    keep_bytes: int = 0
    reduction: str = "mean"
    weighted: bool = False

    def __str__(self) -> str:
        changed = [f"{name}={value}" for name, value in vars(self).items() if value != getattr(Case, name, None)]
        return ", ".join(changed)


def cases() -> Iterator[Case]:
    for margin in MARGINS:
        yield Case(margin)
        yield Case(margin, chunk_size=None)
        yield Case(margin, keep_bytes=2**20, batches=BATCHES[0])
        yield Case(margin, labels=(CLASSES - 1,))  # all but one rank have no class of the batch
        yield Case(margin, classes=2)  # most ranks have no class
        yield Case(margin, classes=1)
        yield Case(margin, "one's own")
        yield Case(margin, "IAM")
        if MARGINS[margin].sums == "exp":  # of which IAM takes the logarithm
            yield Case(margin, "IAM on logits", classes=4)
    for regularizer in REGULARIZERS:
        for margin in ("ArcFace", "Softmax"):
            yield Case(margin, regularizer, classes=3)
            yield Case(margin, regularizer, labels=(0, 3))
    for reduction in ("sum", "none", "mean"):
        for weighted in (False, True):
            yield Case("InterFace did&dt", "IAM", reduction=reduction, weighted=weighted)
            yield Case("ArcFace", "marginal", reduction=reduction, weighted=weighted)


CASES = list(cases())
STEPS = {1: 2, 2: 2, 3: 1, 4: 4, 5: 3}  # of the cases, every so many with so many processes: some minutes of work as it is


def example(case: Case, world: int) -> tuple[MarginHead, Tensor, Tensor, Tensor | None]:
    """A whole head, the batch of all ranks, its labels, and how much each sample counts."""
    torch.manual_seed(7)
    samples = sum(case.batches[:world])
    regularizers = REGULARIZERS[case.regularizer]() if case.regularizer else []
    settings: Any = case.chunk_size, case.keep_bytes, case.reduction
    whole = MarginHead(DIM, case.classes, MARGINS[case.margin], regularizers, *settings).double()
    if whole.bias is not None:
        whole.bias.data.normal_()
    for name, table in [*whole.named_parameters(), *whole.named_buffers()]:
        if "centre" in name or name.endswith(".R"):
            table.data.uniform_(0.3, 1)
    choice = torch.tensor(case.labels or range(case.classes))
    x, y = torch.randn(samples, DIM, dtype=torch.float64), choice[torch.randint(len(choice), (samples,))]
    return whole, x, y, torch.rand(samples, dtype=torch.float64).requires_grad_() if case.weighted else None


def differences(case: Case, ranks: Ranks) -> dict[str, float]:
    """How far loss and gradients are from those of the whole head on the whole batch, in float64."""
    sizes = case.batches[: ranks.world]
    whole, x, y, counts = example(case, ranks.world)
    head = ShardedMarginHead.of(whole, ranks)
    mine = slice(sum(sizes[: ranks.rank]), sum(sizes[: ranks.rank + 1]))
    all_x, own_x = x.clone().requires_grad_(), x[mine].clone().requires_grad_()
    own_counts = None if counts is None else counts.detach()[mine].requires_grad_()
    with mock.patch("torch.distributed.is_initialized", return_value=False):  # this one has all samples already
        expected = whole(all_x, y, counts)
    loss = head(own_x, y[mine], own_counts)
    if case.reduction == "none":
        found, expected = {"loss": (loss, expected[mine])}, expected.sum() / ranks.world  # each rank takes the sum of its own
        loss.sum().backward()
    else:
        found = {"loss": (loss, expected), "every rank's": (loss, ranks.max(loss.detach().clone()))}
        loss.backward()
    expected.backward()
    assert all_x.grad is not None
    assert own_x.grad is not None
    found["embeddings"] = own_x.grad, ranks.world * all_x.grad[mine]
    if counts is not None and own_counts is not None and counts.grad is not None and own_counts.grad is not None:
        found["counts"] = own_counts.grad, ranks.world * counts.grad[mine]
    part = slice(head.first, head.first + len(head.weight))
    theirs = dict(whole.named_parameters())
    for name, parameter in head.named_parameters():
        gradient, other = parameter.grad, theirs[name].grad
        assert (gradient is None) == (other is None), name
        if gradient is not None and other is not None:
            found[name] = gradient, other if gradient.dim() == 0 else other[part]
    found["cosine"] = head.cosine, whole.cosine[mine]
    gathered = head.gather().state_dict()
    for name, value in whole.state_dict().items():
        if isinstance(value, Tensor):
            found[f"gathered {name}"] = gathered[name], value
    plain = x[mine].clone()
    with mock.patch("torch.distributed.is_initialized", return_value=False):
        theirs_plain, theirs_labelled = whole.logits(x), whole.logits(x, y)
    found["logits"] = head.logits(plain), theirs_plain[mine]
    found["logits with labels"] = head.logits(plain, y[mine]), theirs_labelled[mine]
    return {
        name: float((a - b).detach().abs().max() / b.detach().abs().max().clamp_min(1)) if a.numel() else 0.0
        for name, (a, b) in found.items()
    }


def compare(rank: int, worlds: tuple[int, ...]) -> dict[tuple[int, Case], dict[str, float]]:
    found = {}
    for world in worlds:
        group = dist.new_group(list(range(world)))
        if rank < world:
            ranks = Ranks(group)
            for case in CASES[:: STEPS[world]]:
                found[world, case] = differences(case, ranks)
    return found


@pytest.fixture(scope="module")
def compared() -> list[dict[tuple[int, Case], dict[str, float]]]:
    return together(max(WORLDS), compare, WORLDS)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_loss_and_gradients_are_the_whole_heads(world: int, compared: list[dict[tuple[int, Case], dict[str, float]]]) -> None:
    for rank in range(world):
        for case in CASES[:: STEPS[world]]:
            for what, difference in compared[rank][world, case].items():
                assert difference <= 1e-12, f"{what} on rank {rank} of {world}: {case}"
                assert what != "every rank's" or difference == 0


@pytest.mark.parametrize("margin", ["Softmax", "ArcFace", "InterFace did&dt differentiated", "a margin of one's own"])
@pytest.mark.parametrize("regularizer", [None, *REGULARIZERS])
def test_alone_it_is_the_whole_head(margin: str, regularizer: str | None) -> None:
    for what, difference in differences(Case(margin, regularizer), Ranks()).items():
        assert difference <= 1e-12, what


def test_fresh_weights_are_the_whole_heads() -> None:
    """Also where they are drawn in several parts."""
    for classes in (3, 1000, 2**14, 2**14 + 1, 40_000):
        torch.manual_seed(3)
        whole = MarginHead(3, classes, ArcFace())
        after = torch.rand(1)
        torch.manual_seed(3)
        assert torch.equal(ShardedMarginHead(3, classes, ArcFace()).weight, whole.weight)
        assert torch.equal(torch.rand(1), after)


# --- what goes wrong on one rank


class BrokenError(RuntimeError):
    pass


def breaks(terms: Terms) -> Tensor:
    """A regularizer that fails on rank 1."""
    if terms.ranks is not None and terms.ranks.rank == 1:
        raise BrokenError("memory is full")
    return terms.cosine


class BreaksBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return values.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        with ctx.ranks.together():
            if ctx.ranks.rank == 1:
                raise BrokenError("memory is full")
        return gradient, None


def breaks_backward(terms: Terms) -> Tensor:
    assert terms.ranks is not None
    return BreaksBackward.apply(terms.others, terms.ranks)


def error_of(action: Callable[[], Any]) -> str:
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def fail(rank: int) -> dict[str, str]:
    """What every rank is told, for what goes wrong on rank 1."""
    x, y, wrong = torch.randn(4, DIM), torch.arange(4), torch.tensor([0, 1, 2, 99])
    found = {}
    head = ShardedMarginHead(DIM, CLASSES, ArcFace())
    found["labels"] = error_of(lambda: head(x, wrong if rank == 1 else y))
    found["logits"] = error_of(lambda: head.logits(x, wrong if rank == 1 else y))
    found["nan"] = error_of(lambda: head(x * (float("nan") if rank == 1 else 1), y))
    found["no tensor"] = error_of(lambda: head([1] if rank == 1 else x, y))
    found["dtype"] = error_of(lambda: head(x.double() if rank == 1 else x, y))
    found["mode"] = error_of(lambda: head.train(rank != 1)(x, y))
    found["after what was refused"] = error_of(lambda: head.train()(x, y))
    found["settings"] = error_of(lambda: ShardedMarginHead(DIM, CLASSES, ArcFace(m=0.5 + 0.1 * (rank == 1))))
    found["arguments"] = error_of(lambda: ShardedMarginHead(0 if rank == 1 else DIM, CLASSES, ArcFace()))
    margin: Any = "arcface" if rank == 1 else ArcFace()
    found["margin"] = error_of(lambda: ShardedMarginHead(DIM, CLASSES, margin, corrected=True))
    for name, regularizer in {"forward": breaks, "backward": breaks_backward}.items():
        broken = ShardedMarginHead(DIM, CLASSES, ArcFace(), [regularizer])
        found[name] = error_of(lambda broken=broken: broken(x.clone().requires_grad_(), y).backward())  # type: ignore[misc]
        found[f"after {name}"] = error_of(lambda broken=broken: broken(x, y))  # type: ignore[misc]
    head = ShardedMarginHead(DIM, CLASSES, ArcFace())
    found["before death"] = error_of(lambda: head(x, y))
    if rank == 1:
        raise Dies
    found["death"] = error_of(lambda: head(x, y))
    return found


@pytest.fixture(scope="module")
def told() -> list[dict[str, str]]:
    return together(3, fail, seconds=900)  # half of what gloo waits for a process that says nothing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("labels", "ValueError: labels must lie in [0, 11), not in [0, 99]"),
        ("logits", "ValueError: labels must lie in [0, 11), not in [0, 99]"),
        ("nan", "NonFiniteError: embeddings hold NaN or infinity"),
        ("no tensor", "TypeError: embeddings must be a torch.Tensor, not list"),
        ("arguments", "ValueError: embedding_dim=0 must be at least 1"),
        ("margin", "TypeError: margin must be a loss of marginface.margins"),
    ],
)
def test_an_error_on_one_rank_is_told_to_all(what: str, error: str, told: list[dict[str, str]]) -> None:
    for rank in (0, 2):
        assert told[rank][what].startswith(f"RankError: rank 1: {error}")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["dtype", "mode", "settings"])
def test_ranks_that_differ_are_told_so(what: str, told: list[dict[str, str]]) -> None:
    for rank in (0, 2):
        assert told[rank][what].startswith("ValueError: the ranks' ")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["forward", "after forward", "backward", "after backward", "death"])
def test_nobody_waits_for_a_rank_that_has_failed(what: str, told: list[dict[str, str]]) -> None:
    for rank in (0, 2):
        assert told[rank][what].startswith("RankError: ")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["after what was refused", "before death"])
def test_what_was_refused_leaves_the_head_as_it_was(what: str, told: list[dict[str, str]]) -> None:
    for rank in (0, 2):
        assert told[rank][what] == "none"


def test_alone_an_error_is_its_own() -> None:
    head = ShardedMarginHead(DIM, CLASSES, ArcFace())
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 11\)"):
        head(torch.randn(1, DIM), torch.tensor([11]))
    with pytest.raises(ValueError, match="embedding_dim=0"):
        ShardedMarginHead(0, CLASSES, ArcFace())
    with pytest.raises(ValueError, match=r"torch\.distributed is not initialised"):
        ShardedMarginHead(DIM, CLASSES, ArcFace(), group=object())


def test_where_nobody_looks_a_wrong_label_makes_the_loss_nan() -> None:
    head = ShardedMarginHead(DIM, CLASSES, ArcFace(), check_values=False)
    x, y = torch.randn(3, DIM), torch.arange(3)
    assert head(x, y).isfinite()
    for wrong in (-1, CLASSES):
        y[1] = wrong
        assert head(x, y).isnan()


# --- nobody waits for a GPU


class Shapes(Ranks):
    """Four ranks of which there is one: what the others would send has the right shape, and that is all."""

    def __init__(self) -> None:
        self.rank, self.world, self.group, self._control = 1, 4, None, None

    def agree(self, error: Exception | None = None, *numbers: int) -> list[list[int]]:
        if error is not None:
            raise error
        return [list(numbers)] * self.world

    def gather(self, tensor: Tensor, sizes: Any) -> Tensor:
        return torch.cat([tensor] * self.world)

    def scatter(self, tensor: Tensor, sizes: Any) -> Tensor:
        return tensor.split(list(sizes))[self.rank]

    def _reduced(self, tensor: Tensor, how: Any) -> Tensor:
        return tensor


@pytest.mark.parametrize("sample_rate", [1.0, 0.5])
@pytest.mark.parametrize("regularizer", [None, "IAM", "centres", "ring"])
@pytest.mark.parametrize("margin", MARGINS)
def test_no_step_looks_at_a_value(margin: str, regularizer: str | None, sample_rate: float) -> None:
    """On the meta device there are none: whatever looks at one, or has a shape that depends on one, raises."""
    regularizers = REGULARIZERS[regularizer]() if regularizer else []
    head = ShardedMarginHead(8, 40, MARGINS[margin], regularizers, group=Shapes(), sample_rate=sample_rate).to("meta")
    x = torch.empty(6, 8, device="meta", requires_grad=True)
    head(x, torch.empty(6, dtype=torch.int64, device="meta")).backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape
    assert head.weight.grad is not None
    assert head.weight.grad.shape == head.weight.shape
    assert len(head.weight) == 10


class Counted(Shapes):
    """It counts the bytes that a rank hands over."""

    sent = 0

    def gather(self, tensor: Tensor, sizes: Any) -> Tensor:
        self.sent += tensor.nbytes
        return super().gather(tensor, sizes)

    def scatter(self, tensor: Tensor, sizes: Any) -> Tensor:
        self.sent += tensor.nbytes
        return super().scatter(tensor, sizes)

    def _reduced(self, tensor: Tensor, how: Any) -> Tensor:
        self.sent += tensor.nbytes
        return tensor


@pytest.mark.parametrize("classes", [40, 4000])
@pytest.mark.parametrize("margin", ["NormFace", "ArcFace", "RedefinedArcFace", "InterFace cid&ct", "InterFace did&dt"])
def test_what_travels_does_not_depend_on_the_classes(margin: str, classes: int) -> None:
    """Rows and labels there, gradients back; own cosine, max and sum of each sample, and with a real d_inter a direction."""
    ranks, own, dim = Counted(), 6, 8
    head = ShardedMarginHead(dim, classes, MARGINS[margin], group=ranks).to("meta")
    head(
        torch.empty(own, dim, device="meta", requires_grad=True), torch.empty(own, dtype=torch.int64, device="meta")
    ).backward()
    N = own * ranks.world
    expected = own * (4 * dim + 8) + 4 * N * dim + 3 * 4 * N + 4 * N * dim * MARGINS[margin].needs_centres
    assert ranks.sent == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("sample_rate", [1.0, 0.5])
@pytest.mark.parametrize("margin", MARGINS)
def test_no_step_waits_for_a_gpu(margin: str, sample_rate: float) -> None:
    head = ShardedMarginHead(8, 40, MARGINS[margin], [IAM(0.1)], sample_rate=sample_rate).cuda()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.randn(6, 8, device="cuda", requires_grad=True), torch.arange(6, device="cuda")
    for mode in ("default", "error"):  # the first step makes what the second finds
        torch.cuda.set_sync_debug_mode(mode)
        try:
            optimizer.zero_grad()
            head(x, y).backward()
            optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
