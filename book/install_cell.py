"""The first code cell of every notebook: it installs this package where it is missing, as on Colab.

python book/install_cell.py     writes it into every notebook, with the address that _config.yml gives
"""

import json
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]

CELL = """\
# Where this notebook is opened alone, as on Colab, install the package that it belongs to.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("marginface") is None:
    source = os.environ.get("MARGINFACE_SOURCE") or "{address}"
    if not source:
        raise RuntimeError("set MARGINFACE_SOURCE to a clone of the project or to its address (git+https://…)")
    subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", source])"""


def install_cell() -> str:
    """The cell's source, with the repository's address if there is one."""
    url = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    return CELL.replace("{address}", f"git+{url}" if url else "")


def notebooks() -> list[Path]:
    return sorted(path for path in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def main() -> None:
    for path in notebooks():
        notebook = json.loads(path.read_text())
        first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
        first["source"] = install_cell().splitlines(keepends=True)
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
