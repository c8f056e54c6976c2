"""Checkpoints of runs whose classes are over ranks: every rank writes its own part, while the training goes on.

A checkpoint is a folder step-N. The tables with a row for each class, and the optimizer's state of them, are there in the form
of torch.distributed.checkpoint, from which any number of ranks reads its own parts; all else is in run.pt, a `Checkpoint` with
empty tensors in their place. It counts when both are whole, which they are at once or not at all; only then does the one before
go. What was interrupted is swept away when the run goes on.
"""

import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from marginface.data.files import printable
from marginface.ranks import Ranks
from marginface.training import checkpoints
from marginface.training.checkpoints import Checkpoint

RUN, TABLES = "run.pt", "tables"
Tables = dict[str, Tensor]


class Saver:
    """Writes checkpoints into a folder, one at a time, in a thread of its own. All ranks have to call everything together."""

    def __init__(self, folder: Path, ranks: Ranks, classes: int) -> None:
        self.folder, self.ranks, self.classes = folder, ranks, classes
        # what the thread tells other ranks must not come between what the training tells them
        self._group = self._mesh = None
        if ranks.world == 1:  # which is what is meant; the thread that writes could not say so for itself alone
            warnings.filterwarnings("ignore", message="torch.distributed is (disabled|unavailable|not initialized)")
        if ranks.world > 1:
            from torch.distributed.tensor import DeviceMesh

            self._group = dist.new_group(backend="gloo")
            self._mesh = DeviceMesh.from_group(self._group, "cpu")
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._under_way: Future[None] | None = None

    def save(self, run: Checkpoint, tables: Tables) -> None:
        """Begin to write; the tensors may be changed at once. Raises: OSError, where the one before could not be written."""
        self.finish()
        still = {name: table.detach().to("cpu", copy=True) for name, table in tables.items()}
        run = _copied(run)
        self._under_way = self._pool.submit(self._write, run, still)

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with suppress(Exception) if kind is not None else nullcontext():  # of two errors the first counts
            self.finish()
        self._pool.shutdown()

    def finish(self) -> None:
        """Wait until all is written."""
        if self._under_way is not None:
            under_way, self._under_way = self._under_way, None
            under_way.result()

    def _write(self, run: Checkpoint, tables: Tables) -> None:
        import torch.distributed.checkpoint as dcp

        folder = self.folder / f"step-{run.step}"
        if self.ranks.rank == 0:
            checkpoints.save(run, folder / RUN)
        state = self._placed(tables)
        try:
            dcp.save(state, checkpoint_id=folder / TABLES, process_group=self._group, no_dist=self._group is None)
        except dcp.api.CheckpointException as error:
            raise OSError(None, f"{printable(folder)} was not written: {error}") from error
        if self.ranks.rank == 0:
            for other in _folders(self.folder):
                if other != folder:
                    shutil.rmtree(other, ignore_errors=True)

    def load(self, folder: Path, tables: Tables) -> None:
        """Fill the tables with what a checkpoint has for this rank. Raises: ValueError where it has no such tables."""
        import torch.distributed.checkpoint as dcp

        cpu = {name: table.detach().to("cpu", copy=True) for name, table in tables.items()}
        try:
            with self.ranks.together():
                dcp.load(
                    self._placed(cpu),
                    checkpoint_id=folder / TABLES,
                    process_group=self._group,
                    no_dist=self._group is None,
                )
        except dcp.api.CheckpointException as error:
            raise ValueError(f"{printable(folder)}: its tables are not those of this run: {error}") from error
        for name, table in tables.items():
            table.copy_(cpu[name])

    def newest(self) -> Path | None:
        """The folder of the last checkpoint that is whole; what is not goes. The same on every rank."""
        steps = [-1]
        if self.ranks.rank == 0:
            for folder in _folders(self.folder):
                if _whole(folder):
                    steps.append(int(folder.name.removeprefix("step-")))
                else:
                    shutil.rmtree(folder)
        step = self.ranks.agree(None, max(steps))[0][0]
        return None if step < 0 else self.folder / f"step-{step}"

    def _placed(self, tables: Tables) -> dict[str, Any]:
        """Each table as this rank's part of all of it."""
        if self._mesh is None:
            return dict(tables)
        from torch.distributed.tensor import DTensor, Shard

        found = {}
        for name, table in tables.items():
            whole = torch.empty(self.classes, *table.shape[1:], device="meta")
            found[name] = DTensor.from_local(
                table, self._mesh, [Shard(0)], run_check=False, shape=whole.shape, stride=whole.stride()
            )
        return found


def any_in(folder: Path) -> bool:
    """Whether there is a whole checkpoint in a folder of them."""
    return any(_whole(each) for each in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdigit()]


def _whole(folder: Path) -> bool:
    return (folder / RUN).is_file() and (folder / TABLES / ".metadata").is_file()


def _copied(value: Any) -> Any:
    """The same with tensors of its own, on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Checkpoint):
        return Checkpoint(**{name: _copied(each) for name, each in vars(value).items()})
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def take_out(learner: dict[str, Any], optimizer: dict[str, Any], names: dict[str, int]) -> tuple[dict, dict, Tables]:
    """States without their tables, and the tables.

    Arguments:
        learner, optimizer: state dicts.
        names: of a learner's tables with a row for each class, with the number of the parameter that each is for the
            optimizer, or -1.
    """
    tables: Tables = {}

    def place(name: str, value: Any) -> Any:
        tables[name] = value
        return torch.empty(0)

    learner = {name: place(f"learner.{name}", value) if name in names else value for name, value in learner.items()}
    shapes = {number: tables[f"learner.{name}"].shape for name, number in names.items()}
    state = {
        number: {
            key: place(f"optimizer.{number}.{key}", value)
            if number in shapes and isinstance(value, Tensor) and value.dim() and value.shape == shapes[number]
            else value
            for key, value in of_one.items()
        }
        for number, of_one in optimizer["state"].items()
    }
    return learner, optimizer | {"state": state}, tables


def put_back(
    learner: dict[str, Any],
    optimizer: dict[str, Any],
    own: dict[str, Tensor],
    names: dict[str, int],
    fill: Callable[[Tables], None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """States with tables in the places that `take_out` left; `fill` fills these. `own`: the learner's state that is here."""
    tables = {f"learner.{name}": torch.empty_like(own[name], device="cpu") for name in names}
    by_number = {number: name for name, number in names.items()}
    for number, of_one in optimizer["state"].items():
        for key, value in of_one.items():
            if number in by_number and isinstance(value, Tensor) and value.shape == (0,):
                tables[f"optimizer.{number}.{key}"] = torch.zeros_like(own[by_number[number]], device="cpu")
    fill(tables)
    learner = learner | {name: tables[f"learner.{name}"] for name in names}
    state = {
        number: {key: tables.get(f"optimizer.{number}.{key}", value) for key, value in of_one.items()}
        for number, of_one in optimizer["state"].items()
    }
    return learner, optimizer | {"state": state}
