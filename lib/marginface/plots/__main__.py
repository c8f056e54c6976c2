"""Save IAM Figure 2 of the recorded runs as a picture: python -m marginface.plots FILE"""

import sys

from marginface import runs
from marginface.papers import iam
from marginface.plots import spheres, style


def main() -> None:

    style()
    found = runs.recorded(iam.recipes(iam.table2_rows()), iam.SEEDS[:1])
    if found is None:
        raise SystemExit("the runs are not recorded: make runs ONLY=iam/figure2")
    spheres({name: group[0] for name, group in found.items()}).savefig(sys.argv[1])


if __name__ == "__main__":
    main()
