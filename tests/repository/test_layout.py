"""The tests' own order: folders as the packages are, and no test module that another needs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePath

import pytest

from support.places import DRIVER, TESTS
from support.tiers import SLOW, is_quick

MODULES = sorted(TESTS.rglob("*.py"))
#: What tests may import of this folder; all else is theirs alone.
SHARED = ("support", "fakes")
#: cocotb tests that a simulation loads by name.
COCOTB = {"cocotb_wg_axi"}


def imported(text: str) -> Iterator[str]:
    """Modules that a source imports, those of code in strings too."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and "import " in str(node.value):
            with suppress(SyntaxError):  # a sentence, or a part of something
                yield from imported(str(node.value))


def private(path: Path) -> bool:
    return path.relative_to(TESTS).parts[0] not in SHARED


def others(text: str) -> list[str]:
    """Test modules that a source imports."""
    names = {path.stem for path in MODULES if private(path) and path.stem != "conftest"} - COCOTB
    return [name for name in imported(text) if names & set(name.split("."))]


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path != Path(__file__)],  # this one has examples
    ids=lambda path: str(path.relative_to(TESTS)),
)
def test_no_module_imports_a_test(path):
    assert others(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    ["from test_isa import FIELDS", "import test_isa", "from tests.unit.target import test_isa",
     "from unit.target.test_isa import x", "SCRIPT = 'from test_isa import FIELDS'",
     "def f():\n    import test_isa as t"],
)  # fmt: skip
def test_an_import_of_a_test_is_seen(text):
    assert others(text)


def test_what_is_shared_is_no_test():
    assert others("from support.bench import small\nfrom fakes import core\nimport numpy") == []
    for folder in SHARED:
        assert not [*(TESTS / folder).rglob("test_*.py")]


def test_unit_tests_are_laid_out_as_the_packages_are():
    """Each folder with tests is a package of winogen, and each package with code has one."""
    unit = TESTS / "unit"
    there = {path.parent.relative_to(unit) for path in unit.rglob("test_*.py")}
    driver = DRIVER / "winogen"
    packages = {path.parent.relative_to(driver) for path in driver.rglob("__init__.py")}
    assert there <= packages
    assert {p.parts[0] for p in there} == {p.parts[0] for p in packages if p.parts}


def test_modules_are_found_by_pytest():
    """What is neither called test_* nor shared would never run: scripts, and cocotb's tests."""
    families = {"make_pictures", "make_latents", "make_blocks", "make_tensorflow"}
    scripts = {"conftest", "coverage", "make_torch", "make_keras", "cocotb_open", *COCOTB}
    lost = [p for p in MODULES if private(p) and not p.stem.startswith("test_")]
    assert {p.stem for p in lost} <= scripts | families


@pytest.mark.parametrize("name", SLOW)
def test_what_the_quick_tier_leaves_out_is_there(name):
    path, _, function = name.partition("::")
    assert f"def {function}(" in (TESTS / path).read_text() if function else (TESTS / path).exists()


@pytest.mark.parametrize(
    ("path", "name", "quick"),
    [
        ("unit/target/test_isa.py", "test_fields_do_not_overlap", True),
        ("unit/target/test_rtlgen.py", "test_the_package", True),
        ("devices/test_conformance.py", "test_every_layer[emulator-linear]", True),
        ("devices/test_conformance.py", "test_every_layer[machine-linear]", False),
        ("devices/test_conformance.py", "test_every_mode[machine-linear-auto]", True),
        ("devices/test_conformance.py", "test_every_layer[emulator-add]", True),
        ("devices/test_conformance.py", "test_odd_sizes[machine-3]", False),
        ("devices/test_conformance.py", "test_every_layer[rtl-linear]", False),
        ("devices/test_board_run.py", "test_no_bitstream", False),
        ("unit/compiler/test_schedule.py", "test_the_zoo[digits-8]", False),
        ("rtl/core/test_errors.py", "test_bad_streams[smooth]", False),
        ("flows/test_kit.py", "test_a_kit", False),
    ],
)
def test_the_quick_tier(path, name, quick):
    assert is_quick(PurePath(path), name) is quick
