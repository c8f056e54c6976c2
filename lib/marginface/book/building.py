"""Running the book's pages, several at a time, before Sphinx reads them from jupyter-cache.

jupyter-cache's own parallel executor hands out pages in lumps, says nothing of how far it is, and keeps errors to itself.
"""

import json
import os
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

Notebook = Any  # nbformat's NotebookNode
ANSI = re.compile(r"\x1b\[[0-9;]*m")
GUESS = 8.0  # seconds for a page that was never run here


@dataclass(frozen=True)
class Page:
    """A page that is a notebook: its name in the book, its file, and what Sphinx's reader makes of it."""

    name: str
    path: Path
    notebook: Notebook


class PageError(Exception):
    """Pages that could not be run. Its text names each, with the traceback of the cell that failed."""


def run_pages(
    pages: Sequence[Page], cache: Any, seconds: Path, *, timeout: int, jobs: int, say: Callable[[str], object] = print
) -> int:
    """Run the pages that the cache does not have, and put them there, each in its own folder. How many these were.

    Arguments:
        cache: a jupyter-cache.
        seconds: a JSON file of how long each page took the last time, from which the time that is left is told.
        timeout: seconds that a cell may take.
        jobs: how many pages at a time.
        say: is called with lines on how far it is.
    Raises: PageError naming every page that fails, once all have been tried.
    """
    known = _read_seconds(seconds)
    todo = [page for page in pages if not is_cached(page, cache)]
    todo.sort(key=lambda page: known.get(page.name, GUESS), reverse=True)  # the longest first: no one waits for it in the end
    if not todo:
        return 0
    from marginface.data.files import writing  # here, since with it comes torch, which a build that runs nothing spares

    count, failed = len(todo), []
    say(f"{count} pages to run, {jobs} at a time: about {_spoken(_left(todo, [], known, jobs))}")
    with _threads_shared(jobs), ProcessPoolExecutor(jobs) as pool:
        waiting, running = list(todo), dict[Future, tuple[Page, float]]()
        while waiting or running:
            while waiting and len(running) < jobs:
                page = waiting.pop(0)
                left = _left([page, *waiting], list(running.values()), known, jobs)
                say(f"[{count - len(waiting)}/{count}] running {page.name}; about {_spoken(left)} left")
                running[pool.submit(_execute, page, timeout)] = page, monotonic()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                page, _ = running.pop(future)
                notebook, known[page.name], trouble = future.result()
                if trouble:
                    failed.append(f"{page.name} failed:\n{trouble}")
                    say(f"{page.name} failed; how, is said when all pages have been tried")
                else:
                    _keep(page, notebook, known[page.name], cache)
    with writing(seconds) as file:
        file.write(json.dumps({name: round(value, 1) for name, value in sorted(known.items())}, indent=1).encode())
    if failed:
        raise PageError("\n".join([*failed, f"{len(failed)} of {count} pages failed"]))
    return count


def is_cached(page: Page, cache: Any) -> bool:
    """Whether a page with the same code has been run."""
    try:
        cache.match_cache_notebook(page.notebook)
    except KeyError:
        return False
    return True


def _execute(page: Page, timeout: int) -> tuple[Notebook, float, str]:
    """The page with its outputs, the seconds that it took, and what went wrong or ""."""
    from jupyter_cache.executors.utils import single_nb_execution

    started = monotonic()
    try:
        result = single_nb_execution(page.notebook, cwd=str(page.path.parent), timeout=timeout, allow_errors=False)
    except Exception:  # a kernel that dies, for instance
        return page.notebook, monotonic() - started, ANSI.sub("", traceback.format_exc())
    return result.nb, result.time, ANSI.sub("", str(result.err)) if result.err else ""


def _keep(page: Page, notebook: Notebook, took: float, cache: Any) -> None:
    from jupyter_cache.base import CacheBundleIn

    bundle = CacheBundleIn(notebook, str(page.path), data={"execution_seconds": took})
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


@contextmanager
def _threads_shared(jobs: int) -> Iterator[None]:
    """Kernels that share the cores: so many threads each that they do not stand in one another's way."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]


def _left(waiting: list[Page], running: list[tuple[Page, float]], known: dict[str, float], jobs: int) -> float:
    """Seconds until all are done, if each page takes what it took the last time."""
    now = monotonic()
    begun = [max(known.get(page.name, GUESS) - (now - since), 0.0) for page, since in running]
    whole = [known.get(page.name, GUESS) for page in waiting]
    return max([sum(begun + whole) / jobs, *begun, *whole])


def _read_seconds(path: Path) -> dict[str, float]:
    """What is known of how long pages take; nothing where the file is missing or damaged."""
    try:
        return {str(name): float(value) for name, value in json.loads(path.read_text()).items()}
    except (AttributeError, OSError, OverflowError, RecursionError, TypeError, ValueError):
        return {}


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
