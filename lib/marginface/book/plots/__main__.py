"""Save IAM Figure 2 of the recorded runs as a picture: python -m marginface.book.plots FILE"""

import sys

from marginface.book.papers.iam.mnist import FIGURE2
from marginface.book.plots import spheres, style


def main() -> None:
    style()
    if (found := FIGURE2.recorded()) is None:
        raise SystemExit("the runs are not recorded: make runs ONLY=iam/figure2")
    spheres({name: group[0] for name, group in found.runs.items()}).savefig(sys.argv[1])


if __name__ == "__main__":
    main()
