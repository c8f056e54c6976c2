"""Processes that work for another one."""

import multiprocessing
import os
import threading
from multiprocessing.process import BaseProcess


def start_worker(jobs: int) -> None:
    """What a process of a pool does first: take its share of the cores, and end when the parent does, however that ends."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
