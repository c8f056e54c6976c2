"""Save IAM Figure 2 of the recorded runs as a picture: python -m marginface.book.plots FILE"""

import sys

from marginface.book import runs
from marginface.book.papers.iam import mnist
from marginface.book.plots import spheres, style


def main() -> None:

    style()
    found = runs.recorded(mnist.recipes(mnist.table2_rows()), mnist.SEEDS[:1])
    if found is None:
        raise SystemExit("the runs are not recorded: make runs ONLY=iam/figure2")
    spheres({name: group[0] for name, group in found.items()}).savefig(sys.argv[1])


if __name__ == "__main__":
    main()
