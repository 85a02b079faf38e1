"""The AXI masters against cocotbext-axi's memories: see cocotb_wg_axi.py."""

import pytest

from support.places import RTL_UNITS
from support.rtl.rounds import SHARES
from support.rtl.runner import run

READ = [
    "read_random",
    "read_shares_bursts",
    "read_does_not_wait_for_runs",
    "read_rounds_bytes_up",
    "read_errors_in_order",
    "read_windows",
    "read_flush",
    "read_throughput",
    "read_hides_latency",
]
WRITE = [
    "write_random",
    "write_shares_bursts_within_an_instruction",
    "write_does_not_wait_for_runs",
    "write_errors",
    "write_windows",
    "write_flush",
    "write_throughput",
]


#: Two have all that one has and all that four have, but the latter's rounds.
#: Two are those of the board that the suites of devices simulate.
PORTS = [*(pytest.param(n, marks=pytest.mark.long) for n in (1, 2)), 4]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("ports", PORTS)
def test_reader(ports, share):
    top = RTL_UNITS / "tb_reader.sv"
    run("tb_reader", [top], "cocotb_wg_axi", {"Ports": ports}, testcase=READ, share=share)


@pytest.mark.parametrize("share", SHARES)
def test_writer(share):
    run("tb_write", [RTL_UNITS / "tb_write.sv"], "cocotb_wg_axi", testcase=WRITE, share=share)
