"""One verdict on many claims, with a line for each paper."""

import pandas as pd

from marginface.book.verdicts import Claim, Verdict, beside, of_claims


def verdict(by_paper: dict[str, list[Claim]]) -> Verdict:
    """One verdict on all claims, with a line for each paper."""
    whole = of_claims([claim for group in by_paper.values() for claim in group])
    lines = []
    for paper, group in by_paper.items():
        held, failed = _counts(group)
        lines.append(f"{paper}: {held} of {held + failed}{beside(group)}")
    return Verdict(whole.word, (whole.evidence[0], *lines), whole.leg)


def table(by_paper: dict[str, list[Claim]]) -> pd.DataFrame:
    """How many claims of each paper are true, and what is shown beside them."""
    lines = []
    for paper, group in by_paper.items():
        held, failed = _counts(group)
        others = [sum(claim.kind == kind for claim in group) for kind in ("misprint", "observation")]
        lines.append((paper, held + failed, held, failed, *others))
    return pd.DataFrame(lines, columns=["paper", "claims checked", "true", "false", "misprints", "observations"])


def _counts(claims: list[Claim]) -> tuple[int, int]:
    """How many claims are true, and how many false."""
    holds = [claim.holds for claim in claims if claim.kind == "claim"]
    return sum(holds), holds.count(False)
