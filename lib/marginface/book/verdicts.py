"""Claims and verdicts.

A claim is a sentence of a paper that a computation can decide. A verdict sums up a table or figure in one of `WORDS`.
"""

from dataclasses import dataclass
from html import escape

import pandas as pd

# of trainings that are compared, as `effects.judge` finds them; the interval is that of Holm's procedure over a page's claims
COMPARED = {
    "holds": "the difference points where the paper says, and none is excluded; of an equivalence: it is within the margin",
    "smaller than printed": "the direction holds, and a difference of the printed size is excluded",
    "holds in part": "some of the page's claims hold and some do not; the page says which",
    "absent here": "the interval includes no difference, and one of the printed size is excluded",
    "undecided": "neither is excluded, or some claims are undecided and none holds; the page says what would decide",
    "opposite": "the difference points the other way, and none is excluded; of an equivalence: it is beyond the margin",
}
MEANINGLESS = "a smoke run, or data that only stands in for the right one: its numbers mean nothing"
WORDS = COMPARED | {
    "reproduced": "what the paper claims holds when it is computed",
    "reproduced in part": "some of what is computed holds and some does not; the page says which",
    "contradicted": "none of what is computed holds",
    "cannot be tested here": "it needs data that nobody can still obtain, or a scale that we could not afford",
    "as printed": "a description without a claim to test; what we built from it is shown",
    "not yet": "no notebook yet",
    "not judged": f"{MEANINGLESS}; or there is nothing to compare",
}
LEGS = ("computed", "recorded runs", "as printed", "")
# a misprint is a slip of the pen whose meaning is plain; an observation is about what the paper does not state
KINDS = ("claim", "observation", "misprint")


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, where it stands, whether it holds, and the numbers that decide it.

    Only those of the kind "claim" count in a verdict; the others of `KINDS` are shown beside them.
    """

    text: str
    source: str
    holds: bool
    evidence: str
    kind: str = "claim"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind={self.kind!r} must be one of {', '.join(KINDS)}")


@dataclass(frozen=True)
class Verdict:
    """A word of `WORDS`, the evidence in lines, and what it stands on: one of `LEGS`."""

    word: str
    evidence: tuple[str, ...] = ()
    leg: str = ""

    def __post_init__(self) -> None:
        if self.word not in WORDS or self.leg not in LEGS:
            raise ValueError(f"{self.word!r} on {self.leg!r} is not a verdict")

    def _repr_html_(self) -> str:
        lines = "".join(f"<br>{escape(line)}" for line in self.evidence)
        return f'<p class="verdict"><strong>Verdict: {escape(self.word)}.</strong>{lines}</p>'


def of_claims(claims: list[Claim], leg: str = "computed") -> Verdict:
    """The verdict on a list of claims that are true or false; misprints and observations are counted apart."""
    counted = [claim for claim in claims if claim.kind == "claim"]
    failed = [f"not so: {claim.text}" for claim in counted if not claim.holds]
    held = len(counted) - len(failed)
    if not counted:
        return Verdict("as printed", (f"no claim{beside(claims)}",), leg)
    word = "reproduced in part" if held and failed else "contradicted" if failed else "reproduced"
    return Verdict(word, (f"{held} of {len(counted)} claims hold{beside(claims)}", *failed), leg)


def beside(claims: list[Claim]) -> str:
    """How many misprints and observations stand beside the claims, to follow a count of these; "" where none do."""
    counts = [(sum(claim.kind == kind for claim in claims), kind) for kind in ("misprint", "observation")]
    listed = [f"{count} {kind}{'s' * (count > 1)}" for count, kind in counts if count]
    return f"; beside them {' and '.join(listed)}" if listed else ""


def claims_table(claims: list[Claim]) -> pd.DataFrame:
    """Claims as a table to show: a claim is true or false, the other kinds are named."""
    words = {("claim", True): "true", ("claim", False): "false", ("observation", False): "observation: not so"}
    rows = [(c.text, c.source, words.get((c.kind, c.holds), c.kind), c.evidence) for c in claims]
    return pd.DataFrame(rows, columns=["claim", "source", "holds", "computed"])
