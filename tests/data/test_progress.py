"""What takes long says so, and what is quick is done in silence."""

import io
import sys

import pytest

from marginface.data import progress
from marginface.data.progress import Meter, track


class Clock:
    """Seconds that pass only when somebody says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "monotonic", clock)
    monkeypatch.delenv("RANK", raising=False)
    return clock


def work(clock: Clock, items: int, seconds: float, known: bool = True) -> list[int]:
    """Goes through so many items, each of which takes so long."""
    done = []
    for item in track(range(items) if known else iter(range(items)), "reading"):
        clock.now += seconds
        done.append(item)
    return done


@pytest.mark.parametrize(("items", "seconds"), [(100, 0.04), (0, 1.0), (3, 1.5)])
@pytest.mark.parametrize("known", [True, False])
def test_what_is_quick_is_done_in_silence(
    items: int, seconds: float, known: bool, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert work(clock, items, seconds, known) == list(range(items))
    assert capsys.readouterr() == ("", "")


def test_a_log_gets_a_line_once_it_is_clear_that_it_takes_long_and_then_every_so_often(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    work(clock, 3000, 1 / 32)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "reading: 64 of 3,000, 92 s left",
        "reading: 1,024 of 3,000, 62 s left",
        "reading: 1,984 of 3,000, 32 s left",
        "reading: 2,944 of 3,000, 2 s left",
        "reading: done after 94 s",
    ]


def test_without_a_total_it_speaks_when_it_has_taken_long(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    work(clock, 7, 1.0, known=False)
    assert capsys.readouterr().err == "reading: 5\nreading: ended after 7 s\n"


def test_bytes_and_hours(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Meter("fetching", 10**10, size=True) as meter:
        clock.now += 3
        meter.update(5 * 10**6)
    assert capsys.readouterr().err.splitlines()[0] == "fetching: 5.0 MB of 10.0 GB, 1 h 40 min left"


def test_one_process_of_many_speaks(clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    work(clock, 100, 1.0)
    assert capsys.readouterr().err == ""


def test_whoever_stops_early_leaves_nothing_open(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    items = track(range(100), "reading")
    for _ in range(6):
        next(items)
        clock.now += 1
    items.close()  # type: ignore[attr-defined]
    assert capsys.readouterr().err.splitlines()[-1] == "reading: ended after 6 s"


def test_a_terminal_has_a_bar_that_goes_away(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name, value in {"TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Meter("reading [a]", 100) as meter:
        for _ in range(8):
            clock.now += 1
            meter.update()
        meter._speaker.bar.refresh()  # type: ignore[union-attr]
        assert "reading [a]: 8 of 100" in terminal.getvalue()
        assert "8%" in terminal.getvalue()
    assert terminal.getvalue().endswith(("\x1b[2K", "\r", "\x1b[?25h", "\x1b[1A"))
    assert "done" not in terminal.getvalue()
