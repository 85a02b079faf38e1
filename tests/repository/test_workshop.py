"""The workshop: CI, the task runner, hooks and guides say the same of how a change is made."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.places import ROOT, TESTS
from winogen.version import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOXFILE = ast.parse((ROOT / "noxfile.py").read_text())
CI = (ROOT / ".ci" / "run").read_text()
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def constant(name: str) -> Any:
    """A constant of noxfile.py, which is read and not run: the tests do not need nox."""
    for node in NOXFILE.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise LookupError(name)


def sessions() -> dict[str, ast.FunctionDef]:
    """The sessions of noxfile.py by name."""
    functions = [node for node in NOXFILE.body if isinstance(node, ast.FunctionDef)]
    decorated = [
        f for f in functions if any("nox.session" in ast.unparse(d) for d in f.decorator_list)
    ]
    return {f.name: f for f in decorated}


def requirements(extra: str) -> set[str]:
    """The packages of an extra of pyproject.toml, and of those that it is made of."""
    found: set[str] = set()
    for line in PYPROJECT["project"]["optional-dependencies"][extra]:
        if nested := re.fullmatch(r"winogen\[([\w,]+)\]", line):
            found |= set().union(*(requirements(name) for name in nested[1].split(",")))
        else:
            found |= set(re.findall(r"^[\w-]+", line))
    return found


# --- stages --------------------------------------------------------------------------------------


def test_ci_calls_the_stages_in_order():
    called = re.findall(r"^stage (\w+)", CI, re.M)
    assert tuple(called) == constant("STAGES")
    assert set(called) <= set(sessions())
    assert CI.index("set -euo pipefail") < CI.index("stage ")


def test_every_part_is_a_session_and_reads_its_own_paths():
    for name in constant("PARTS"):
        assert "part(session)" in ast.unparse(sessions()[name])


def test_parts_are_the_whole_suite():
    """Every test file is run by exactly one part, the one that names the most of its path."""
    parts = constant("PARTS")
    paths = [path for own in parts.values() for path in own]
    assert len(paths) == len(set(paths))
    assert [path for path in paths if not (ROOT / path).exists()] == []
    files = {p.relative_to(ROOT) for p in TESTS.rglob("test_*.py")}
    found = {f for f in files if any(f.is_relative_to(path) for path in paths)}
    assert files == found


def test_the_other_generation_of_pynq():
    """It is another one than CI's own, and runs what there is."""
    text = ast.unparse(sessions()["pynq3"])
    assert "*PYNQ" in text and "PYNQ3" in text and "NOT_PYNQ" in text
    named = constant("PYNQ") + constant("NOT_PYNQ") + constant("BOARD_RUN")
    assert [path for path in named if not (ROOT / path).exists()] == []
    (own,) = re.findall(r"'(pynq==[\d.]+)'", CI)
    assert own.split(".")[0] != constant("PYNQ3").split(".")[0]


def test_the_stage_of_all_tests_is_the_readme_s_command():
    commands = [
        shlex.split(line)
        for line in re.findall(r"^python3 -m venv .*$", README, re.M)
        if "pytest" in line
    ]
    (command,) = commands
    assert tuple(command[command.index(".venv/bin/python") + 1 :]) == constant("PYTEST")
    assert "*PYTEST" in ast.unparse(sessions()["tests"])
    assert CI.rindex("stage tests") > CI.rindex("stage pynq3")


def test_the_readme_s_first_command_is_run_by_every_python():
    classifiers = "\n".join(PYPROJECT["project"]["classifiers"])
    pythons = constant("PYTHONS")
    assert tuple(re.findall(r"Python :: (3\.\d+)$", classifiers, re.M)) == pythons
    low, high = (tuple(map(int, v.split("."))) for v in (pythons[0], pythons[-1]))
    assert PYPROJECT["project"]["requires-python"] == (
        f">={low[0]}.{low[1]},<{high[0]}.{high[1] + 1}"
    )
    assert f"(Python {pythons[0]} to {pythons[-1]};" in README
    first = re.findall(r"^python3 -m venv .*$", README, re.M)[0].split(" && ")
    assert first[1] == ".venv/bin/pip install ."
    assert tuple(first[2].removeprefix(".venv/bin/").split()) == constant("FIRST")
    text = ast.unparse(sessions()["pythons"])
    assert "python=PYTHONS" in text and "session.run(*FIRST)" in text


def test_the_readme_names_the_quick_tier():
    markers = PYPROJECT["tool"]["pytest"]["ini_options"]["markers"]
    assert [m for m in markers if m.startswith("quick:")]
    assert "`-m quick`" in README
    assert "'-m', 'quick'" in ast.unparse(sessions()["quick"])


def test_the_readme_names_what_the_notebooks_need():
    """Jupyter, what a notebook imports beyond what winogen brings anyway, extras that it names."""
    (extras,) = re.findall(r"pip install '\.\[([\w,]+)\]'`\.", README)
    named = set().union(*(requirements(extra) for extra in extras.split(",")))
    imported: set[str] = set()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        wanted = re.findall(r"winogen\[([\w,]+)\]", path.read_text())
        assert set(",".join(wanted).split(",")) - {""} <= set(extras.split(",")), path.name
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                text = "".join(cell["source"])
                imported |= set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.M))
    imported -= {"winogen", "pynq", "numpy", "PIL", "yaml", "IPython", *sys.stdlib_module_names}
    assert imported == {"ipywidgets", "matplotlib", "onnx", "torch"}
    assert imported | {"jupyterlab"} <= named


# --- hooks ---------------------------------------------------------------------------------------


def test_hooks_run_what_the_stage_lint_runs():
    text = ast.unparse(sessions()["lint"])
    for hook in HOOKS:
        if hook["language"] == "system":
            program = next(w for w in hook["entry"].split() if w != "env" and "=" not in w)
            assert repr(program) in text, hook["id"]


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ("Short\n", "body"),
        ("Short\n\n# Please enter the message\n", "body"),
        ("x" * 72 + "\n\nWhy.\n", None),
        ("x" * 73 + "\n\nWhy.\n", "subject"),
        ("Merge branch 'a long name' " + "x" * 72 + "\n", None),
        ("Short\n\n" + "A body may have longer lines. " * 4 + "\n", None),
    ],
)
def test_messages_of_commits(message, refused):
    found = [
        hook["id"]
        for hook in HOOKS
        if hook["language"] == "pygrep"
        # As pre-commit's own pygrep does with --multiline.
        and re.search(hook["entry"].encode(), message.encode(), re.MULTILINE | re.DOTALL)
    ]
    assert found == ([refused] if refused else [])


# --- guides --------------------------------------------------------------------------------------


def test_paths_that_contributing_names_exist():
    """Every word in backquotes that has a slash or an ending is a path from the root."""
    words = re.findall(r"`([\w./*-]+)`", re.sub(r"```.*?```", "", CONTRIBUTING, flags=re.S))
    paths = [w for w in words if "/" in w or re.search(r"\.(py|md|sv|yaml|toml|cpp)$", w)]
    assert len(paths) > 30
    assert [p for p in paths if not any(Path(ROOT).glob(p.rstrip("/")))] == []


def test_sessions_that_contributing_names_exist():
    named = set(re.findall(r"nox -s (\w+)", CONTRIBUTING))
    assert set(constant("STAGES")) - {"pynq3"} <= named <= set(sessions())


def test_the_changelog_has_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[([^\]]+)\]", changelog, re.M)
    assert versions[0] == "Unreleased" and versions[1] == __version__
    kinds = set(re.findall(r"^### (.+)$", changelog, re.M))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
