"""What a page says of its effects: the table, the caption of the figure, and what could have been shown."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from marginface.book import comparison
from marginface.book.effects import EXPLORED, NARROW, Above, Effect, Within
from marginface.book.errors import is_angle
from marginface.evaluation.crossed import MOST_SEEDS, ROUNDING


def table(effects: Sequence[Effect]) -> pd.DataFrame:
    """Every effect with what is printed, its word, and what the runs could have shown."""
    beds = len({each.bed for each in effects}) > 1
    lines = []
    for each in effects:
        line = {"difference": each.claim.text} | ({"on": each.bed} if beds else {})
        line |= {"verdict": each.judged, "measured [interval]": each.difference, "printed": each.printed or "–"}
        if any(e.found.runs > 1 for e in effects):
            line["would show"] = _would_show(each)
            line["seeds to decide"] = seeds(each) if each.word == "undecided" else ""
        lines.append(line)
    return pd.DataFrame(lines)


def _would_show(effect: Effect) -> str:
    """The share that would be shown; that all runs agree to the last digit is no power."""
    if not effect.found.error > ROUNDING:
        return "–"
    return f"{'±' if isinstance(effect.claim, Within) else ''}{_percent(effect.shown)}"


def _percent(share: float) -> str:
    return f"{100 * share:.{2 if share < NARROW else 1}f} %"


def seeds(effect: Effect) -> str:
    """How many of a row would decide what is undecided."""
    if isinstance(effect.claim, Above) and effect.claim.bases:
        return "more losses"
    return str(effect.needed) if effect.needed else f"over {MOST_SEEDS:,}"


def caption(effects: Sequence[Effect]) -> str:
    """What to see in the figure of a page's effects: how it is read, what the claims came to, and the clearest difference."""
    errors = _errors(effects)
    less = "fewer errors" if errors else "less"
    parts = [
        f"A line is a difference with its interval, left of zero {less}; a hollow diamond is that of the printed numbers, on "
        "those of the tests that are printed."
    ]
    if any(np.nanmax([each.share, *each.interval, each.claim.printed or 0]) > 1 for each in effects):
        parts.append("An arrow at the right stands for what lies beyond +100 %; the table has the number.")
    claims = [each for each in effects if each.word != EXPLORED]
    if claims:
        parts.append(f"{'One claim' if len(claims) == 1 else f'Of {len(claims)} claims'}: {_counted(claims)}.")
    clear = [each for each in claims or effects if min(each.interval) > 0 or max(each.interval) < 0]
    if clear:
        most = max(clear, key=lambda each: min(abs(np.log1p(end)) for end in each.interval))
        on = f" on {most.bed}" if len({each.bed for each in effects}) > 1 else ""
        parts.append(f"The clearest: {most.claim.text}{on}, {most.difference}.")
    else:
        parts.append("No interval leaves out zero.")
    return " ".join([*parts, *([f"An error is {errors}."] if errors else [])])


def in_short(effects: Sequence[Effect]) -> str:
    """What claims came to on each test bed, in a sentence: by how much the errors change, and the words."""
    parts: list[str] = []
    for bed in dict.fromkeys(each.bed for each in effects):
        own = [each for each in effects if each.bed == bed]
        least, most = (end(own, key=lambda each: each.share).difference.partition(" [")[0] for end in (min, max))
        span = least if least == most else f"{least.removesuffix(' %')} to {most}"
        parts.append(f"{', on' if parts else 'On'} {bed} {'' if parts else 'the errors change '}by {span} ({_counted(own)})")
    return f"{''.join(parts)}."


def _counted(effects: Sequence[Effect]) -> str:
    return ", ".join(f"{n} {word}" for word, n in Counter(each.word for each in effects).most_common())


def _errors(effects: Sequence[Effect]) -> str:
    """What counts as an error on each test bed; nothing for angles and other values."""
    beds: dict[str, list[str]] = {}
    for bed in dict.fromkeys(each.bed for each in effects):
        kinds: dict[str, list[str]] = {}
        for measure in dict.fromkeys(measure for each in effects if each.bed == bed for measure in each.measures):
            if not is_angle(measure):
                test, kind = _test_and_kind(measure)
                kinds.setdefault(kind, []).append(test)
        if kinds:
            text = " or ".join(f"one minus {kind} ({', '.join(tests)})" for kind, tests in kinds.items())
            beds.setdefault(text, []).append(bed)
    return "; ".join(f"on {' and '.join(each)} {text}" for text, each in beds.items())


def _test_and_kind(measure: str) -> tuple[str, str]:
    """Of "LFW all pairs AUC" the test and how a reader calls the rest."""
    test, pairs, what = measure.partition(" all pairs ")
    if what == "AUC":
        return test, "the area under the ROC over all pairs"
    test = comparison.test_of(test if pairs else measure)
    kind = comparison.title(f" {what}" if pairs else measure).rpartition(", ")[2]
    return test, f"{kind} over all pairs" if pairs else "accuracy" if kind == measure else kind


def power(effects: Sequence[Effect]) -> str:
    """What the runs of a page could have shown, in a sentence."""
    judged = [each for each in effects if each.word != EXPLORED]
    if not judged:
        return "No claim is tested here."
    if judged[0].found.runs < 2:
        return "One run a row shows nothing."
    known = [each.shown for each in judged if each.found.error > ROUNDING]
    if not known:
        return "The runs of every claim agree to the last digit, which says nothing of what they could have shown."
    least, most = _percent(min(known)), _percent(max(known))
    span = least if least == most else f"{least.removesuffix(' %')} to {most} (depending on the claim)"
    if isinstance(judged[0].claim, Within):
        what = f"what is no change to be within ± {span}"
    else:
        of_errors = judged[0].claim.value is None and not is_angle(judged[0].claim.measures[0])
        what = f"a change that removes {span} of the errors" if of_errors else f"what is compared to be smaller by {span}"
    family = f"{len(judged)} claims are one family, and this is at Holm's first step" if len(judged) > 1 else "One claim"
    return f"These runs show {what} with a probability of 80 % ({family}: {100 * judged[0].level:.1f} %)."
