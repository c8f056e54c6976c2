"""Images that are damaged and can be read nevertheless: each is named once, at the end, by one warning that counts them."""

import json
import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from marginface.data.types import DataWarning

NOTES = "MARGINFACE_DAMAGE"  # the environment variable that names a file for this process and those that read for it
MOST_NAMES = 100


def note(name: str, why: str) -> None:
    """An image is damaged. That is told when `counted` ends, and at once where nobody counts."""
    if NOTES not in os.environ:
        warnings.warn(DataWarning(f"{name}: it is damaged, and parts of it are wrong ({why})"), stacklevel=2)
        return
    with open(os.environ[NOTES], "a") as file:  # of several processes and threads each adds a line as a whole
        file.write(json.dumps([name, why]) + "\n")


@contextmanager
def counted() -> Iterator[None]:
    """Warns when the block ends of the damaged images that were read in it, also by processes that were started in it.

    Within another such block it leaves that to the other.
    Warns: DataWarning that says how many and which images were damaged.
    """
    if NOTES in os.environ:
        yield
        return
    path = os.environ[NOTES] = os.path.join(tempfile.gettempdir(), f"marginface-{uuid.uuid4().hex}.tmp")
    try:
        yield
    finally:
        del os.environ[NOTES]
        if os.path.exists(path):  # only where something was damaged
            with open(path) as file:
                notes = dict(map(json.loads, file))
            os.remove(path)
            warnings.warn(DataWarning(_told(notes)), stacklevel=3)


def _told(notes: dict[str, str]) -> str:
    count = "an image is" if len(notes) == 1 else f"{len(notes):,} images are"
    names = [f"{name} ({why})" for name, why in sorted(notes.items())[:MOST_NAMES]]
    more = [f"and {len(notes) - MOST_NAMES:,} more"] if len(notes) > MOST_NAMES else []
    return "\n  ".join([f"{count} damaged, which are used all the same, with parts that are wrong:", *names, *more])
