"""One verdict on many claims, with a line for each paper."""

import pandas as pd

from marginface.book.verdicts import Claim, Verdict, of_claims


def verdict(by_paper: dict[str, list[Claim]]) -> Verdict:
    """One verdict on all claims, with a line for each paper."""
    whole = of_claims([claim for group in by_paper.values() for claim in group])
    lines = [f"{paper}: {sum(c.holds for c in group)} of {len(group)}" for paper, group in by_paper.items()]
    return Verdict(whole.word, (whole.evidence[0], *lines), whole.leg)


def table(by_paper: dict[str, list[Claim]]) -> pd.DataFrame:
    """How many claims of each paper are true."""
    lines = [
        (paper, len(group), sum(c.holds for c in group), sum(not c.holds for c in group)) for paper, group in by_paper.items()
    ]
    return pd.DataFrame(lines, columns=["paper", "claims checked", "true", "false"])
