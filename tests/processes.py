"""Several processes that work together, for tests."""

import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

Work = Callable[..., Any]


def together(world: int, work: Work, *arguments: Any, seconds: float = 1800) -> list[Any]:
    """What `work(rank, *arguments)` gives in each of so many processes of one gloo group."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "marginface.sharded"])
    with tempfile.TemporaryDirectory() as folder:
        processes = [context.Process(target=_run, args=(rank, world, folder, work, arguments)) for rank in range(world)]
        for process in processes:
            process.start()
        until = time.monotonic() + seconds
        while any(process.is_alive() for process in processes) and time.monotonic() < until:
            connection.wait([process.sentinel for process in processes if process.is_alive()], timeout=5)
        for process in processes:
            process.kill()
        files = [Path(folder) / f"{rank}.pt" for rank in range(world)]
        outcomes = [torch.load(file, weights_only=False) for file in files if file.exists()]
    failures = [outcome.text for outcome in outcomes if isinstance(outcome, _Failure)]
    assert not failures, failures[0]
    assert len(outcomes) == world, f"{world - len(outcomes)} of {world} processes were not done after {seconds} s"
    return outcomes


class Dies(BaseException):
    """Raised by work whose process is to end at once; what it gives is None."""


class _Failure:
    def __init__(self, text: str) -> None:
        self.text = text


def _run(rank: int, world: int, folder: str, work: Work, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    try:
        outcome = work(rank, *arguments)
    except Dies:
        torch.save(None, Path(folder) / f"{rank}.pt")
        os._exit(1)
    except BaseException:
        outcome = _Failure(f"rank {rank}: {traceback.format_exc()}")
    torch.save(outcome, Path(folder) / f"{rank}.pt")
    if isinstance(outcome, _Failure):
        os._exit(1)  # at once, so that nobody waits for it
    dist.destroy_process_group()
