"""The adapters of hw_src/open: see cocotb_open.py."""

from support.places import RTL_UNITS
from support.rtl.runner import run
from winogen.fpga.open_flow import open_sources

TESTS = [
    "gp_writes",
    "gp_reads",
    "gp_in_reset",
    "interrupt_controller",
    "interrupt_as_pynq_waits",
    "hp_port",
    "hp_throughput",
    "reset",
    "burst_addresses",
]


def test_adapters():
    sources = [path for path in open_sources() if path.stem != "winogen_open"]
    run("tb_open_units", [*sources, RTL_UNITS / "tb_open_units.sv"], "cocotb_open", testcase=TESTS)
