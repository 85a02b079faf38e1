"""A pynq that lacks something: one sentence that says what to install, from every way in."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from support.places import DRIVER, ROOT

#: As ``pip install torch`` leaves an environment; a module that is missing; libraries that clash.
BROKEN = {
    "pkg_resources": (
        "sys.modules['pkg_resources'] = None",
        "it needs pkg_resources, which newer setuptools do not have (another package, as torch, "
        "may have brought them); pip install 'setuptools<81'",
    ),
    "pynqmetadata": (
        "sys.modules['pynqmetadata'] = None",
        "No module named 'pynqmetadata.frontends'; 'pynqmetadata' is not a package; install "
        "winogen again, in an environment of its own",
    ),
    "a clash": (
        "import builtins; real = builtins.__import__\n"
        "def broken(name, *a, **k):\n"
        "    if name == 'pynq': raise ValueError('numpy.dtype size changed')\n"
        "    return real(name, *a, **k)\n"
        "builtins.__import__ = broken",
        "numpy.dtype size changed; install winogen again, in an environment of its own",
    ),
}
USES = {
    "command": "from winogen.cli.main import main\n"
    "sys.exit(main(['run', 'digits', '--board', 'tiny', '-n', '1', '-o', sys.argv[1]]))",
    "generator": "import winogen\n"
    "try: winogen.Generator\n"
    "except winogen.WinogenError as e: sys.exit(f'winogen: {e}')",
    "device": "from winogen.common.errors import WinogenError\n"
    "try: import winogen.emulation.device\n"
    "except WinogenError as e: sys.exit(f'winogen: {e}')",
}


#: Whatever is broken is found at one place: the command meets all of it, the others the first.
CASES = [
    pytest.param(broken, use, marks=() if "command" in use or not n else pytest.mark.long)
    for use in USES
    for n, broken in enumerate(BROKEN)
]


@pytest.mark.parametrize(("broken", "use"), CASES)
def test_one_sentence(broken, use, tmp_path):
    breaking, words = BROKEN[broken]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import sys\n{breaking}\n{USES[use]}",
         str(tmp_path / "a.png")],
        env={"PYTHONPATH": str(DRIVER), "PATH": "/usr/bin:/bin",
             "SETUPTOOLS_USE_DISTUTILS": "stdlib"},
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert done.stderr == f"winogen: pynq cannot be imported: {words}\n"


def test_what_needs_no_device_works_without():
    breaking, _ = BROKEN["pkg_resources"]
    code = f"import sys\n{breaking}\nfrom winogen.cli.main import main\nsys.exit(main(['models']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(DRIVER)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_setuptools_are_bounded():
    """pip then keeps them, or says that another package wants newer ones.

    On a laptop they are new enough for torch: pip raises what is too old to the newest there is,
    whatever an installed package says of it. What builds winogen is bounded too: newer ones mean to
    refuse its metadata, which the setuptools of boards need as they are.
    """
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = text.partition("\ndependencies = [")[2].partition("\n]")[0]
    assert '\n    "setuptools<81",' in needed
    (low,) = re.findall(r'\n    "setuptools>=([\d.]+); ', needed)
    assert (77, 0, 3) <= tuple(map(int, low.split("."))) < (81,)
    assert '\nrequires = ["setuptools>=64,<81"]\n' in text
