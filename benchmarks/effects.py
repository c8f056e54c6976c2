"""Whether the method that judges differences between trainings keeps what it promises, on many simulated experiments.

    python benchmarks/effects.py                       300 experiments of each kind for 3, 5, 10 and 20 seeds; two minutes
    python benchmarks/effects.py --repeats 2000        a quarter of an hour

First the spreads of the recorded runs, in logarithms of errors, beside those of the simulated ones: between runs of one row,
without what a common seed does to all rows, of one run over people, of the difference of two rows over people, and of
what is peculiar to a run on its people. Then how often 95 % intervals hold the truth, how many families of claims err, where
none holds (at most 5 %) and where every printed size is the true one (at most 5 %), and how often what would be shown with
80 % is.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from marginface.book.errors import deciding, error, influence
from marginface.book.items import Results
from marginface.book.papers import ITEMS
from marginface.book.simulation import Design, runs_of, study

Floats = NDArray[np.float64]


def spreads(logs: Floats, influences: Floats) -> tuple[float, ...]:
    """Standard deviations in percent, from what runs have (R, S) and what their people add (R, S, G)."""
    R, S = logs.shape
    rest = logs - logs.mean(axis=1, keepdims=True) - logs.mean(axis=0) + logs.mean()
    against_first = influences[1:] - influences[0]
    peculiar = against_first.var(axis=1, ddof=1).sum(axis=1)
    common = (against_first.mean(axis=1) ** 2).sum(axis=1) - peculiar / S
    variances = (
        logs.var(axis=1, ddof=1).mean(),
        (rest**2).sum() / ((R - 1) * (S - 1)),
        (influences**2).sum(axis=2).mean(),
        max(common.mean(), 0.0),
        peculiar.mean(),
    )
    return tuple(100 * float(variance) ** 0.5 for variance in variances)


def recorded(results: Results) -> Iterator[tuple[str, tuple[float, ...]]]:
    """The spreads on every test of a page."""
    groups = list(results.compared.values())
    for test in results.tests:
        measure = deciding(test, [run for group in groups for run in group])
        logs = np.array([[np.log(error(run, measure)) for run in group] for group in groups])
        known = [[influence(run, measure) for run in group] for group in groups]
        moved = [[each[1] for each in group if each is not None] for group in known]
        if [len(group) for group in moved] == [len(group) for group in groups]:
            yield test, spreads(logs, np.array(moved))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=300)
    repeats = parser.parse_args().repeats
    print(f"{'spreads, % of errors':40}{'runs':>8}{'residual':>10}{'people':>8}{'differ':>8}{'peculiar':>10}")
    line = "{:40}{:8.1f}{:10.1f}{:8.1f}{:8.1f}{:10.1f}".format
    for item in ITEMS:
        if item.rows is not None and (results := item.recorded()) is not None:
            for test, found in recorded(results):
                print(line(f"{item.paper}, {item.name}: {test}", *found))
    design, numbers = Design(seeds=10), np.random.default_rng(0)
    simulated = [spreads(*runs_of(design, np.zeros(design.rows), numbers)) for _ in range(20)]
    print(line("simulated", *np.mean(simulated, axis=0)))
    print(f"\n{'':12}{'intervals':>12}{'wrong':>9}{'excluded':>10}{'would show':>12}{'power':>8}")
    for seeds in (3, 5, 10, 20):
        kept = study(Design(seeds=seeds), repeats, seed=seeds)
        shares = f"{kept.coverage:12.1%}{kept.wrong:9.1%}{kept.excluded:10.1%}"
        print(f"{seeds:3} seeds   {shares}{-np.expm1(-kept.stated):12.1%}{kept.power:8.1%}", flush=True)


if __name__ == "__main__":
    main()
