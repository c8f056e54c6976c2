"""The processes of a group: what they tell each other, and what becomes of gradients on the way.

What is computed on all samples is of two kinds. *The same on every rank*: vectors of N, and all that follows from them; their
gradients are the same on every rank, too. *A share*: what a rank computes from its own classes; the sum over ranks counts, of
values as of gradients. `Ranks.total` goes from a share to the same, `Ranks.shared` from the same to a share, and a
gradient goes back through either as it came, or summed.

DistributedDataParallel averages a network's gradients over ranks. So the gradient that `Ranks.embeddings` hands back to a
rank's rows is the world's size times that of the one loss that all ranks have.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


class RankError(RuntimeError):
    """Another process of the group has failed, and this one does not wait for it."""


class Ranks:
    """The processes of a group of torch.distributed, or this one alone where there is none.

    They agree on what comes next over a connection between CPUs (gloo), without waiting for a GPU. Tensors on a CPU go there,
    too, and others by the group. All processes of the group have to make theirs together, and to call everything here
    together. A process that fails closes the connection, which ends the others' waiting.

    Arguments:
        group: of torch.distributed; None is all processes there are, over a connection that is made for them. Any other has to
            have a backend for CPUs (`dist.new_group(ranks)` or `backend="cpu:gloo,cuda:nccl"`), and is what is closed.
    Raises: ValueError for a group that has none, or without torch.distributed.
    """

    def __init__(self, group: Any = None) -> None:
        self.rank, self.world, self.group = 0, 1, None
        self._control: Any = None
        if dist.is_available() and dist.is_initialized():
            self.group = group or dist.group.WORLD
            self.rank, self.world = dist.get_rank(self.group), dist.get_world_size(self.group)
            self.members = dist.get_process_group_ranks(self.group)
            self._control = group or dist.new_group(backend="gloo")
            if group is not None and "cpu" not in {device.type for device in group._device_types}:
                raise ValueError("group: it has no backend for CPUs, such as gloo, over which processes agree")
        elif group is not None:
            raise ValueError("group: torch.distributed is not initialised (see torch.distributed.init_process_group)")

    @classmethod
    def alone(cls) -> "Ranks":
        """This process by itself, however many there are."""
        ranks = cls.__new__(cls)
        ranks.rank, ranks.world, ranks.group, ranks._control = 0, 1, None, None
        return ranks

    @classmethod
    def of(cls, group: Any = None) -> "Ranks":
        return group if isinstance(group, Ranks) else cls(group)

    def __deepcopy__(self, memo: Any) -> "Ranks":
        return self  # a copy would have to be made by all processes together

    def __reduce__(self) -> Any:
        raise TypeError("what is connected with other processes cannot be pickled: gather() gives a whole head")

    # --- agreeing, and failing together

    def agree(self, error: Exception | None = None, *numbers: int) -> list[list[int]]:
        """The numbers of every rank. Raises: the error, where this rank has one; RankError, where another has."""
        if self.world == 1:
            if error is not None:
                raise error
            return [list(numbers)]
        mine = torch.tensor([error is not None, *numbers])
        found = [torch.empty_like(mine) for _ in range(self.world)]
        with self.together():
            dist.all_gather(found, mine, group=self._open())
            told = torch.stack(found).tolist()
            if any(failed for failed, *_ in told):
                messages: list[Any] = [None] * self.world
                dist.all_gather_object(messages, error and f"{type(error).__name__}: {error}", group=self._open())
        if error is not None:
            raise error
        for rank, (failed, *_) in enumerate(told):
            if failed:
                raise RankError(f"rank {rank}: {messages[rank]}")
        return [numbers for _, *numbers in told]

    def told(self, value: Any) -> Any:
        """What the first rank has, on every rank."""
        values = [value]
        if self.world > 1:
            dist.broadcast_object_list(values, self.members[0], group=self._open())
        return values[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """What fails in here ends the waiting of the other processes, with an error there."""
        try:
            yield
        except BaseException as error:
            self.close()
            if isinstance(error, RuntimeError) and any(word in str(error) for word in ("gloo", "Gloo", "NCCL", "onnection")):
                raise RankError(f"rank {self.rank} waits for a process that has failed ({str(error)[:200]})") from error
            raise

    def close(self) -> None:
        """Close the connection, after which nothing can be told to others."""
        control, self._control = self._control, None
        if control is not None and dist.is_initialized():
            dist.destroy_process_group(control)

    def _open(self) -> Any:
        if self._control is None:
            raise RankError("the connection with the other processes was closed when one of them failed")
        return self._control

    def _way(self, tensor: Tensor) -> Any:
        control = self._open()
        return control if tensor.device.type == "cpu" else self.group

    # --- tensors, without gradients

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, on every rank the same; where there are several, in the tensor's own memory."""
        return self._reduced(tensor, dist.ReduceOp.SUM)

    def max(self, tensor: Tensor) -> Tensor:
        """The largest of every rank's values, in the tensor's own memory."""
        return self._reduced(tensor, dist.ReduceOp.MAX)

    def _reduced(self, tensor: Tensor, how: Any) -> Tensor:
        if self.world > 1 and tensor.numel() > 0:
            dist.all_reduce(tensor, how, group=self._way(tensor))
        return tensor

    def gather(self, tensor: Tensor, sizes: Sequence[int]) -> Tensor:
        """The rows (n_r, …) of all ranks, in their order. `sizes`: how many rows each has."""
        if self.world == 1:
            return tensor
        most = max(sizes)
        if most == 0:
            return tensor
        parts = [tensor.new_empty(most, *tensor.shape[1:]) for _ in sizes]
        dist.all_gather(parts, _padded(tensor, most), group=self._way(tensor))
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    def scatter(self, tensor: Tensor, sizes: Sequence[int]) -> Tensor:
        """Of the sum over ranks of (ΣN_r, …) this rank's rows."""
        if self.world == 1:
            return tensor
        most = max(sizes)
        parts = [_padded(part, most) for part in tensor.split(list(sizes))]
        own = torch.empty_like(parts[0])
        dist.reduce_scatter(own, parts, group=self._way(tensor))
        return own[: sizes[self.rank]]

    def broadcast(self, tensor: Tensor, source: int) -> Tensor:
        """The tensor of rank `source`, in the memory of the one that is given here."""
        if self.world > 1 and tensor.numel() > 0:
            dist.broadcast(tensor, self.members[source], group=self._way(tensor))
        return tensor

    # --- tensors with gradients

    def embeddings(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The rows of all ranks (N, d), twice: as a rank's share is computed from them, and as what is the same everywhere is.

        They travel once, and their gradients once.
        """
        return _Embeddings.apply(x, self, list(sizes))

    def everyone(self, values: Tensor, sizes: Sequence[int]) -> Tensor:
        """The values (n_r, …) of all ranks, for what is the same everywhere."""
        return _Embeddings.apply(values, self, list(sizes))[1]

    def mine(self, values: Tensor, sizes: Sequence[int]) -> Tensor:
        """This rank's own of the values (N,), which are the same everywhere; what is made of them need not be.

        What every rank makes of its own counts as their mean.
        """
        return values if self.world == 1 else _Mine.apply(values, self, list(sizes))

    def total(self, share: Tensor) -> Tensor:
        """The sum over ranks. Its gradient is that of every rank's share."""
        return share if self.world == 1 else _Total.apply(share, self)

    def shared(self, same: Tensor) -> Tensor:
        """What is the same everywhere, for computing a share. The gradients of all shares are summed."""
        return same if self.world == 1 else _Shared.apply(same, self)

    def logsumexp(self, share: Tensor) -> Tensor:
        """(N,) log of the sum over ranks of exp(share): only (max, sum) travels. -∞ where all are."""
        return share if self.world == 1 else _LogSumExp.apply(share, self)

    def own(self, table: Tensor, place: Tensor) -> Tensor:
        """Rows (N, …) of a table whose rows are over ranks; `place` (N,) is where a row lies in this rank's part, if inside."""
        return self.total(held_rows(table, place))


def held_rows(table: Tensor, place: Tensor) -> Tensor:
    """The rows of a table (C, …) at `place` (N,) int64, and zeros where that is not inside of it: a share of the rows."""
    inside, at = within(place, len(table))
    if len(table) == 0:  # a part of the graph all the same: gradients wait for those of other ranks
        return table.sum() + table.new_zeros(len(place), *table.shape[1:])
    return table[at] * inside.to(table.dtype).view(-1, *[1] * (table.dim() - 1))


def within(place: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Which of the places lie in [0, size), (N,) bool, and the places, clamped to it; (N,) zeros where size is 0."""
    return (place >= 0) & (place < size), place.clamp(0, max(size - 1, 0))


def _padded(rows: Tensor, size: int) -> Tensor:
    if len(rows) == size:
        return rows.contiguous()
    padded = rows.new_zeros(size, *rows.shape[1:])
    padded[: len(rows)] = rows
    return padded


class _Embeddings(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks, sizes: list[int]) -> tuple[Tensor, Tensor]:
        ctx.ranks, ctx.sizes = ranks, sizes
        ctx.set_materialize_grads(False)
        gathered = ranks.gather(x, sizes)
        return gathered.clone() if gathered is x else gathered, gathered.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_share: Tensor | None, of_same: Tensor | None) -> tuple[Tensor | None, None, None]:
        ranks, sizes = ctx.ranks, ctx.sizes
        gradient = None
        if of_share is not None:
            with ranks.together():
                gradient = ranks.scatter(of_share, sizes)
        if of_same is not None:
            own = of_same.split(sizes)[ranks.rank]
            gradient = own if gradient is None else gradient + own
        return None if gradient is None else ranks.world * gradient, None, None


class _Mine(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: Ranks, sizes: list[int]) -> Tensor:
        ctx.ranks, ctx.sizes = ranks, sizes
        return values.split(sizes)[ranks.rank].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        with ctx.ranks.together():
            return ctx.ranks.gather(gradient, ctx.sizes) / ctx.ranks.world, None, None


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, share: Tensor, ranks: Ranks) -> Tensor:
        return ranks.sum(share.clone(memory_format=torch.contiguous_format))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class _Shared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, same: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return same.view_as(same)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        with ctx.ranks.together():
            return ctx.ranks.sum(gradient.clone(memory_format=torch.contiguous_format)), None


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, share: Tensor, ranks: Ranks) -> Tensor:
        highest = ranks.max(share.clone()).clamp_min_(torch.finfo(share.dtype).min)
        result = ranks.sum((share - highest).exp_()).log_().add_(highest)
        ctx.save_for_backward(share, result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        share, result = ctx.saved_tensors
        return gradient * (share - result.clamp_min(torch.finfo(share.dtype).min)).exp_(), None
