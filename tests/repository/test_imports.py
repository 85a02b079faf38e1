"""Who imports whom: the contracts of pyproject.toml, and what comes along with an import."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bench import run_script
from support.places import DRIVER, ROOT

RUNTIME = sorted((DRIVER / "winogen" / "runtime").glob("*.py"))

# What comes along


def loaded(script: str) -> set[str]:
    """Names of all modules that a fresh process has loaded after this script."""
    result = run_script(f"import sys\n{script}\nprint(*sys.modules)", seconds=60)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def ours(modules: set[str]) -> set[str]:
    """Those of winogen, without its name."""
    return {m.removeprefix("winogen.") for m in modules if m.startswith("winogen.")}


def packages(modules: set[str]) -> set[str]:
    """Packages of others that these modules belong to."""
    found = {m.partition(".")[0] for m in modules}
    return found - sys.stdlib_module_names - {"winogen", "__main__"}


@pytest.fixture(scope="module")
def runtime() -> set[str]:
    """What is loaded with every module of the runtime."""
    names = [f"winogen.runtime.{path.stem}" for path in RUNTIME if path.stem != "__init__"]
    assert {"winogen.runtime.generator", "winogen.runtime.open"} < set(names)
    return loaded(f"import winogen.runtime, {', '.join(names)}")


def test_the_runtime_comes_without_the_rest(runtime):
    stages = {name.partition(".")[0] for name in ours(runtime)}
    assert stages == {
        "common", "cost", "network", "profiling", "program", "runtime", "target", "version",
    }  # fmt: skip
    network = {name for name in ours(runtime) if name.startswith("network")}
    # What a program names, and what the processor computes for it.
    known = {"colour", "graph", "locality", "sampling"}
    assert network == {"network", *(f"network.{name}" for name in known)}


def test_the_runtime_needs_what_a_board_has(runtime):
    """The dependencies of pyproject.toml that are no extra, and what they load themselves."""
    board = loaded("import pynq, numpy, PIL.Image, PIL.ImageOps, yaml")
    assert packages(runtime) <= packages(board)


def test_importing_winogen_costs_next_to_nothing():
    modules = loaded("import winogen")
    stages = {name.partition(".")[0] for name in ours(modules)}
    assert stages == {"common", "target", "version"}
    assert packages(modules) <= packages(loaded("import numpy, yaml"))


def test_commands_come_without_their_work():
    """What winogen --help shows needs neither pynq nor an extra."""
    modules = loaded("import winogen.cli.main as cli\ncli._parser()")
    assert not packages(modules) & {"pynq", "onnx", "matplotlib", "safetensors"}


# Contracts


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of a tree like this one."""
    script = "from importlinter.cli import lint_imports_command as lint; lint()"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, "--no-cache"],
        cwd=tree, capture_output=True, text=True, timeout=120, check=False,
        env={"PYTHONPATH": str(tree / "driver"), "COLUMNS": "200", "PATH": ""},
    )  # fmt: skip


#: By contract, an import that breaks it: in which module, and of what. Some hide in functions.
PLANTED = {
    "Imports go downhill only": ("common.text", "winogen.target.isa"),
    "No module is part of a circle": ("runtime.lock", "winogen.runtime.generator"),
    "The runtime needs neither": ("runtime.windows", "winogen.compiler.window"),
    "A network knows nothing": ("network.locality", "winogen.target.board"),
    "Emulated devices know nothing": ("emulation.device.bank", "winogen.program.parts"),
    "A board needs no extra": ("program.formats", "onnx"),
}


def test_the_contracts_hold():
    pytest.importorskip("importlinter")
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    for contract in PLANTED:
        assert f"{contract}" in result.stdout


def test_the_contracts_can_be_broken(tmp_path):
    pytest.importorskip("importlinter")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    python = shutil.ignore_patterns("__pycache__", "*.npz", "*.json")
    shutil.copytree(DRIVER / "winogen", tmp_path / "driver" / "winogen", ignore=python)
    for module, imported in PLANTED.values():
        path = tmp_path / "driver" / "winogen" / f"{module.replace('.', '/')}.py"
        path.write_text(f"{path.read_text()}\n\ndef planted():\n    import {imported}\n")
    result = lint(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    summary, _, details = result.stdout.partition("Broken contracts")
    for contract, (module, imported) in PLANTED.items():
        [verdict] = [line for line in summary.splitlines() if line.startswith(contract)]
        assert verdict.split()[-1] == "BROKEN", verdict
        if contract != "No module is part of a circle":  # of which the shortest cut is named
            assert f"winogen.{module} -> {imported}" in details


# Kinds of devices


def questions(source: str) -> Iterator[str]:
    """What code asks of the kind of an object: the classes, or the attributes it may have."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("isinstance", "issubclass"):
                kinds = node.args[1]
                classes = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
                yield from (ast.unparse(c) for c in classes)
            elif node.func.id in ("hasattr", "type"):
                yield ast.unparse(node)


@pytest.mark.parametrize("path", RUNTIME, ids=lambda path: path.stem)
def test_the_runtime_asks_for_no_kind_of_device(path):
    """A device says its traits (winogen.target.traits)."""
    assert set(questions(path.read_text())) <= {
        "Board", "Deadline", "HostStep", "Mapping", "OpenDevice", "Program", "str", "bytes",
        "type(error)", "hasattr(os, 'register_at_fork')", "Warning", "WinogenWarning",
        "DeprecationWarning", "tuple", "KeyboardInterrupt", "SystemExit",
    }  # fmt: skip


@pytest.mark.parametrize(
    "question",
    ["isinstance(device, EmulatedDevice)", "isinstance(x, (str, emulation.EmulatedCore))",
     "type(device) is EmulatedDevice", "hasattr(core, 'max_seconds')"],
)  # fmt: skip
def test_such_a_question_is_found(question):
    assert set(questions(f"def f():\n    return {question}")) - {"str"}
