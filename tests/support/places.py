"""Where things are: tests name folders from here, so that they may move."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
DRIVER = ROOT / "driver"
HARDWARE = ROOT / "hw_src"
RTL = HARDWARE / "rtl"
#: Test benches (tb_*.sv) and the cocotb tests that they run.
RTL_UNITS = TESTS / "rtl" / "units"
FAKES = TESTS / "fakes"
DATA = TESTS / "data"
ONNX_FILES = DATA / "onnx_files"
#: Trained networks beside the checkout; what needs them is skipped where they are not.
SHARED_WEIGHTS = ROOT.parent / "shared" / "weights"
