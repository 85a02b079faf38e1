"""The documentation as a site: it builds without a warning, is whole, and asks no other host."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest

import winogen
from support.places import ROOT, TESTS
from winogen.cli.board_kit import SUITE

DOCS = ROOT / "docs"
#: Folders whose pages the site has besides docs/.
ELSEWHERE = ("hw_src", "notebooks", "overlay", "training")
#: What a browser fetches by itself when a page is opened.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


def build(
    out: Path, *options: str, root: Path = ROOT, whole: bool = False
) -> subprocess.CompletedProcess[str]:
    """Build the site as docs/README.md says, in a process of its own.

    Only the ``whole`` one has what Sphinx and its theme add to every page.
    """
    sphinx = ("-m", "sphinx") if whole else (str(TESTS / "support" / "quick_site.py"),)
    command = [
        *(sys.executable, *sphinx, "-W", "--keep-going", "-q", *options),
        *("-c", str(root / "docs"), "-d", str(out / "trees"), str(root), str(out / "html")),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


class Page(HTMLParser):
    """Links, anchors and whatever the browser fetches by itself, of one HTML page."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.update(filter(None, (values.get("id"), values.get("name"))))
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if values.get(FETCHED.get(tag, "")):
            self.fetched.append(values[FETCHED[tag]])


# --- the site ------------------------------------------------------------------------------------


@pytest.mark.parametrize("notebooks", ["off", pytest.param("auto", marks=pytest.mark.long)])
def test_the_site(notebooks, tmp_path):
    """One test for all, since distributed tests would each build a site of their own.

    Whether each notebook runs, and what it shows, test_notebooks.py says.
    """
    whole = notebooks != "off"
    done = build(tmp_path, "-D", f"nb_execution_mode={notebooks}", whole=whole)
    assert done.returncode == 0, done.stderr
    site = tmp_path / "html"
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    check_every_page(site)
    check_links(site, pages)
    check_hosts(site, pages)
    check_generated(site)
    if whole:
        check_notebooks(site)


def check_every_page(site: Path) -> None:
    """All of docs/ and what it links to; Sphinx itself objects to one in no table of contents."""
    made = {p.relative_to(site / "docs") for p in (site / "docs").rglob("*.html")}
    written = {p.relative_to(DOCS).with_suffix(".html") for p in DOCS.rglob("*.md")}
    assert made == written - {Path("README.html")}
    for guide in ("CONTRIBUTING", "CHANGELOG"):
        assert (site / f"{guide}.html").is_file()
    for folder in ELSEWHERE:
        written = {p.stem for s in ("*.ipynb", "README.md") for p in (ROOT / folder).glob(s)}
        assert {p.stem for p in (site / folder).glob("*.html")} == written


def check_links(site: Path, pages: dict[Path, Page]) -> None:
    """Every link within the site leads to a page, and every anchor to a place there."""
    broken = []
    for path, page in pages.items():
        for link in page.links:
            target, anchor = urldefrag(urljoin(path.as_uri(), link))
            if urlparse(target).scheme != "file":
                continue
            file = Path(unquote(urlparse(target).path))
            if not file.is_file() or (anchor and unquote(anchor) not in pages[file].ids):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert not broken


def check_hosts(site: Path, pages: dict[Path, Page]) -> None:
    """No page asks another host for anything when it is opened."""
    asked = [
        f"{path.name}: {link}"
        for path, page in pages.items()
        for link in page.fetched
        if urlparse(link).netloc
    ]
    for path in (*site.rglob("*.css"), *pages):  # pages have styles of their own, in diagrams
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\s\"')]+)", text)
        asked += [f"{path.name}: {link}" for link in found]
    assert not asked


def check_generated(site: Path) -> None:
    """The interface and the commands are there, docstrings as fields and diagrams drawn."""
    api = (site / "docs" / "reference" / "api.html").read_text(encoding="utf-8")
    assert not [name for name in winogen.__all__ if f"winogen.{name}" not in api]
    assert 'id="winogen.Generator.generate"' in api
    assert "<strong>progress</strong>: called with the number of inputs done so far" in api
    commands = (site / "docs" / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert 'id="winogen-overlay-report"' in commands
    assert "<kbd>--calib-seed</kbd>" in commands
    hardware = (site / "docs" / "design" / "hardware.html").read_text(encoding="utf-8")
    assert '<svg id="diagram-' in hardware


def check_notebooks(site: Path) -> None:
    """They were run as the site was built."""
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        page = (site / "notebooks" / notebook.name).with_suffix(".html")
        assert re.search(r'<img [^>]*src="\.\./_images/\w+\.png"', page.read_text(encoding="utf-8"))


def test_what_is_wrong_ends_the_build(tmp_path):
    """The settings let no warning pass: a site of one wrong page does not build."""
    copy = tmp_path / "docs"
    for name in ("_ext", "_static", "_templates"):
        shutil.copytree(DOCS / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(DOCS / "conf.py", copy)
    (copy / "index.md").write_text(
        "# Wrong\n\n[anchor](#nowhere) [page](nowhere.md)\n\n"
        "```mermaid\nflowchart LR\n a -->\n```\n\n"
        "```{eval-rst}\n.. autofunction:: winogen.nothing\n```\n"
    )
    (copy / "lonely.md").write_text("# In no table of contents\n")
    done = build(tmp_path / "out", root=tmp_path)
    assert done.returncode == 1
    for problem in (
        "'myst' cross-reference target not found: 'nowhere'",
        "'myst' cross-reference target not found: 'nowhere.md'",
        "mermaid: Mermaid rendering failed",
        "'nothing'",
        "document isn't included in any toctree",
    ):
        assert problem in done.stderr


# --- troubleshooting -----------------------------------------------------------------------------

TROUBLES = DOCS / "use" / "troubleshooting.md"
#: Modules whose messages a section quotes, where they are not winogen's alone; our tests' are
#: those that a kit takes to a board.
QUOTED = {
    "Building an overlay": ["winogen", "vivado"],
    "Messages of pynq": ["pynq"],
    "Kits and tests for a board": ["winogen", "_pytest", "argparse", "tests"],
}
_VALUE = "\0"  # what a message says of this case
_PLACE = re.compile(r"\{[^{}]*\}|%[a-z]")  # where str.format and the operator % put a value


def sources(module: str) -> list[Path]:
    """The Python files of a module; the scripts of the overlays' builds are one too."""
    if module == "vivado":
        return sorted((ROOT / "overlay" / "vivado").glob("*.tcl"))
    if module == "tests":
        return [TESTS / name for name in SUITE]
    spec = importlib.util.find_spec(module)
    assert spec and spec.origin
    origin = Path(spec.origin)
    return sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]


@cache
def texts(module: str) -> str:
    """Every text of a module's files, a line each."""
    return "\n".join(text for path in sources(module) for text in messages(path))


def messages(path: Path) -> Iterator[str]:
    """Every text of a file but its docstrings, with a mark where a value is put in."""
    if path.suffix == ".tcl":
        whole = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
        for text in re.findall(r'"(.*?)"', whole):
            yield re.sub(r"\[[^\]]*\]|\$\w+", _VALUE, text)
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in set(ast.walk(tree)) - docstrings:
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else _VALUE for p in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield _PLACE.sub(_VALUE, node.value)


def listed() -> dict[str, list[str]]:
    """The messages of the tables, by section; ``...`` is where a value is put in."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in TROUBLES.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("| `"):
            found.setdefault(section, []).extend(re.findall(r"`([^`]+)`", line.split(" | ")[0]))
    return found


@pytest.mark.parametrize("section", listed())
def test_listed_messages_exist(section):
    """The tables quote what the sources say, so they cannot outlive them."""
    known = "\n".join(texts(module) for module in QUOTED.get(section, ["winogen"]))
    patterns = {m: ".+".join(map(re.escape, m.split("..."))) for m in listed()[section]}
    assert patterns
    assert not [message for message, pattern in patterns.items() if not re.search(pattern, known)]
