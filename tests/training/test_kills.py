"""Processes that are killed at random moments, also while they save: the run goes on, and ends as if nothing had happened.

python -m tests.training.test_kills 200
"""

import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from marginface.margins import ArcFace
from marginface.ranks import Ranks
from marginface.regularizers import CenterLoss
from marginface.sharded import ShardedMarginHead
from marginface.training import checkpoints
from marginface.training.checkpoints import Checkpoint
from marginface.training.sharded_checkpoints import RUN, Saver, put_back, take_out

WORLD, STEPS, CLASSES, DIM = 2, 12, 23, 8
BEGUN = "begun"  # a file that is there once a run trains
NAMES = {"head.weight": 1, "head.stateful.0.centre": -1}  # with the optimizer's numbers


def run(rank: int, meeting: str, folder: Path) -> None:
    """A training in little, with a checkpoint at every step; its losses are in losses.pt when it is done."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=WORLD)
    torch.manual_seed(0)
    ranks = Ranks()
    head = ShardedMarginHead(DIM, CLASSES, ArcFace(8), [CenterLoss(0.1)], group=ranks, sample_rate=0.7)
    learner = nn.ModuleDict({"backbone": nn.Linear(6, DIM, bias=False), "head": head})
    backbone = nn.parallel.DistributedDataParallel(learner["backbone"])
    optimizer = torch.optim.SGD([*backbone.parameters(), head.weight], lr=0.1, momentum=0.9)
    losses: list[float] = []
    with Saver(folder, ranks, CLASSES) as saver:
        if (newest := saver.newest()) is not None:
            found = checkpoints.read(newest / RUN)
            learned, optimized = put_back(
                found.learner, found.optimizer, learner.state_dict(), NAMES, lambda tables: saver.load(newest, tables)
            )
            learner.load_state_dict(learned)
            optimizer.load_state_dict(optimized)
            losses = found.losses
        started = time.monotonic()
        (folder / BEGUN).touch()
        for step in range(len(losses), STEPS):
            source = torch.Generator().manual_seed(step)
            x, y = torch.randn(8, 6, generator=source), torch.randint(CLASSES, (8,), generator=source)
            loss = head(backbone(x[rank::WORLD]), y[rank::WORLD])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            saver.save(*checkpoint(learner, optimizer, losses))
    if rank == 0:
        ended = {"losses": losses, "weight": head.weight.detach(), "seconds": time.monotonic() - started}
        torch.save(ended, folder / "losses.pt")
    dist.barrier()


def checkpoint(
    learner: nn.Module, optimizer: torch.optim.Optimizer, losses: list[float]
) -> tuple[Checkpoint, dict[str, torch.Tensor]]:
    learned, optimized, tables = take_out(learner.state_dict(), optimizer.state_dict(), NAMES)
    nothing: dict[str, str] = {}
    at = len(losses), STEPS
    run = Checkpoint(
        nothing, nothing, at[1], at[0], 0, torch.empty(0), learned, optimized, nothing, nothing, None, [], list(losses)
    )
    return run, tables


def attempt(folder: Path, kill: tuple[float, list[int]] | None = None) -> list[int | None]:
    """How the processes of one try ended. Some are killed so many seconds after they begin to train; if negative, to start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["torch", "torch.distributed.tensor", "torch.distributed.checkpoint", "tests.training.test_kills"]
    )
    (folder / BEGUN).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as meeting:
        processes = [context.Process(target=run, args=(rank, f"{meeting}/at", folder)) for rank in range(WORLD)]
        for process in processes:
            process.start()
        if kill is not None:
            delay, who = kill
            while delay >= 0 and not (folder / BEGUN).exists() and all(process.is_alive() for process in processes):
                time.sleep(0.01)
            time.sleep(abs(delay))
            met = (folder / BEGUN).exists()
            for rank in who if met else range(WORLD):  # who waits for others to come is ended by torchrun, and here by this
                processes[rank].kill()  # by SIGKILL, if it is still there
        for process in processes:
            process.join(900)  # half of what gloo waits for a process that says nothing
        assert not any(process.is_alive() for process in processes), "a process waits for one that was killed"
        return [process.exitcode for process in processes]


def survive(root: Path, kills: int, seed: int = 0, tell: Callable[[object], None] = lambda counts: None) -> dict[str, int]:
    """Kill so many times, and compare the end with that of a run that was left alone."""
    (root / "whole").mkdir()
    (root / "killed").mkdir()
    assert attempt(root / "whole") == [0] * WORLD
    seconds, numbers = torch.load(root / "whole" / "losses.pt")["seconds"], random.Random(seed)
    counts = {"killed": 0, "one": 0, "all": 0, "went on": 0, "ended before": 0}
    while counts["killed"] < kills:
        who = numbers.choice([[0], [1], [0, 1]])
        ended = attempt(root / "killed", (numbers.uniform(-seconds / 10, seconds), who))
        if ended == [0] * WORLD:
            counts["ended before"] += 1
            assert_same(root)
            empty(root / "killed")
            continue
        counts["killed"] += 1
        counts["one" if len(who) == 1 else "all"] += 1
        counts["went on"] += any((root / "killed").glob("step-*"))
        tell(counts)
    assert attempt(root / "killed") == [0] * WORLD
    assert_same(root)
    return counts


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def assert_same(root: Path) -> None:
    one, other = (torch.load(root / name / "losses.pt") for name in ("whole", "killed"))
    assert one["losses"] == other["losses"]
    assert torch.equal(one["weight"], other["weight"])


@pytest.mark.slow
def test_killed_processes_go_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    assert survive(tmp_path, 5)["killed"] == 5


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(survive(Path(folder), int(sys.argv[1]), tell=print))
