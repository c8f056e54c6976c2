"""Memory that is freed and asked for again at every step."""

import ctypes
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt, in glibc's malloc.h
KEPT = 2**30  # bytes


@cache
def keep_memory() -> bool:
    """Tell glibc to keep what is freed, once; whether there is a glibc.

    By default it gives large blocks back to the system, and every step of a training on the CPU gets them anew, a page fault
    for each 4 KiB: a third of the time of LMobileNetE.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(MMAP_THRESHOLD, KEPT) and mallopt(TRIM_THRESHOLD, KEPT))
