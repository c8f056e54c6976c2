"""Memory that is kept: where there is a glibc, and nowhere else an error."""

import ctypes
import platform

import pytest

from marginface.training.memory import keep_memory


def test_glibc_is_told_once() -> None:
    keep_memory.cache_clear()
    assert keep_memory() == (platform.libc_ver()[0] == "glibc")
    assert keep_memory.cache_info().misses == 1


def test_without_mallopt_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_memory.cache_clear()
    assert keep_memory() is False
    keep_memory.cache_clear()
