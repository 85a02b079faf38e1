"""The documentation: generated pages are current, links resolve, commands and examples work."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.examples import examples
from support.places import ROOT, RTL
from winogen.cli import main as cli
from winogen.compiler.fold import fold
from winogen.network.definition import RandomParameters, load_definition
from winogen.target import isadoc
from winogen.target.microarchitecture import LOGIC

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = ROOT / "docs"
#: READMEs that are pages of the site, besides those of docs/.
READMES = ("hw_src/README.md", "overlay/README.md", "training/README.md")
GUIDES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = sorted([*(ROOT / name for name in (*GUIDES, *READMES)), *DOCS.rglob("*.md")])
NAMES = [str(p.relative_to(ROOT)) for p in PAGES]

_FENCE = re.compile(r"^ *```(?P<info>[^\n`]*)\n(?P<body>.*?)^ *```$", re.M | re.S)


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Info string and text of every fenced code block."""
    for match in _FENCE.finditer(page.read_text()):
        yield match["info"].strip(), match["body"]


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(page), re.M):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while (unique := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(unique)
    return found


def commands(page: Path) -> Iterator[list[str]]:
    """Words of every winogen command in a code block, from ``winogen`` or a module of it on."""
    for info, body in blocks(page):
        if info.startswith(("python", "yaml", "mermaid")):
            continue
        for line in body.replace("\\\n", " ").splitlines():
            if not re.search(r"(^|[\s/])winogen[. ]", line):
                continue
            command: list[str] = []
            for word in [*shlex.split(line.lstrip(" $"), comments=True), ";"]:
                if word not in ("|", ">", "&&", ";"):
                    command.append(word)
                    continue
                if len(command) > 2 and command[1] == "-m":  # python -m winogen
                    command = command[2:]
                if command and re.fullmatch(r"winogen(\.\w+)?", Path(command[0]).name):
                    yield [Path(command[0]).name, *command[1:]]
                command = []


# --- generated pages -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", isadoc.PAGES)
def test_generated_pages_are_current(name):
    path = DOCS / "reference" / name
    current = path.read_text() if path.exists() else ""
    assert current == isadoc.PAGES[name](), (
        f"{path.relative_to(ROOT)} is out of date: run {isadoc.COMMAND}"
    )


def test_the_generator_writes_its_pages_and_nothing_else(tmp_path):
    assert isadoc.main([str(tmp_path)]) == 0
    written = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert written == {name: page() for name, page in isadoc.PAGES.items()}


def test_the_generator_says_what_it_cannot_write(tmp_path, capsys):
    assert isadoc.main([str(tmp_path / "missing")]) == 2
    assert "folder" in capsys.readouterr().err


# --- links and names -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_resolve(name):
    page = ROOT / name
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        anchored = not anchor or (file.suffix == ".md" and file.exists())
        if not file.exists() or not anchored or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize(
    "folder", [DOCS, DOCS / "project" / "decisions"], ids=["docs", "decisions"]
)
def test_every_page_is_in_the_index(folder):
    """The decision records have an index of their own, which is a page of the other one."""
    index = (folder / "README.md").read_text()
    found = folder.glob("[0-9]*.md") if folder != DOCS else DOCS.rglob("[!0-9]*.md")
    pages = {str(p.relative_to(folder)) for p in found} - {"README.md", "index.md"}
    assert pages
    assert not [page for page in pages if f"]({page})" not in index]


def test_decisions_have_numbers_and_all_parts():
    records = sorted((DOCS / "project" / "decisions").glob("[0-9]*.md"))
    for number, record in enumerate(records, 1):
        title, *parts = re.findall(r"^#+ (.+)$", record.read_text(), re.M)
        assert record.name.startswith(f"{number:03}-")
        assert title.startswith(f"{number:03}. ")
        assert parts == ["Context", "Decision", "Consequences"]


def test_packages_are_in_the_floor_plan():
    """In the order of the import contract, whose last line is the floor plan's first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["id"] == "layers")
    text = (DOCS / "design" / "architecture.md").read_text()
    section = text[text.index("## Packages") : text.index("## How a layer")]
    rows = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`.+?) \|", section, re.M)]
    assert rows == [[p.strip() for p in layer.split("|")] for layer in reversed(layers)]
    headings = re.findall(r"^### `(\w+)`$", section, re.M)
    assert headings == [package for row in rows for package in row]


@pytest.mark.parametrize("name", NAMES)
def test_tests_that_are_named_exist(name):
    missing = []
    for file, function in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", prose(ROOT / name)):
        path = ROOT / file
        if not path.exists() or (function and f"def {function}(" not in path.read_text()):
            missing.append(f"{file}::{function}")
    assert not missing


@pytest.mark.parametrize("name", NAMES)
def test_source_files_that_are_named_exist(name):
    folders = [ROOT, ROOT / "driver" / "winogen", (ROOT / name).parent]
    named = re.findall(r"`([\w/.-]+\.py|driver/[\w/.-]+)`", prose(ROOT / name))
    missing = [f for f in named if not any((folder / f).exists() for folder in folders)]
    assert not set(missing) - {"fasm2frames.py", "bbaexport.py"}  # of the open flow's tools


def defined(name: str) -> bool:
    """Whether a dotted name is a module, or what a module has."""
    try:
        if importlib.util.find_spec(name):
            return True
    except ModuleNotFoundError:  # what is before the last dot is no package
        pass
    module, _, attribute = name.rpartition(".")
    if not module or not defined(module):
        return False
    reason = f"{module} needs an extra that is not installed"
    return hasattr(pytest.importorskip(module, reason=reason, exc_type=ImportError), attribute)


# A changelog also names what is no more.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "CHANGELOG.md"])
def test_python_names_exist(name):
    named = re.findall(r"`(?:python -m )?(winogen(?:\.\w+)+)", prose(ROOT / name))
    files = ("winogen.bit", "winogen.hwh", "winogen.v", "winogen.org")  # and the vendor of the IP
    assert [n for n in named if n not in files and not defined(n)] == []


def test_modules_of_the_logic_are_listed():
    """Each in the part of its folder, and the names in the life of a tile are in the logic."""
    text = (DOCS / "design" / "hardware.md").read_text()
    table = text[text.index("## Modules") : text.index("## The life of one tile")]
    folder, listed = "", set()
    for name in re.findall(r"^\| (?:\*\*)?`([\w/]+)`", table, re.M):
        if name.endswith("/"):
            folder = name
        else:
            listed.add(f"{folder}{name}")
    files = {p.relative_to(RTL).with_suffix("") for p in [*RTL.rglob("*.sv"), *RTL.rglob("*.v")]}
    assert listed == {p.as_posix() for p in files}
    life = text[text.index("## The life of one tile") : text.index("## Engines, tokens")]
    logic = "\n".join(p.read_text() for p in RTL.rglob("*.sv"))
    signals = re.findall(
        r"`([a-z]\w+)(?:\.\w+)?`", "".join(re.findall(r"^\| [-0-9].*$", life, re.M))
    )
    missing = [s for s in signals if not re.search(rf"\b{s}\b", logic)]
    assert signals
    assert not missing


def test_depths_of_queues_are_those_of_the_logic():
    text = (DOCS / "design" / "hardware.md").read_text()
    section = text[
        text.index("## Engines, tokens and queues") : text.index("## Adding a layer type")
    ]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| ?(.*?) ?\|?$", section, re.M)
    depths = {
        first: int(re.findall(r"\d+", second)[0])
        for first, second, *_ in rows
        if second[:1].isdigit()
    }
    assert depths == {
        "`wg_fetch`, in its reader": LOGIC.fetch_fifo_beats,
        "`wg_issue`, queue": LOGIC.queue_depth,
        "`wg_issue`, in flight": LOGIC.in_flight,
        "`wg_load`": LOGIC.load_ahead,
        "`wg_tap_transform`": LOGIC.tap_slots,
        "`wg_compute`": LOGIC.compute_ahead,
        "`wg_patch_buffer`": LOGIC.patch_slots,
        "`wg_accumulators`": 2,
        "`wg_store`": LOGIC.store_queue_words,
        "`wg_store`, instructions": LOGIC.store_in_flight,
    }
    ports = {
        first: tuple(map(int, re.findall(r"\d+", f"{third} {fourth}")))
        for first, _, third, fourth in rows
        if "m_axi" in first
    }
    assert ports == {
        "`m_axi_rd_*`": (LOGIC.outstanding, LOGIC.load_fifo_beats),
        "`m_axi_if_*`": (LOGIC.fetch_outstanding, LOGIC.fetch_fifo_beats),
        "`m_axi_wr_*`": (LOGIC.outstanding,),
    }


# --- commands and examples -----------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_commands_are_understood(name, capsys):
    for program, *arguments in commands(ROOT / name):
        if program != "winogen":
            assert importlib.util.find_spec(program), f"{name}: there is no module {program}"
            continue
        try:
            cli._parser().parse_args(arguments)
        except SystemExit as stop:
            text = capsys.readouterr().err
            assert not stop.code, f"{name}: winogen {shlex.join(arguments)}: {text}"


def test_commands_are_found():
    """The pages do show commands, so the test above looks at something."""
    shown = {words[1] for page in PAGES for words in commands(page) if words[0] == "winogen"}
    assert shown >= {"compile", "run", "info", "models"}


@pytest.mark.parametrize("name", NAMES)
def test_yaml_examples_are_valid(name):
    for info, body in blocks(ROOT / name):
        data = yaml.safe_load(body) if info == "yaml" else None
        if isinstance(data, dict) and "layers" in data:
            assert fold(load_definition(body, RandomParameters(0)))


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """What runs them all, where there is one."""
    with examples(tmp_path_factory.mktemp("cache")) as all_of_them:
        yield all_of_them


@pytest.mark.parametrize("name", NAMES)
def test_python_examples_run(name, tmp_path, request):
    for number, (info, body) in enumerate(blocks(ROOT / name)):
        if info != "python":
            continue
        modules = ["pynq", "winogen.compilation.compile"]
        if "winogen.compression" in body:
            pytest.importorskip("torch", reason="training needs the package torch")
            modules.append("torch._dynamo")  # which its optimisers import
        folder = tmp_path / str(number)
        folder.mkdir()
        status, said = request.getfixturevalue("python").run(body, folder, modules)
        assert status == 0, f"{name}: {body}\n{said}"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("print(__name__)", 0, "__main__\n"),
        ("import os; open('here', 'w'); print(os.listdir())", 0, "here"),
        ("right = 1\nwrong", 1, "line 2, in <module>\nNameError"),
        ("import atexit; atexit.register(print, 'at the end')", 0, "at the end\n"),
        ("assert 'right' not in globals()", 0, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import support", 1, "No module named 'support'"),
    ],
)
def test_an_example_that_fails_is_told(body, status, said, python, tmp_path):
    """Each is a program of its own, in a folder of its own, that has winogen and no tests."""
    seen = python.run(body, tmp_path)
    assert seen[0] == status and said in seen[1]
