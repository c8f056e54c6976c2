"""What takes long says what it does and how long it will still take: a bar in a terminal, a line every so often in a log."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from time import monotonic
from typing import Any, TypeVar

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

T = TypeVar("T")
SLOW = 5.0  # seconds; what takes less is done in silence
FIRST_LOOK = 2.0  # after so many it is clear how long the rest will take
LINE_EVERY = 30.0  # seconds between two lines of a log


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items, one after the other, with a `Meter` of them.

    Arguments: what: is done, for instance "reading photographs"; total: how many items, where they do not know their number.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Meter(what, total) as meter:
        for item in items:
            yield item
            meter.update()


class Meter:
    """Says on stderr how far something is, once it is clear that it takes more than `SLOW` seconds in all.

    In a notebook the line stands in the cell until the work is done. Of several processes that `torchrun` started only the
    first one speaks.

    Arguments:
        what: is done.
        total: how much there is to do, if that is known; it may be set later.
        size: whether what is counted are bytes.
        first: how much of it had been done before.
    """

    def __init__(self, what: str, total: int | None = None, *, size: bool = False, first: int = 0) -> None:
        self.what, self.total, self.size, self.first = what, total, size, first
        self.done, self.started = first, monotonic()
        self._next_look = self.started + (FIRST_LOOK if os.environ.get("RANK", "0") == "0" else float("inf"))
        self._speaker: _Bar | _Line | _Log | None = None

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, more: int = 1) -> None:
        """So much more is done."""
        self.done += more
        now = monotonic()
        if now < self._next_look:
            return
        if self._speaker is None and now - self.started + (self.left or 0) < SLOW:
            return
        self._speaker = self._speaker or _speaker(self)
        self._next_look = now + self._speaker.every
        self._speaker.show()

    def reset(self) -> None:
        """Nothing is done yet: with it this is such a bar as pooch asks for."""
        self.done = 0

    def close(self) -> None:
        """Takes the bar away; a log gets its last line."""
        if self._speaker is not None:
            self._speaker.close()
        self._speaker, self._next_look = None, float("inf")

    @property
    def left(self) -> float | None:
        """Seconds, if what is left goes on as it went so far."""
        if not self.total or self.done == self.first:
            return None
        return (monotonic() - self.started) * max(self.total - self.done, 0) / (self.done - self.first)

    @property
    def counted(self) -> str:
        count: Callable[[int], str] = decimal if self.size else "{:,}".format
        return f"{self.what}: {count(self.done)}" + (f" of {count(self.total)}" if self.total else "")

    def __str__(self) -> str:
        return self.counted if self.left is None else f"{self.counted}, {spoken(self.left)} left"


def spoken(seconds: float) -> str:
    """A length of time in words, such as "40 s" or "2 h 5 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _speaker(meter: Meter) -> "_Bar | _Line | _Log":
    console = Console(stderr=True)
    return _Line(meter) if console.is_jupyter else _Bar(meter, console) if console.is_terminal else _Log(meter)


class _Bar:
    every = 0.1

    def __init__(self, meter: Meter, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self.meter = meter
        self.bar = Progress(*columns, console=console, transient=True)
        self.task = self.bar.add_task("", total=meter.total)
        self.bar.start()

    def show(self) -> None:
        meter = self.meter
        self.bar.update(self.task, completed=meter.done, total=meter.total or None, description=escape(meter.counted))

    def close(self) -> None:
        self.bar.stop()


class _Line:
    """A notebook's, which takes itself away."""

    every = 1.0

    def __init__(self, meter: Meter) -> None:
        from IPython.display import DisplayHandle

        self.meter = meter
        self.handle: Any = DisplayHandle()
        self.handle.display(self._content(""), raw=True)

    def show(self) -> None:
        self.handle.update(self._content(str(self.meter)), raw=True)

    def close(self) -> None:
        self.handle.update(self._content(""), raw=True)

    @staticmethod
    def _content(line: str) -> dict[str, str]:
        return {"text/plain": line, "text/html": line}


class _Log:
    every = LINE_EVERY

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def show(self) -> None:
        print(self.meter, file=sys.stderr, flush=True)

    def close(self) -> None:
        took = spoken(monotonic() - self.meter.started)
        print(f"{self.meter.what}: {'done' if self.meter.left == 0 else 'ended'} after {took}", file=sys.stderr, flush=True)
