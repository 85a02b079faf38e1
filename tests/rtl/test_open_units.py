"""The adapters of hw_src/open: see cocotb_open.py."""

from runner import HERE, run

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
    run("tb_open_units", [*sources, HERE / "tb_open_units.sv"], "cocotb_open", testcase=TESTS)
