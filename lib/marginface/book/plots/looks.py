"""One colour, marker and line for each loss in the whole book."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Look:
    """What a loss is drawn with. No two have the colour, the marker or, where colours are near, the line in common."""

    colour: str
    marker: str
    line: str = "-"

    @property
    def of_line(self) -> dict[str, Any]:
        """For Matplotlib's `plot`."""
        return {"color": self.colour, "linestyle": self.line}

    @property
    def of_dots(self) -> dict[str, Any]:
        return {"color": self.colour, "marker": self.marker, "linestyle": ""}


# seaborn's "colorblind", after Wong, Nature Methods 8 (2011), 441; the first that fits a name's beginning is its loss
LOSSES = {
    "ArcFace": Look("#0173b2", "o"),
    "CosFace": Look("#029e73", "D"),
    "CosineFace": Look("#029e73", "D"),
    "AM": Look("#029e73", "D"),
    "InterFace cid&ct": Look("#d55e00", "v", "--"),
    "InterFace did&ct": Look("#de8f05", "^", "-."),
    "InterFace did&dt": Look("#fbafe4", "<", ":"),
    "InterFace": Look("#d55e00", "v", "--"),
    "SphereFace": Look("#cc78bc", "s"),
    "NormFace": Look("#ca9161", "P", "-."),
    "Softmax": Look("#949494", "X", "--"),
    "IAM": Look("#56b4e9", ">", ":"),
    "PAM": Look("#ece133", "*"),
}
PALETTE = tuple(dict.fromkeys(look.colour for look in LOSSES.values()))
MARKERS = "oDv^<sPX>*"


def looks(names: Iterable[str]) -> dict[str, Look]:
    """The look of each row of a table: its loss's own, and for the second of one loss, or what is no loss, a free one.

    Of several rows of a loss the one that is called as the loss is has its look, else the first.
    """
    rows = list(names)
    found: dict[str, Look] = {}
    for name in sorted(rows, key=lambda name: name not in LOSSES):
        own = next((look for loss, look in LOSSES.items() if name == loss or name.startswith((f"{loss} ", f"{loss},"))), None)
        if own is not None and own not in found.values():
            found[name] = own
    free = [Look(c, m) for c, m in zip(PALETTE, MARKERS, strict=True) if c not in {look.colour for look in found.values()}]
    more = free + [Look(colour, marker, "--") for colour, marker in zip(PALETTE, reversed(MARKERS), strict=True)]
    left = [name for name in rows if name not in found]
    found |= {name: more[i % len(more)] for i, name in enumerate(left)}
    return {name: found[name] for name in rows}
