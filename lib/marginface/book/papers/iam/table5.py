"""IAM Tables 5 and 6: IAM added to seven losses, and the same runs by rank 1 among strangers."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd

from marginface.book import comparison, effects, published
from marginface.book.effects import Above
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row
from marginface.book.papers import bases
from marginface.book.papers.bases import FIVE_SEEDS, with_iam
from marginface.book.papers.choosing import ON_GLYPHS, PARAMETERS
from marginface.book.papers.iam.betas import printed_share, tests_of

EQ3, AM = "NormFace", "CosFace"
# what the tables call the losses; those with IAM beside them are counted by their β
PRINTED = {
    EQ3: "Eq.(3)",
    "Center loss": "Center loss [16]",
    "ℓ2": "l2-constrained [20]",
    "Ring loss": "Ring loss [21]",
    "SphereFace": "SphereFace [23]",
    "ArcFace": "ArcFace [10]",
    AM: "AM-loss [9][11]",
}
OTHERS = tuple(name for name in PRINTED if name != EQ3)  # "state-of-the-art methods", at one β
BETAS = {EQ3: (0.8, 0.9), AM: (0.05, 0.06, 0.07, 0.08, 0.1)}  # as printed; 0.1 of AM-Softmax is in Table 4
BOTH = (0.05, 0.1)  # of all others
FIXED = 0.05  # the β that is judged: the one that Table 5 has of all six; Eq. (3)'s is 0.8
RANK = "identification rank-1"


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Each loss at its own best setting, without IAM and with the paper's β."""
    recipe, losses, scale = bases.of(chosen)
    return {
        named(name, beta): Row(with_iam(losses[name], beta, scale).on(recipe), {"base_loss": PRINTED[name], "beta": beta})
        for name in PRINTED
        for beta in (0.0, *BETAS.get(name, BOTH))
    }


def named(name: str, beta: float) -> str:
    return f"{name} + {beta:g} × IAM" if beta else name


def claims(number: int, results: Results) -> list[Above]:
    """That IAM "can further improve" the six others, in the mean over such losses at one β and for each, and Eq. (3) "largely".

    Of Table 6 also §4.2's sentence that Eq. (3) with IAM is above SphereFace.
    """
    pooled = _pooled(number, results, FIXED)
    each = [_with_iam(number, results, name, FIXED) for name in OTHERS]
    found = [pooled, *each, _with_iam(number, results, EQ3, 0.8)]
    if number == 6:
        found += [
            _above(number, results, named(EQ3, 0.8), "SphereFace"),
            _above(number, results, named(EQ3, 0.9), "SphereFace"),
        ]
    return found


def explored(number: int, results: Results) -> list[Above]:
    """The other β, and the order of the losses without IAM."""
    found = [_pooled(number, results, 0.1)]
    found += [_with_iam(number, results, name, beta) for name in PRINTED for beta in BETAS.get(name, BOTH)]
    found.append(_above(number, results, AM, "ArcFace"))
    if number == 6:
        found.append(_above(number, results, named(EQ3, 0.8), "ArcFace"))
    claimed = {claim.text for claim in claims(number, results)}
    return [claim for claim in found if claim.text not in claimed]


def strengths(number: int, results: Results) -> pd.DataFrame:
    """Whether IAM adds less to a stronger loss: each one's errors, in their order, and what β = 0.05 and 0.1 change.

    How strong a loss is goes by all its runs, with IAM and without: by those without alone, one that had bad luck there would
    look weak and gain much.
    """
    if not results.runs:
        return pd.DataFrame()
    measures, lines = _measures(number, results), []
    for name in OTHERS:
        rows = [named(name, beta) for beta in (0.0, *BOTH)]
        errors = [100 - value for row in rows for value in results.values(row, measures)]
        found = effects.explore([_with_iam(number, results, name, beta) for beta in BOTH], results.trained)
        lines.append((float(np.mean(errors)), name, *(each.difference for each in found)))
    shown = [(name, f"{share:.2f}", *rest) for share, name, *rest in sorted(lines)]
    columns = ["loss", "errors, mean of its rows, %", *(f"β = {beta:g} changes them by" for beta in BOTH)]
    return pd.DataFrame(shown, columns=columns)


def ranks(results: Results) -> pd.DataFrame:
    """Table 6's numbers beside those of the search here, in percent."""
    table = published.table("iam", 6)
    lines = []
    for name, group in results.runs.items():
        printed = published.value(table, results.rows[name].printed)
        lines.append((name, "–" if printed is None else f"{printed:.2f}", comparison.mean(RANK, group)))
    return pd.DataFrame(lines, columns=["row", "MegaFace rank 1 printed, %", "rank 1 measured, %"])


def _measures(number: int, results: Results) -> tuple[str, ...]:
    return tests_of(results) if number == 5 else (RANK,)


def _with_iam(number: int, results: Results, name: str, beta: float) -> Above:
    return _above(number, results, named(name, beta), name)


def _above(number: int, results: Results, row: str, over: str) -> Above:
    share = printed_share(published.table("iam", number), *(results.rows[each].printed for each in (row, over)))
    measures, among = _measures(number, results), _scattering(results, row, over)
    return Above(row, over, measures, f"{row} over {over}", share, among=among)


def _scattering(results: Results, row: str, over: str) -> tuple[str, ...]:
    """Whose spread counts: of one loss its rows, which go together; of two losses, which do not, the two rows alone."""
    of, other = (name.partition(" + ")[0] for name in (row, over))
    return tuple(name for name in results.rows if name.partition(" + ")[0] == of) if of == other else (row, over)


def _pooled(number: int, results: Results, beta: float) -> Above:
    """The mean over losses that one might add IAM to, of which these six are a sample."""
    each = [_with_iam(number, results, name, beta) for name in OTHERS]
    shares = [claim.printed for claim in each if claim.printed is not None]
    return Above(
        tuple(named(name, beta) for name in OTHERS),
        OTHERS,
        _measures(number, results),
        f"IAM with β = {beta:g}, in the mean over losses",
        float(np.expm1(np.mean(np.log1p(shares)))) if len(shares) == len(each) else None,
        bases=len(OTHERS),
    )


def _item(number: int) -> Item:
    return Item(
        "IAM",
        f"Table {number}",
        notebook=f"iam/table{number}",
        parameters=PARAMETERS,
        rows=rows,
        seeds=FIVE_SEEDS,
        claims=partial(claims, number),
        explored=partial(explored, number),
        tabulate=ranks if number == 6 else None,
        reads=(RANK,) if number == 6 else (),
        beds={"glyphs": Bed(FIVE_SEEDS, ON_GLYPHS)},
    )


TABLE5, TABLE6 = _item(5), _item(6)
