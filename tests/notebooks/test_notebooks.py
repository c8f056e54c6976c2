"""Every notebook: runs from the command line with profile=smoke, is well-formed, and runs alone as on Colab."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book"))

from install_cell import install_cell, notebooks  # noqa: E402

NAMES = [str(path.relative_to(ROOT / "notebooks").with_suffix("")) for path in notebooks()]


def papermill(notebook: str | Path, out: Path, *options: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "papermill", "--no-progress-bar", str(notebook), str(out), *options]
    environment = os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"} | variables
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", NAMES)
def test_smoke(name: str, tmp_path: Path, runs_folder: Path) -> None:
    """From the repository root; no cell may warn, and none of those that are shown may come out empty."""
    out = tmp_path / "out.ipynb"
    done = papermill(f"notebooks/{name}.ipynb", out, "-p", "profile", "smoke", cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    ran = nbformat.read(out, as_version=4)
    assert [o for cell in code(ran) for o in cell.outputs if o.output_type == "stream"] == []
    shown = "".join(o.get("data", {}).get("text/html", "") for cell in code(ran) for o in cell.outputs)
    assert "Verdict:" in shown
    assert not runs_folder.exists(), "a smoke run left a record"


def test_from_another_folder(tmp_path: Path, runs_folder: Path) -> None:
    notebook = ROOT / "notebooks" / "iam" / "table2.ipynb"
    done = papermill(notebook, tmp_path / "out.ipynb", "-p", "profile", "smoke", "-p", "seeds", "[0]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "not MNIST" in (tmp_path / "out.ipynb").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-p", "profile", "fast"], "unknown profile 'fast'"),
        (["-p", "sedes", "[0]"], "did you mean 'seeds'?"),
        (["-p", "seeds", "-1"], "seeds=-1 is not a list of whole numbers"),
        (["-p", "profile", "paper"], "set data_root or MARGINFACE_DATA"),
        (["-p", "profile", "paper", "-p", "data_root", "nowhere"], "'nowhere' (data_root) is not a folder"),
    ],
)
def test_bad_parameters_are_named(options: list[str], message: str, tmp_path: Path) -> None:
    done = papermill(ROOT / "notebooks/iam/table2.ipynb", tmp_path / "out.ipynb", *options, cwd=tmp_path, MARGINFACE_DATA="")
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_form(name: str) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    cells = code(notebook)
    assert notebook.cells[0].source.startswith("# ")
    assert cells[0].source == install_cell(), "run python book/install_cell.py"
    assert [cell.metadata.get("tags", []) for cell in cells].count(["parameters"]) == 1
    assert all(not cell.outputs and cell.execution_count is None for cell in cells), "committed with outputs"
    lines = [line for cell in cells for line in cell.source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) <= 60
    assert not any(line.startswith(("def ", "class ")) for line in lines), "logic belongs in lib/"


def test_no_two_notebooks_have_the_same_code() -> None:
    """jupyter-cache would take one for the other and show the first one's outputs on both pages."""
    sources = [tuple(cell.source for cell in code(nbformat.read(path, as_version=4))) for path in notebooks()]
    assert len(set(sources)) == len(sources)


def test_the_book_lists_every_notebook() -> None:
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    listed = {chapter["file"] for part in toc["parts"] for chapter in part["chapters"]}
    assert {f"notebooks/{name}" for name in NAMES} == {file for file in listed if file.startswith("notebooks/")}


def test_a_notebook_alone_installs_the_package(tmp_path: Path) -> None:
    """As on Colab: a Python that has torch and the rest but not this package, and one notebook in an empty folder.

    The package is installed from a local clone, into a virtual environment that sees the installed dependencies.
    """
    alone = tmp_path / "alone"
    alone.mkdir()
    python = _python_without_the_package(tmp_path / "venv")
    assert subprocess.run([python, "-c", "import marginface"], capture_output=True, cwd=alone).returncode == 1
    (alone / "table2.ipynb").write_bytes((ROOT / "notebooks/iam/table2.ipynb").read_bytes())
    runner = [str(python), "-m", "papermill", "--no-progress-bar", "table2.ipynb", "out.ipynb", "-k", "alone"]
    kernels = tmp_path / "jupyter" / "kernels" / "alone"
    kernels.mkdir(parents=True)
    launch = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernels / "kernel.json").write_text(json.dumps({"argv": launch, "display_name": "alone", "language": "python"}))
    # no dependencies and no build environment: nothing is downloaded ("0" is how pip spells --no-build-isolation)
    environment = os.environ | {"JUPYTER_PATH": str(tmp_path / "jupyter"), "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}

    environment["MARGINFACE_SOURCE"] = ""
    refused = subprocess.run([*runner, "-p", "profile", "smoke"], cwd=alone, env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "MARGINFACE_SOURCE" in refused.stderr

    environment["MARGINFACE_SOURCE"] = str(ROOT)
    done = subprocess.run([*runner, "-p", "seeds", "[0]"], cwd=alone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "recorded runs" in (alone / "out.ipynb").read_text(), "the installed package brings the records along"
    where = subprocess.run(
        [python, "-c", "import marginface; print(marginface.__file__)"], capture_output=True, text=True, cwd=alone
    )
    assert str(tmp_path / "venv") in where.stdout


def _python_without_the_package(folder: Path) -> Path:
    """A virtual environment that sees this one's packages, but not the editable install of this project."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    ours = Path(sys.prefix) / site.relative_to(folder)
    for entry in ours.iterdir():
        if "marginface" not in entry.name and not (entry.suffix == ".pth" and str(ROOT) in entry.read_text()):
            (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python"
