"""Every notebook: runs from the command line with profile=smoke, is well-formed, and runs alone as on Colab."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book"))

from _ext.marginface_book import complete  # noqa: E402
from install_cell import install_cell, notebooks  # noqa: E402

WITHOUT_PATH = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
COMPARING = ("angles", "field/printed", "field/start")  # set runs side by side, and judge nothing
NAMES = [str(path.relative_to(ROOT / "notebooks").with_suffix("")) for path in notebooks()]


def papermill(notebook: str | Path, out: Path, *options: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "papermill", "--no-progress-bar", str(notebook), str(out), *options]
    environment = os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"} | variables
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KernelManager, Path]]:
    """A kernel in the repository's root for one notebook after the other, and where it would leave records.

    To start one for each takes longer than most notebooks do; the book's build does it.
    """
    records = tmp_path_factory.mktemp("kernel") / "runs"
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(ROOT), env=os.environ | {"MARGINFACE_RUNS": str(records)})
    yield manager, records
    manager.shutdown_kernel(now=True)


def run(name: str, manager: KernelManager, parameters: dict[str, object], data: str | None = None) -> nbformat.NotebookNode:
    """A notebook with its outputs, in a kernel that forgets the one before; `data` stands for MARGINFACE_DATA."""
    root = os.environ.get("MARGINFACE_DATA", "") if data is None else data
    notebook = parameterize_notebook(load_notebook_node(str(ROOT / "notebooks" / f"{name}.ipynb")), parameters)
    forget = f"%reset -f\nIn[:] = ['']\nimport os\nos.environ['MARGINFACE_DATA'] = {root!r}\ndel os"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(forget))
    client = NotebookClient(notebook, km=manager, timeout=None)
    try:
        client.execute()
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
    return notebook


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_smoke(name: str, kernel: tuple[KernelManager, Path]) -> None:
    """With the parameter set as papermill does; no cell may warn, and none of those that are shown may come out empty."""
    manager, records = kernel
    ran = run(name, manager, {"profile": "smoke"})
    assert [o for cell in code(ran) for o in cell.outputs if o.output_type == "stream"] == []
    shown = "".join(o.get("data", {}).get("text/html", "") for cell in code(ran) for o in cell.outputs)
    assert ("<table" if name in COMPARING else "Verdict:") in shown
    assert not records.exists(), "a smoke run left a record"


@pytest.mark.slow
def test_from_another_folder(tmp_path: Path, runs_folder: Path) -> None:
    notebook = ROOT / "notebooks" / "iam" / "table2.ipynb"
    done = papermill(notebook, tmp_path / "out.ipynb", "-p", "profile", "smoke", "-p", "seeds", "[0]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "not MNIST" in (tmp_path / "out.ipynb").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"profile": "fast"}, "unknown profile 'fast'"),
        ({"sedes": [0]}, "did you mean 'seeds'?"),
        ({"seeds": -1}, "seeds=-1 is not a list of whole numbers"),
        ({"profile": "paper"}, "set data_root or MARGINFACE_DATA"),
        ({"profile": "paper", "data_root": "nowhere"}, "'nowhere' (data_root) is not a folder"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, object], message: str, kernel: tuple[KernelManager, Path]) -> None:
    with pytest.raises(CellExecutionError, match=re.escape(message)):
        run("iam/table2", kernel[0], parameters, data="")


@pytest.mark.slow
def test_papermill_names_a_misspelt_parameter_and_fails(tmp_path: Path) -> None:
    done = papermill(ROOT / "notebooks/iam/table2.ipynb", tmp_path / "out.ipynb", "-p", "sedes", "[0]", cwd=tmp_path)
    assert done.returncode != 0
    assert "did you mean 'seeds'?" in done.stderr


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
    shown = [cell.source for cell in cells if cell.source in ("results.effects()", "results.table()")]
    if "/table" in f"/{name}" and len(shown) == 2:
        assert shown[0] == "results.effects()", "what is claimed comes first, drawn; then the table"


def test_no_two_notebooks_have_the_same_code() -> None:
    """jupyter-cache would take one for the other and show the first one's outputs on both pages."""
    sources = [tuple(cell.source for cell in code(nbformat.read(path, as_version=4))) for path in notebooks()]
    assert len(set(sources)) == len(sources)


def chapters(toc: dict[str, Any]) -> dict[str, list[str]]:
    return {part["caption"]: [chapter["file"] for chapter in part["chapters"]] for part in toc["parts"]}


def test_the_book_lists_every_notebook() -> None:
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    there = [f"notebooks/{name}" for name in NAMES]
    listed = [file for files in chapters(complete(toc, there)).values() for file in files if file.startswith("notebooks/")]
    assert sorted(listed) == there


def test_a_paper_that_is_not_in_the_table_of_contents_gets_a_part_before_the_audit() -> None:
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    told = chapters(complete(toc, ["notebooks/wide/table2", "notebooks/iam/table2", "notebooks/wide/table1"]))
    assert list(told)[list(told).index("wide") + 1] == "The audit"
    assert told["wide"] == ["notebooks/wide/table1", "notebooks/wide/table2"]
    assert {caption: files for caption, files in told.items() if caption != "wide"} == chapters(toc)


@pytest.mark.slow
def test_a_notebook_alone_installs_the_package(tmp_path: Path) -> None:
    """As on Colab: a Python that has torch and the rest but not this package, and one notebook in an empty folder.

    The package is installed from a local clone, into a virtual environment that sees the installed dependencies.
    """
    alone = tmp_path / "alone"
    alone.mkdir()
    python = _python_without_the_package(tmp_path / "venv")
    missing = subprocess.run([python, "-c", "import marginface"], cwd=alone, env=WITHOUT_PATH, capture_output=True)
    assert missing.returncode == 1
    (alone / "table2.ipynb").write_bytes((ROOT / "notebooks/iam/table2.ipynb").read_bytes())
    runner = [str(python), "-m", "papermill", "--no-progress-bar", "table2.ipynb", "out.ipynb", "-k", "alone"]
    kernels = tmp_path / "jupyter" / "kernels" / "alone"
    kernels.mkdir(parents=True)
    launch = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernels / "kernel.json").write_text(json.dumps({"argv": launch, "display_name": "alone", "language": "python"}))
    # no dependencies and no build environment: nothing is downloaded ("0" is how pip spells --no-build-isolation)
    environment = WITHOUT_PATH | {"JUPYTER_PATH": str(tmp_path / "jupyter"), "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}

    environment["MARGINFACE_SOURCE"] = ""
    refused = subprocess.run([*runner, "-p", "profile", "smoke"], cwd=alone, env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "MARGINFACE_SOURCE" in refused.stderr

    environment["MARGINFACE_SOURCE"] = str(ROOT)
    done = subprocess.run([*runner, "-p", "seeds", "[0]"], cwd=alone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "recorded runs" in (alone / "out.ipynb").read_text(), "the installed package brings the records along"
    where = subprocess.run(
        [python, "-c", "import marginface; print(marginface.__file__)"],
        capture_output=True,
        text=True,
        cwd=alone,
        env=WITHOUT_PATH,
    )
    assert str(tmp_path / "venv") in where.stdout
    assert Path(where.stdout.strip()).with_name("py.typed").exists(), "the wheel tells type checkers to read our types"


def _python_without_the_package(folder: Path) -> Path:
    """A virtual environment that sees this one's packages, but not the editable install of this project."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    ours = Path(sys.prefix) / site.relative_to(folder)
    for entry in ours.iterdir():
        if "marginface" not in entry.name and not (entry.suffix == ".pth" and str(ROOT) in entry.read_text()):
            (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python"
