"""Claims and verdicts.

A claim is a sentence of a paper that a computation can decide. A verdict sums up a table or figure in one of `WORDS`.
"""

from dataclasses import dataclass
from html import escape

import pandas as pd

from marginface.evaluation.statistics import Estimate

WORDS = {
    "reproduced": "what the paper claims holds when it is computed or run again, and the effect is larger than the noise",
    "reproduced in part": "some of the claims hold and some do not; the page says which",
    "same direction, within noise": "the difference points where the paper says, but its 95 % interval includes zero",
    "undecided": "the runs show neither the claim nor its opposite: wide intervals, or differences both ways within noise",
    "opposite direction, within noise": "the difference points the other way, and its 95 % interval includes zero",
    "contradicted": "no claim holds, or the difference points the other way and its interval excludes zero",
    "cannot be tested here": "it needs data that nobody can still obtain, or a scale that we could not afford",
    "as printed": "a description without a claim to test; what we built from it is shown",
    "not yet": "no notebook yet",
    "not judged": "a smoke run, or data that only stands in for the right one: its numbers mean nothing",
}
# what a word makes of verdicts that differ, the first that is among them
MIXED = {"reproduced": "reproduced in part", "reproduced in part": "reproduced in part", "contradicted": "contradicted"}
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


def of_increase(difference: Estimate, claim: str) -> Verdict:
    """The verdict on the claim that something is larger, from the estimated difference. One run decides nothing."""
    evidence = f"{claim}: {difference.format('+.2f')}"
    up = difference.mean > 0
    if difference.low > 0 or difference.high < 0:
        return Verdict("reproduced" if up else "contradicted", (evidence,), "recorded runs")
    return Verdict(f"{'same' if up else 'opposite'} direction, within noise", (evidence,), "recorded runs")


def of_equivalence(difference: Estimate, margin: float, claim: str) -> Verdict:
    """The verdict on the claim that a difference is within ± margin.

    Arguments: difference: with a 90 % interval, which lies within the margin just where two one-sided tests at 5 % say so.
    """
    evidence = f"{claim}: {difference.format('+.2f')}"
    if -margin < difference.low and difference.high < margin:
        return Verdict("reproduced", (evidence,), "recorded runs")
    outside = difference.low > margin or difference.high < -margin
    return Verdict("contradicted" if outside else "undecided", (evidence,), "recorded runs")


def combine(verdicts: list[Verdict]) -> Verdict:
    """One verdict from several: their common word; else "reproduced in part" or "contradicted" if any is; else "undecided"."""
    words = {verdict.word for verdict in verdicts}
    decided = [mixed for word, mixed in MIXED.items() if word in words]
    word = words.pop() if len(words) == 1 else decided[0] if decided else "undecided"
    return Verdict(word, tuple(f"{'; '.join(v.evidence)}: {v.word}" for v in verdicts), verdicts[0].leg)


def claims_table(claims: list[Claim]) -> pd.DataFrame:
    """Claims as a table to show: a claim is true or false, the other kinds are named."""
    words = {("claim", True): "true", ("claim", False): "false", ("observation", False): "observation: not so"}
    rows = [(c.text, c.source, words.get((c.kind, c.holds), c.kind), c.evidence) for c in claims]
    return pd.DataFrame(rows, columns=["claim", "source", "holds", "computed"])
