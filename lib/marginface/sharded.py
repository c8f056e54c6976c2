"""ShardedMarginHead: the same loss with its classes over the processes of torch.distributed."""

import copy
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import is_dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from marginface.batches import Scaled, nearest
from marginface.checks import check_labels, check_weights, looks
from marginface.directions import full_precision, norms, unit
from marginface.first_pass import FirstPass
from marginface.heads import MarginHead, _check_margin, _reduced, _targets
from marginface.margins import Margin, described
from marginface.ranks import Ranks, held_rows
from marginface.reduction import own_and_others, whole_over
from marginface.regularizers import Stateful, Terms
from marginface.sampling import chosen, draw_classes, generator, rows, settle
from marginface.settings import Range, check_number


class ShardedMarginHead(MarginHead):
    """A `MarginHead` whose classes are over the ranks of a process group: each has some, and sees the samples of all.

    Rank r has classes r·k to r·k + k - 1 with k = ⌈C / ranks⌉, as far as there are any. Embeddings and labels of all ranks are
    gathered, each rank computes what they score on its own classes, and per sample (max, sum) travels; with InterFace's real
    d_inter the weight of the own class, too. Batches may be of unequal sizes. Class weights start as those of a whole head
    with the same seed do (on a CPU), on any number of ranks.

    The loss is over all ranks' samples, the same number on every rank. Its gradient for class weights is what it says. For
    embeddings it is multiplied by the number of ranks, because DistributedDataParallel averages the network's gradient over
    them: wrap the network by it, not the head. `reduction="none"` gives a rank the losses of its own samples, and what each
    rank makes of them counts as their mean.

    An error on one rank is an error on all: input that is wrong is a RankError on the others that says where it was, and a
    process that dies ends their waiting. Where values are not looked at, as on a GPU, a label that is no class makes the
    loss NaN. Afterwards the connection may be closed; a new head makes a new one.

    There is one derivative, as over chunks of classes. A regularizer's `Terms` are of all ranks' samples.

    With a `sample_rate` below 1, a batch in training meets so many of each rank's classes, drawn at random, and always its own
    (Partial FC). Class weights then have a sparse gradient, and a torch.optim.Optimizer leaves the others and their state
    alone, unless a regularizer looks at all class weights, as PAM does.

    Arguments: those of MarginHead, the same on all ranks, and
        group: of torch.distributed; None is all processes. Or the `ranks` of another head.
        sample_rate: the share of the classes that a batch in training meets, in (0, 1].
        corrected: whether what is drawn stands for the others, too, so that Σ exp(logit) is right on average. The public code
            does not, and neither does the default.
        seed: of the classes that are drawn, too.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_classes: int,
        margin: Margin,
        regularizers: Sequence[Callable[[Terms], Tensor]] = (),
        chunk_size: int | None = 512,
        keep_bytes: int = 96 * 2**20,
        reduction: Literal["mean", "sum", "none"] = "mean",
        check_values: bool | None = None,
        *,
        group: Any = None,
        sample_rate: float = 1.0,
        corrected: bool = False,
        seed: int = 0,
    ) -> None:
        self.ranks = Ranks.of(group)  # it is needed while the rest is built
        self._classes = num_classes
        error: Exception | None = None
        try:
            check_number("sample_rate", sample_rate, Range(0, 1, above=True))
            _check_margin(margin)
            if corrected and margin.sums != "exp":
                raise ValueError(f"corrected={corrected} is for sums of exponentials, which {type(margin).__name__} has not")
            how: Any = chunk_size, keep_bytes, reduction, check_values
            super().__init__(embedding_dim, num_classes, margin, regularizers, *how, seed=seed)
        except (TypeError, ValueError) as found:
            error = found
        self.sample_rate, self.corrected = sample_rate, corrected
        self._draws = 0  # batches for which classes were drawn
        settings: list[Any] = []
        if error is None:  # else they may be anything
            settings = [embedding_dim, num_classes, described(margin), [_name(r) for r in regularizers], reduction]
            settings += [sample_rate, corrected, seed]
        if len({number for (number,) in self.ranks.agree(error, _number(settings))}) > 1:
            raise ValueError(
                "the ranks' heads differ in embedding_dim, num_classes, margin, regularizers, reduction or sampling"
            )

    @classmethod
    def of(cls, head: MarginHead, group: Any = None, **changes: Any) -> Self:
        """This rank's classes of a whole head, which every rank has. `changes`: arguments that are to be others."""
        ranks = Ranks.of(group)
        part = _part(head.num_classes, ranks)
        settings = _settings(head) | {"regularizers": [_changed(r, lambda table: table[part]) for r in head.regularizers]}
        with torch.random.fork_rng(devices=[]):
            sharded = cls(head.embedding_dim, head.num_classes, group=ranks, **settings | changes).to(head.weight)
        with torch.no_grad():
            sharded.weight.copy_(head.weight[part])
            if head.bias is not None and sharded.bias is not None:
                sharded.bias.copy_(head.bias[part])
            if sharded.kept is not None and head.kept is not None:
                sharded.kept.take(head.kept, lambda table: table[part])
        sharded.step = head.step
        return sharded.train(head.training)

    def gather(self) -> MarginHead:
        """The whole head, on every rank; what `sample_rate` drew is forgotten. All ranks have to call this."""
        sizes = [part.stop - part.start for part in _parts(self._classes, self.ranks.world)]

        def join(table: Tensor) -> Tensor:
            return self.ranks.gather(table, sizes)

        settings = _settings(self) | {"regularizers": [_changed(r, join) for r in self.regularizers]}
        with torch.random.fork_rng(devices=[]):
            head = MarginHead(self.embedding_dim, self._classes, **settings).to(self.weight)
        with torch.no_grad():
            head.weight.copy_(join(self.weight))
            if head.bias is not None and self.bias is not None:
                head.bias.copy_(join(self.bias))
            if head.kept is not None and self.kept is not None:
                head.kept.take(self.kept, join)
        head.step = self.step
        return head.train(self.training)

    @property
    def num_classes(self) -> int:
        """C, of all ranks together."""
        return self._classes

    @property
    def first(self) -> int:
        """The first class of this rank."""
        return _part(self._classes, self.ranks).start

    def per_class(self) -> list[str]:
        """The names, as in `state_dict`, of what has a row for each of this rank's classes; the rest is the same everywhere."""
        tables = ["weight"] if self.bias is None else ["weight", "bias"]
        tables += [f"stateful.{i}.{name}" for i, module in enumerate(self.stateful) for name in module.per_class]  # type: ignore[union-attr]
        return tables if self.kept is None else tables + [f"kept.{name}" for name in self.kept.per_class]

    def _held(self, num_classes: int) -> int:
        part = _part(num_classes, self.ranks)
        return part.stop - part.start

    def _reset_weights(self) -> None:
        """As a whole head's, of which this rank keeps its part."""
        part = _part(self._classes, self.ranks)
        starts = range(0, max(1, self._classes // _DRAWN) * _DRAWN, _DRAWN)
        with torch.no_grad():
            for start in starts:
                stop = self._classes if start == starts[-1] else start + _DRAWN
                rows = self.weight.new_empty(stop - start, *self.weight.shape[1:]).normal_(std=self.embedding_dim**-0.5)
                low, high = max(start, part.start), min(stop, part.stop)
                if low < high:
                    self.weight[low - part.start : high - part.start] = rows[low - start : high - start]
            if self.bias is not None:
                self.bias.zero_()

    def forward(self, embeddings: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The loss of all ranks' batches. All ranks have to call this together.

        Arguments: as of `MarginHead.forward`, of this rank's samples.
        Returns: (), the same on every rank; with reduction="none" (N,) of this rank's samples.
        Raises: ValueError or TypeError naming what is wrong with an argument; RankError, where another rank has such an error
            or has failed; ValueError where ranks differ in dtype or in whether they are training.
        """
        error: Exception | None = None
        try:
            self._check(embeddings)
            check_labels(labels, embeddings, self.num_classes, self.check_values)
            if weights is not None:
                check_weights(weights, embeddings, self.check_values)
        except (TypeError, ValueError) as found:
            error = found
        sizes = self._agree(error, embeddings, weights)
        moves, repeats = self._begin()
        with self.ranks.together(), full_precision(embeddings):
            terms, margin = self._over(embeddings, labels, sizes, moves, repeats)
            losses = self._losses(terms, margin)
            if not looks(labels, self.check_values):
                losses = losses.masked_fill((terms.labels < 0) | (terms.labels >= self.num_classes), torch.nan)
            self._watch(terms.cosine.detach(), margin)
            self.cosine = self.cosine.split(sizes)[self.ranks.rank]
            if self.kept is not None:
                self.target = self.target.split(sizes)[self.ranks.rank]
            everyone = None if weights is None else self.ranks.everyone(weights, sizes)
            reduced = _reduced(losses, everyone, self.reduction)
            return self.ranks.mine(reduced, sizes) if self.reduction == "none" else reduced

    def logits(self, embeddings: Tensor, labels: Tensor | None = None) -> Tensor:
        """(N, C) scaled logits of this rank's samples, without a gradient. All ranks have to call this together."""
        error: Exception | None = None
        try:
            self._check(embeddings)
            if labels is not None:
                check_labels(labels, embeddings, self.num_classes, self.check_values)
        except (TypeError, ValueError) as found:
            error = found
        sizes = self._agree(error, embeddings, labels)
        with torch.no_grad(), self.ranks.together(), full_precision(embeddings):
            x, w = self._full_precision(self.ranks.gather(embeddings, sizes))
            margin = self._margin_now()
            if labels is None:
                part = self._plain(x, w, margin)
            else:
                place = self.ranks.gather(labels, sizes) - self.first
                same = self.ranks.gather(embeddings, sizes).to(x.dtype)
                margin = self._met_over(margin, same, self._first(x, w, place))
                bias = self._biases(x.dtype)
                own, part = whole_over(self.ranks, x, w, place, margin, bias)
                target, *_ = _targets(own, margin, *self._of_own(x, w, place, margin, bias))
                part = torch.where(part == -torch.inf, target[:, None], part)
            columns = [each.stop - each.start for each in _parts(self._classes, self.ranks.world)]
            return self.ranks.gather(part.T.contiguous(), columns).T.split(sizes)[self.ranks.rank].contiguous()

    def _check(self, embeddings: Tensor) -> None:
        settle(self.parameters())
        super()._check(embeddings)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        settle(self.parameters())
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        settle(self.parameters())
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {len(self.weight)} of the classes on rank {self.ranks.rank} of {self.ranks.world}"

    def get_extra_state(self) -> dict[str, Any]:
        return super().get_extra_state() | {"draws": self._draws}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        super().set_extra_state(state)
        self._draws = state.get("draws", 0)

    def clip_gradients(self, others: Iterable[nn.Parameter], max_norm: float) -> Tensor:
        """Make the norm of all gradients at most `max_norm`: those of this head on all ranks, and those of `others`.

        The gradients of others, such as the network's, are the same on every rank. Returns: () the norm as it was.
        """
        tables = set(self.per_class())
        for parameter in self.parameters():
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()  # of several batches rows may be there several times
        own = [_values(p.grad) for name, p in self.named_parameters() if p.grad is not None and name in tables]
        same = [_values(p.grad) for name, p in self.named_parameters() if p.grad is not None and name not in tables]
        same += [_values(p.grad) for p in others if p.grad is not None]
        zero = torch.zeros((), device=self.weight.device)
        with torch.no_grad(), self.ranks.together():
            of_tables = self.ranks.sum(sum((g.square().sum() for g in own), zero))
            total = (of_tables + sum((g.square().sum() for g in same), zero)).sqrt()
            for gradient in own + same:
                gradient.mul_((max_norm / (total + 1e-6)).clamp(max=1))
        return total

    def _agree(self, error: Exception | None, embeddings: Any, also: Tensor | None) -> list[int]:
        """How many samples each rank has."""
        if error is not None:
            self.ranks.agree(error, 0, 0)
        kind = _number([embeddings.dtype, also is None, self.training, torch.is_grad_enabled()])
        told = self.ranks.agree(None, len(embeddings), kind)
        if len({number for _, number in told}) > 1:
            raise ValueError("the ranks' batches differ in dtype, in weights, or in whether they train and want gradients")
        return [size for size, _ in told]

    def _over(self, embeddings: Tensor, labels: Tensor, sizes: list[int], moves: bool, repeats: bool) -> tuple[Terms, Margin]:
        """Of all ranks' samples, with the margin as it is for them.

        What is computed from x is this rank's share, and all in the terms the same on every rank.
        """
        step = self._step if moves or repeats else None
        ranks, margin = self.ranks, self._margin_now(step)
        share, same = ranks.embeddings(embeddings, sizes)
        x, all_w = self._full_precision(share)
        same = same.to(x.dtype)
        labels = ranks.gather(labels, sizes)
        bias = self._biases(x.dtype)
        w, extra, place = all_w, None, labels - self.first
        where = place  # among all of this rank's classes
        if self.sample_rate < 1 and (moves or repeats):
            w, bias, extra, place = self._some(place, x.dtype, moves)
        how = self.chunk_size, self.keep_bytes, ranks
        with_extra = bias if extra is None else extra if bias is None else bias + extra
        first = self._first(x, all_w, where)
        margin = self._met_over(margin, same, first, moves, repeats)
        own, others = own_and_others(x, w, place, margin, with_extra, *how, first=first if w is all_w else None)
        target, plain_target, cosine = _targets(own, margin, *self._of_own(same, w, place, margin, bias))

        def plain_others(scale: float | None = None) -> Tensor:
            if not self._changed(margin) and scale in (None, margin.scale):
                return others
            u = unit(x) if margin.keeps_embedding_norm else x
            return own_and_others(u, w, place, Scaled(margin.factor if scale is None else scale), extra, *how)[1]

        terms = Terms(
            target=target,
            others=others,
            plain_target=plain_target,
            plain_others=plain_others,
            num_classes=self.num_classes,
            embeddings=same,
            labels=labels,
            cosine=cosine,
            class_weights=all_w,
            steps=lambda: self.step if step is None else step,
            moves=moves,
            repeats=repeats,
            gather=lambda *tensors: tensors,
            ranks=ranks,
            first=self.first,
        )
        return terms, margin

    def _shared(self, same: Tensor) -> Tensor:
        return self.ranks.shared(same)

    def _first(self, x: Tensor, w: Tensor, labels: Tensor) -> FirstPass | None:
        keep_bytes = self.keep_bytes if self.sample_rate == 1 else 0  # for a pass over the same classes
        return None if self.kept is None else FirstPass(x, w, labels, self.chunk_size, keep_bytes, self.ranks)

    def _met_over(
        self, margin: Margin, same: Tensor, first: FirstPass | None, moves: bool = False, repeats: bool = False
    ) -> Margin:
        """The margin as it is for all ranks' samples, which are the same everywhere."""
        ranks = self.ranks
        if self.kept is None or first is None:
            return margin
        return self.kept.meet(
            margin,
            same,
            moves,
            repeats,
            cosine=lambda: nearest(unit(same), ranks.own(first.weight, first.labels)),
            num_classes=self.num_classes,
            seed=self.seed,
            rank=0,
            others=first.others,
            neighbour=first.neighbour,
            own=lambda table: ranks.own(table, first.labels),
            mean=lambda table: ranks.total(table.sum()) / self.num_classes,
            gather=lambda values: values,
        )

    def _some(self, place: Tensor, dtype: torch.dtype, moves: bool) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor]:
        """What of the classes this batch meets: weights (K, d), bias and correction (K,), and where each sample's is."""
        self._draws += moves
        source = generator(self.seed, self._draws, self.ranks.rank, place.device)
        count = chosen(len(self.weight), self.sample_rate, len(place))
        index, among, correction = draw_classes(len(self.weight), count, place, source)
        bias = None if self.bias is None else rows(self.bias, index)
        if self.bias is None and (alike := self._biases(dtype)) is not None:
            bias = alike[:1].expand(len(index))
        return rows(self.weight, index).to(dtype), bias, correction.to(dtype) if self.corrected else None, among

    def _of_own(
        self, x: Tensor, w: Tensor, labels: Tensor, margin: Margin, bias: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        return (
            norms(x) if margin.keeps_embedding_norm else None,
            self.ranks.total(norms(held_rows(w, labels))) if margin.keeps_weight_norm else None,
            None if bias is None else self.ranks.own(bias, labels),
        )


def _values(gradient: Tensor) -> Tensor:
    """The numbers of a gradient that may be sparse."""
    return gradient._values() if gradient.is_sparse else gradient


_DRAWN = 2**14  # classes whose weights are drawn at once: PyTorch draws 16 numbers at a time, and these make whole sixteens


def _parts(classes: int, world: int) -> list[slice]:
    """Which classes are whose: as torch.chunk divides them, and with it DTensor's Shard(0)."""
    each = -(-classes // world)
    return [slice(min(rank * each, classes), min((rank + 1) * each, classes)) for rank in range(world)]


def _part(classes: int, ranks: Ranks) -> slice:
    return _parts(classes, ranks.world)[ranks.rank]


def _settings(head: MarginHead) -> dict[str, Any]:
    """The arguments of either kind of head; regularizers have tables of their own."""
    return {
        "margin": head.margin,
        "chunk_size": head.chunk_size,
        "keep_bytes": head.keep_bytes,
        "reduction": head.reduction,
        "check_values": head.check_values,
        "seed": head.seed,
    }


def _changed(regularizer: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A regularizer with tables of its own: those with a row for each class changed, others copied."""
    if not isinstance(regularizer, Stateful):
        return regularizer
    module = copy.copy(regularizer)
    module._parameters, module._buffers = dict(module._parameters), dict(module._buffers)
    for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
        if tensor is not None:
            value = (change(tensor.detach()) if name in module.per_class else tensor.detach()).clone()
            setattr(module, name, nn.Parameter(value) if isinstance(tensor, nn.Parameter) else value)
    return module


def _name(regularizer: Any) -> str:
    """What it is and its settings, the same in every process."""
    named = isinstance(regularizer, Stateful) or is_dataclass(regularizer)
    return repr(regularizer) if named else getattr(regularizer, "__qualname__", type(regularizer).__qualname__)


def _number(settings: Any) -> int:
    return int.from_bytes(hashlib.sha256(repr(settings).encode()).digest()[:7])
