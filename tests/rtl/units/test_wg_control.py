"""Registers, run control, fetch, descriptor check, issue and tokens, simulated with cocotb.

``pytest`` starts the simulations; the coroutines run inside them. The engines are models here, and
a small top level, kept in this file, joins them to the logic.
"""

from __future__ import annotations

import logging
import os
import random
from collections import deque
from dataclasses import replace
from pathlib import Path

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from support.rtl.bits import instruction_bits
from support.rtl.ports import ports
from support.rtl.rounds import SHARES, some
from winogen.target import isa, registers
from winogen.target.board import CoreConfig
from winogen.target.checks import descriptor_problem
from winogen.target.isa import CLASSES, FIELDS, Instruction, Opcode
from winogen.target.registers import Access, Engine, ErrorCode, window_names

CORES = {
    "small": CoreConfig(8, 8, 8, 2, 600, 90, 300, 200, 40, 24, 12, 6, 1),
    "large": CoreConfig(16, 4, 4, 1, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4095, 128, 255, 255, 1),
}
CORES["packed"] = replace(CORES["small"], products=2, decoder=32)
_PARAMETERS = {
    "DataWidth": "data_width",
    "Lanes": "ci_lanes",
    "InputDepth": "input_depth",
    "WeightDepth": "weight_depth",
    "PsumDepth": "psum_depth",
    "OutputDepth": "output_depth",
    "StepDepth": "step_depth",
    "AccumulatorDepth": "accumulator_depth",
    "PhaseDepth": "phase_depth",
    "ParamDepth": "param_depth",
    "Products": "products",
    "Decoder": "decoder",
}
WINDOWS = [name for access in Access for name in window_names(access)]
CORE = CORES[os.environ.get("WG_TEST_CORE", "small")]

TOP = """
module tb
  import wg_types_pkg::*;
#(
  parameter logic [31:0] ConfigHash = '0,
  parameter int unsigned TileLanes = 1,
PARAMETERS
) (
  input  logic          clk_i, rst_ni,
  input  logic          s_axil_awvalid, s_axil_wvalid, s_axil_bready,
  input  logic          s_axil_arvalid, s_axil_rready,
  output logic          s_axil_awready, s_axil_wready, s_axil_bvalid,
  output logic          s_axil_arready, s_axil_rvalid,
  input  logic [11:0]   s_axil_awaddr, s_axil_araddr,
  input  logic [31:0]   s_axil_wdata,
  input  logic [3:0]    s_axil_wstrb,
  output logic [31:0]   s_axil_rdata,
  output logic [1:0]    s_axil_bresp, s_axil_rresp,
  output logic          m_axi_arvalid, m_axi_rready,
  input  logic          m_axi_arready, m_axi_rvalid, m_axi_rlast,
  output logic [63:0]   m_axi_araddr,
  output logic [7:0]    m_axi_arlen,
  output logic [0:0]    m_axi_arid,
  output logic [2:0]    m_axi_arsize,
  output logic [1:0]    m_axi_arburst,
  input  logic [0:0]    m_axi_rid,
  input  logic [63:0]   m_axi_rdata,
  input  logic [1:0]    m_axi_rresp,
  output logic [2:0]    start_valid,
  input  logic [2:0]    start_ready,
  output logic [1535:0] start_bits,
  output logic [59:0]   start_index,
  input  logic [2:0]    done,
  input  logic [2:0]    fault_valid,
  input  logic [23:0]   fault_code,
  input  logic [59:0]   fault_index,
  input  logic [191:0]  fault_addr,
  input  logic          mac_step, read_valid, write_valid, masters_idle,
  input  logic [31:0]   read_bytes, write_bytes,
  input  logic [31:0]   bus, trace_count, trace_data,
  output logic [31:0]   trace_first, trace_length, trace_index,
  output logic [639:0]  open_windows,
  output logic          clear, irq
);
  localparam config_t Config = '{
    TileLanes: TileLanes, ReadPorts: 1, ConfigHash: ConfigHash, AddrWidth: 64,
    FIELDS
  };

  axil_req_t axil_req;
  axil_rsp_t axil_rsp;
  assign axil_req = '{
    awvalid: s_axil_awvalid, awaddr: s_axil_awaddr, wvalid: s_axil_wvalid, wdata: s_axil_wdata,
    wstrb: s_axil_wstrb, bready: s_axil_bready, arvalid: s_axil_arvalid, araddr: s_axil_araddr,
    rready: s_axil_rready
  };
  assign s_axil_awready = axil_rsp.awready;
  assign s_axil_wready  = axil_rsp.wready;
  assign s_axil_bvalid  = axil_rsp.bvalid;
  assign s_axil_bresp   = axil_rsp.bresp;
  assign s_axil_arready = axil_rsp.arready;
  assign s_axil_rvalid  = axil_rsp.rvalid;
  assign s_axil_rdata   = axil_rsp.rdata;
  assign s_axil_rresp   = axil_rsp.rresp;

  axi_read_req_t axi_req;
  axi_read_rsp_t axi_rsp;
  assign axi_rsp = '{
    arready: m_axi_arready, rvalid: m_axi_rvalid, rdata: m_axi_rdata, rresp: m_axi_rresp,
    rlast: m_axi_rlast
  };
  assign m_axi_arvalid = axi_req.arvalid;
  assign m_axi_araddr  = axi_req.araddr;
  assign m_axi_arlen   = axi_req.arlen;
  assign m_axi_rready  = axi_req.rready;
  assign m_axi_arid    = '0;
  assign m_axi_arsize  = 3'd3;
  assign m_axi_arburst = 2'd1;

  settings_t settings;
  winogen_pkg::windows_t windows;
  insight_t insight;
  work_t work;
  start_t [2:0] starts;
  engine_t [2:0] engine;
  logic progress;
  assign open_windows = windows;
  assign trace_first  = settings.trace_first;
  assign trace_length = settings.trace_length;
  assign trace_index  = settings.trace_index;
  assign insight  = '{bus: bus, trace_count: trace_count, trace_data: trace_data};
  assign work     = '{step: mac_step, pair: 1'b0, read_valid: read_valid, read_bytes: read_bytes,
                      write_valid: write_valid, write_bytes: write_bytes};
  assign progress = mac_step || |(start_valid & start_ready);
  for (genvar e = 0; e < 3; e++) begin : gen_engine
    assign engine[e] = '{
      ready: start_ready[e], done: done[e],
      fault: '{valid: fault_valid[e], code: fault_code[8*e+:8], index: fault_index[20*e+:20],
               addr: fault_addr[64*e+:64]}
    };
    assign start_valid[e]          = starts[e].valid;
    assign start_bits[512*e+:512]  = starts[e].bits;
    assign start_index[20*e+:20]   = starts[e].index;
  end

LOGIC
endmodule
""".replace(
    "PARAMETERS", ",\n".join(f"  parameter int unsigned {n} = 8" for n in _PARAMETERS)
).replace("FIELDS", ", ".join(f"{n}: {n}" for n in _PARAMETERS))

#: The units one by one, and as the core has them.
UNITS = """
  logic start, soft_reset, fetch_idle, fetch_progress, fetch_start, fetched, all;
  status_t status;
  fault_t fetch_fault;
  fetched_t head;
  logic [2:0] queue_valid, queue_ready, quiescent;
  logic [2:0][2:0] take, promise, give, available, room;
  fault_t [2:0] failed;
  issue_t [2:0] issue;

  wg_regs #(.Config(Config)) u_regs (
    .clk_i, .rst_ni, .irq_o(irq), .s_axil_i(axil_req), .s_axil_o(axil_rsp),
    .start_o(start), .reset_o(soft_reset), .settings_o(settings), .windows_o(windows),
    .status_i(status), .insight_i(insight)
  );

  wg_control #(.Config(Config)) u_control (
    .clk_i, .rst_ni,
    .start_i(start), .reset_i(soft_reset), .settings_i(settings), .status_o(status),
    .clear_o(clear), .units_idle_i(fetch_idle && masters_idle),
    .progress_i(fetch_progress || progress),
    .fetch_start_o(fetch_start), .fetched_i(fetched), .all_dispatched_i(all),
    .fetch_fault_i(fetch_fault), .issue_i(issue), .done_i(done), .fault_i(failed), .work_i(work)
  );

  wg_fetch #(.Config(Config)) u_fetch (
    .clk_i, .rst_ni, .clear_i(clear), .idle_o(fetch_idle), .progress_o(fetch_progress),
    .start_i(fetch_start), .stream_base_i(settings.stream_base),
    .stream_length_i(settings.stream_length[20:0]), .windows_i(windows.fetch),
    .fetched_o(fetched), .all_dispatched_o(all), .quiescent_i(&quiescent),
    .fault_o(fetch_fault),
    .queue_valid_o(queue_valid), .queue_ready_i(queue_ready), .queue_o(head),
    .m_axi_o(axi_req), .m_axi_i(axi_rsp)
  );

  for (genvar e = 0; e < 3; e++) begin : gen_issue
    wg_issue #(.Engine(e)) u_issue (
      .clk_i, .rst_ni, .clear_i(clear),
      .queue_valid_i(queue_valid[e]), .queue_ready_o(queue_ready[e]), .queue_i(head),
      .available_i(available[e]), .room_i(room[e]),
      .take_o(take[e]), .promise_o(promise[e]), .give_o(give[e]),
      .start_o(starts[e]), .engine_i(engine[e]), .fault_o(failed[e]), .state_o(issue[e])
    );
    assign quiescent[e] = issue[e].quiescent;
  end

  wg_tokens u_tokens (
    .clk_i, .rst_ni, .clear_i(clear),
    .take_i(take), .promise_i(promise), .give_i(give), .available_o(available), .room_o(room)
  );
"""
FRONT_TESTS = ["regs_reset_values_and_access", "run_faults", "run_counters"]
FRONT = """
  stream_t stream;
  assign clear = stream.clear;
  wg_front #(.Config(Config)) u_front (
    .clk_i, .rst_ni, .irq_o(irq), .s_axil_i(axil_req), .s_axil_o(axil_rsp),
    .m_axi_o(axi_req), .m_axi_i(axi_rsp), .settings_o(settings), .windows_o(windows),
    .stream_o(stream),
    .units_idle_i(masters_idle), .progress_i(progress), .work_i(work), .insight_i(insight),
    .start_o(starts), .engine_i(engine), .trace_o()
  );
"""
CHECK = """
module tb_check
  import wg_types_pkg::*;
#(
PARAMETERS
) (
  input  logic         clk_i, rst_ni, clear_i, start_i,
  input  logic [511:0] bits_i,
  output logic         done_o, illegal_o
);
  localparam config_t Config = '{
    TileLanes: 1, ReadPorts: 1, ConfigHash: '0, AddrWidth: 64,
    FIELDS
  };
  wg_descriptor_check #(.Config(Config)) u_check (.*);
endmodule
""".replace(
    "PARAMETERS", ",\n".join(f"  parameter int unsigned {n} = 8" for n in _PARAMETERS)
).replace("FIELDS", ", ".join(f"{n}: {n}" for n in _PARAMETERS))


def simulate(
    patch, top: str, core: str, tests: list[str], sources: list[Path], share: float
) -> None:
    """Build ``top`` for a core configuration and run the coroutines of these names."""
    from support.rtl.runner import run

    config = CORES[core]
    parameters: dict[str, object] = {n: getattr(config, f) for n, f in _PARAMETERS.items()}
    if top == "tb":
        parameters |= {"TileLanes": config.tile_lanes, "ConfigHash": config.config_hash32}
    patch.setenv("WG_TEST_CORE", core)
    run(top, sources, Path(__file__).stem, parameters, tests, share=share)


@pytest.mark.parametrize(
    "core", [c if c == "packed" else pytest.param(c, marks=pytest.mark.long) for c in CORES]
)
@pytest.mark.parametrize("share", SHARES)
def test_descriptor_check_agrees_with_python(tmp_path, monkeypatch, core, share):
    top = tmp_path / "tb_check.sv"
    top.write_text(CHECK)
    simulate(monkeypatch, "tb_check", core, ["check_descriptors"], [top], share)


@pytest.mark.parametrize("share", SHARES)
def test_registers_control_fetch_and_issue(tmp_path, monkeypatch, share):
    top = tmp_path / "tb.sv"
    top.write_text(TOP.replace("LOGIC", UNITS))
    tests = [n for n in globals() if n.startswith(("regs_", "run_"))]
    simulate(monkeypatch, "tb", "small", tests, [top], share)


@pytest.mark.parametrize("share", SHARES)
def test_the_same_as_the_core_has_it(tmp_path, monkeypatch, share):
    top = tmp_path / "tb.sv"
    top.write_text(TOP.replace("LOGIC", FRONT))
    simulate(monkeypatch, "tb", "small", FRONT_TESTS, [top], share)


# Descriptors


def _table_end(f: dict[str, int], core: CoreConfig) -> int:
    return [core.step_depth, 2 * core.accumulator_depth, core.phase_depth, 1025][f["table"]]


#: base field, the factors of its range, and the memory's depth
_RANGES = {
    Opcode.LOAD_INPUT: [("base", ("images", "blocks", "rows", "pitch"), "input_depth")],
    Opcode.LOAD_WEIGHTS: [
        ("base", ("blocks",), "weight_depth"),
        ("phase_base", ("phases",), "phase_depth"),
    ],
    Opcode.LOAD_PARAMS: [("base", ("count",), "param_depth")],
    Opcode.LOAD_TABLE: [("base", ("count",), None)],
    Opcode.COMPUTE: [
        ("input_base", ("images", "blocks", "rows", "pitch"), "input_depth"),
        ("weight_base", ("blocks", "weight_stride"), "weight_depth"),
        (
            "psum_base",
            ("images", "tiles_y", "tiles_x", "phases", "tile", "tile", "pair"),
            "psum_depth",
        ),
        ("output_base", ("images", "output_rows", "output_columns", "pair"), "output_depth"),
        ("step_base", ("steps",), "step_depth"),
        ("accumulator_base", ("accumulators",), "2 accumulator_depth"),
        ("phase_base", ("phases",), "phase_depth"),
        ("param_base", (), "param_depth"),
    ],
    Opcode.STORE: [("base", ("images", "rows", "columns"), "output_depth")],
}


def random_instruction(rng: random.Random, core: CoreConfig, opcode: Opcode) -> Instruction:
    """Mostly sound, at the edges of its ranges, with at most a few wild fields."""
    layout = {n: f for n, f in FIELDS[opcode].items() if n not in list(FIELDS[opcode])[:4]}
    top = rng.choice((2, 3, 6, 40))
    f = {n: rng.randint(1, min(top, (1 << x.width - x.signed) - 1)) for n, x in layout.items()}
    f |= {n: 0 for n in f if "base" in n}
    if "offset" in f:
        f["offset"] = rng.randrange(1 << 20) * core.word_bytes % (1 << 32)
    if "pitch" in f:
        f["pitch"] = f["columns"] + (2 - f["columns"]) % 4
    if opcode is Opcode.COMPUTE:
        f["winograd"] = int(f["tile"] == 2 and rng.random() < 0.5)
        f["tile"] = min(f["tile"], 2)
        for side in ("row", "column"):
            f[f"patch_{side}"] = rng.randrange(4)
            f[f"patch_{side}s"] = rng.randint(1, 4 - f[f"patch_{side}"])
    for name in ("half", "pair", "swap"):
        if name in f:
            f[name] = int(rng.random() < (0.5 if core.products == 2 else 0.02))
    if opcode is Opcode.COMPUTE and rng.random() < 0.98:
        f["swap"] &= f["pair"]
    if opcode is Opcode.LOAD_TABLE:
        f["table"] = rng.randrange(4)
    if opcode is Opcode.LOAD_WEIGHTS:
        f["coding"] = rng.randrange(3) if core.decoder else 0
        f["beats"] *= f["coding"] > 0

    def wild() -> None:
        name = rng.choice(list(layout))
        x = layout[name]
        low, high = (-(1 << x.width - 1) if x.signed else 0), (1 << x.width - x.signed) - 1
        f[name] = rng.choice(
            (0, 1, low, high, high - 1, rng.randint(low, high), f[name] ^ (1 << rng.randrange(3)))
        )
        f[name] = max(low, min(high, f[name]))

    if rng.random() < 0.5:
        wild()
    for base, factors, memory in _RANGES[opcode]:
        if rng.random() < 0.7:
            size = 1
            for factor in factors:
                size *= f[factor] + (factor == "pair")
            if memory is None:
                depth = _table_end(f, core)
            elif memory.startswith("2 "):
                depth = 2 * core.accumulator_depth
            else:
                depth = getattr(core, memory)
            end = depth - size + (1 if rng.random() < 0.05 else -rng.randrange(2))
            f[base] = max(0, min((1 << layout[base].width) - 1, end))
    while rng.random() < 0.2:
        wild()
    own = 1 << opcode.engine
    masks = [rng.randrange(8) & ~own for _ in range(2)]
    if rng.random() < 0.03:
        masks[rng.randrange(2)] |= own
    return CLASSES[opcode](**f, wait=masks[0], signal=masks[1], layer=rng.randrange(4096))


@cocotb.test()
async def check_descriptors(dut):
    dut = ports(dut)
    rng = random.Random(5)
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.rst_ni = 0
    dut.clear_i = 0
    dut.start_i = 0
    for _ in range(3):
        await FallingEdge(dut.clk_i)
    dut.rst_ni = 1
    seen = {(o, bad): 0 for o in Opcode for bad in (False, True)}
    longest = 0
    # Regions whose size has a one only above the bits that are counted.
    huge = [
        plain(Opcode.LOAD_INPUT, images=2048, blocks=2048),
        plain(Opcode.LOAD_INPUT, blocks=2048, rows=2048),
        plain(Opcode.STORE, images=2048, rows=2048),
        plain(Opcode.STORE, rows=2048, columns=2048),
    ]
    for i in range(some(4500)):
        opcode = rng.choice([*Opcode, Opcode.COMPUTE, Opcode.COMPUTE])
        instruction = huge[i] if i < len(huge) else random_instruction(rng, CORE, opcode)
        opcode = instruction.opcode
        problem = descriptor_problem(instruction, CORE)
        dut.bits_i = instruction_bits(instruction)
        dut.start_i = 1
        await FallingEdge(dut.clk_i)
        dut.start_i = 0
        cycles = 1
        while not dut.done_o:
            await FallingEdge(dut.clk_i)
            cycles += 1
            assert cycles < 40
        longest = max(longest, cycles)
        assert dut.illegal_o == (problem is not None), (instruction, problem)
        seen[opcode, problem is not None] += 1
        for _ in range(rng.randrange(2)):
            await FallingEdge(dut.clk_i)
    assert min(seen.values()) > some(40) and longest <= 25


# The rest

_EXECUTING = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)
#: Registers that only show what comes from other units.
_SHOWN = ("BUS", "TRACE_COUNT", "TRACE_DATA")


class Rig:
    """The top level with a host, a memory and models of the three engines."""

    def __init__(self, dut, seed=1):
        from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiReadBus, AxiSlaveRead

        self.dut, self.rng = dut, random.Random(seed)
        logging.getLogger("cocotb.tb").setLevel(logging.ERROR)  # the bus models talk a lot
        cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
        for name in ("start_ready", "done", "fault_valid", "fault_code", "fault_index",
                     "fault_addr", "mac_step", "read_valid", "write_valid", "read_bytes",
                     "write_bytes"):  # fmt: skip
            setattr(dut, name, 0)
        for name in _SHOWN:
            setattr(dut, name.lower(), 0)
        dut.masters_idle = 1
        dut.rst_ni = 0
        top = dut.handle
        self.memory = bytearray(1 << 20)
        self.bad_from = 1 << 63
        self.window: tuple[int, int] | None = None  # pages of fetch; None: those of the stream
        self.host = AxiLiteMaster(
            AxiLiteBus.from_prefix(top, "s_axil"), top.clk_i, top.rst_ni, reset_active_level=False
        )
        self.port = AxiSlaveRead(
            AxiReadBus.from_prefix(top, "m_axi"),
            top.clk_i,
            top.rst_ni,
            target=self,
            reset_active_level=False,
        )
        self.base = 0x10000
        self.stream: list[Instruction] = []
        self.latency = 20  # most cycles that an instruction takes
        self.fail = {}  # index: (code, address)
        self.hang = set()
        self.reset_models()

    async def read(self, address, length):  # what AxiSlaveRead asks
        if address >= self.bad_from:
            raise IndexError
        return bytes(self.memory[address : address + length])

    def reset_models(self):
        self.flight = [deque() for _ in range(3)]
        self.given = {(a, b): 0 for a in range(3) for b in range(3)}
        self.taken = dict(self.given)
        self.started: list[list[int]] = [[] for _ in range(3)]
        self.ended: list[int] = []
        self.most = 0

    async def begin(self):
        for _ in range(4):
            await FallingEdge(self.dut.clk_i)
        self.dut.rst_ni = 1
        await FallingEdge(self.dut.clk_i)
        cocotb.start_soon(self.engines())

    async def engines(self):
        """Everything happens at falling edges: what is driven there meets the next rising edge."""
        dut, rng = self.dut, self.rng
        ready = done = 0
        fall = FallingEdge(dut.clk_i)
        while True:
            await fall
            dut.mac_step = dut.read_valid = dut.write_valid = 0
            if dut.clear:
                for queue in self.flight:
                    queue.clear()
                dut.done = dut.start_ready = dut.fault_valid = 0
                continue
            valid = dut.start_valid
            ready = done = 0
            for e in range(3):
                queue = self.flight[e]
                for entry in queue:
                    entry[1] -= 1
                if queue and queue[0][1] <= 0 and queue[0][0] not in self.hang:
                    index = queue[0][0]
                    if index in self.fail:
                        code, address = self.fail[index]
                        self.set_fault(e, code, index, address)
                        continue
                    queue.popleft()
                    done |= 1 << e
                    self.ended.append(index)
                    for other in range(3):
                        # Available from the next cycle on: the loop below counts it then.
                        if self.stream[index].signal >> other & 1:
                            self.given[e, other] += 1
                if valid >> e & 1 and rng.random() < 0.7 and len(queue) < 8:
                    ready |= 1 << e
                    self.start(e, done)
            dut.start_ready = ready
            dut.done = done

    def set_fault(self, e, code, index, address):
        dut = self.dut

        def put(name, width, value):
            old = getattr(dut, name) & ~(((1 << width) - 1) << width * e)
            setattr(dut, name, old | value << width * e)

        put("fault_valid", 1, 1)
        put("fault_code", 8, code)
        put("fault_index", 20, index)
        put("fault_addr", 64, address)

    def start(self, e, done):
        index = self.dut.start_index >> 20 * e & 0xFFFFF
        bits = self.dut.start_bits >> 512 * e & ((1 << 512) - 1)
        instruction = self.stream[index]
        assert bits == instruction_bits(instruction)
        assert instruction.engine == e
        assert not self.started[e] or self.started[e][-1] < index
        for other in range(3):
            if instruction.wait >> other & 1:
                just = 0
                if done >> other & 1:  # given in this very cycle: too late for this start
                    just = self.stream[self.ended_of(other)].signal >> e & 1
                assert self.given[other, e] - just > self.taken[other, e], (index, other)
                self.taken[other, e] += 1
            if instruction.signal >> other & 1:
                promised = 1 + self.given[e, other] - self.taken[e, other]
                promised += sum(self.stream[i].signal >> other & 1 for i, _ in self.flight[e])
                self.most = max(self.most, promised)
                assert promised <= isa.MAX_TOKENS
        self.started[e].append(index)
        self.flight[e].append([index, self.rng.randint(1, self.latency)])

    def ended_of(self, engine):
        return next(i for i in reversed(self.ended) if self.stream[i].engine == engine)

    async def get(self, name):
        return await self.peek(registers.offset(name))

    async def get64(self, name):
        return await self.get(f"{name}_LO") | await self.get(f"{name}_HI") << 32

    async def set(self, name, value):
        await self.host.write_dword(registers.offset(name), value)

    async def peek(self, offset):
        return await self.host.read_dword(offset)

    async def launch(self, stream, raw=None):
        self.reset_models()
        self.stream = stream
        data = isa.encode(stream) if raw is None else raw
        self.memory[self.base : self.base + len(data)] = data
        await self.set("STREAM_LENGTH", len(data) // 64)
        await self.set("STREAM_BASE_LO", self.base)
        first, last = self.window or (self.base >> 12, self.base + len(data) - 1 >> 12)
        await self.set("FETCH_WINDOW0_FIRST", first)
        await self.set("FETCH_WINDOW0_LAST", last)
        await self.set("CONTROL", 1)

    async def finish(self, polls=5000):
        for _ in range(polls):
            status = registers.unpack("STATUS", await self.get("STATUS"))
            if status["idle"]:
                return status
        raise AssertionError("the stream does not end")

    async def run(self, stream, raw=None):
        await self.launch(stream, raw)
        return await self.finish()

    async def expect(self, status, code, engine, index, address=0):
        assert status["idle"] and status["error"] and not status["done"]
        for e in Engine:
            assert status[e.name.lower()] == (3 if e is engine else 0)
        assert await self.get("ERROR_CODE") == code | engine << 8
        assert await self.get("ERROR_INSTRUCTION") == index
        assert await self.get64("ERROR_ADDRESS") == address
        assert await self.get("IRQ_STATUS") & 2
        await self.set("IRQ_STATUS", 3)


def plain(opcode, wait=0, signal=0, **changes):
    """A sound instruction."""
    f = {n: 1 for n in FIELDS[opcode] if n not in ("opcode", "wait", "signal", "layer")}
    zero = ("offset", "winograd", "table", "half", "pair", "param_stride", "swap", "coding")
    zero += ("beats",)
    f |= {n: 0 for n in f if "base" in n or n in zero}
    if "pitch" in f:
        f["pitch"] = 2
    return CLASSES[opcode](**f | changes, wait=wait, signal=signal, layer=7)


_OF = (Opcode.LOAD_INPUT, Opcode.COMPUTE, Opcode.STORE)


def legal_stream(rng, length):
    """Every token is given before, in the order of the stream: so there is no deadlock."""
    tokens = {(a, b): 0 for a in range(3) for b in range(3)}
    out = []
    for _ in range(length):
        e = rng.choice((0, 0, 1, 2))
        others = [o for o in range(3) if o != e]
        wait = [o for o in others if tokens[o, e] and rng.random() < 0.6]
        signal = [o for o in others if tokens[e, o] < 200 and rng.random() < 0.5]
        for o in wait:
            tokens[o, e] -= 1
        for o in signal:
            tokens[e, o] += 1
        opcode = rng.choice(list(Opcode)[:4]) if e == 0 else _OF[e]
        out.append(plain(opcode, sum(1 << o for o in wait), sum(1 << o for o in signal)))
    return out


async def rig_of(dut, seed=1):
    rig = Rig(dut, seed)
    await rig.begin()
    return rig


@cocotb.test()
async def regs_reset_values_and_access(dut):
    dut = ports(dut)
    rig = await rig_of(dut)
    known = {
        "CONFIG_HASH": CORE.config_hash32,
        "CAPABILITY": registers.pack(
            "CAPABILITY",
            ci_lanes=CORE.ci_lanes,
            co_lanes=CORE.co_lanes,
            tile_lanes=CORE.tile_lanes,
            data_width=CORE.data_width,
            products=CORE.products,
        ),
    }
    for n in ("INPUT", "WEIGHT", "PSUM", "OUTPUT", "STEP"):
        known[f"{n}_DEPTH"] = getattr(CORE, f"{n.lower()}_depth")
    expected = {r.offset: known.get(r.name, r.reset) for r in registers.REGISTERS}
    settings = [expected[registers.offset(name)] for name in registers.SETTINGS]
    expected[registers.offset("SETTINGS_SUM")] = registers.settings_sum(settings)
    for offset in [*range(0, 0x260, 4), 0x280, 0x400, 0x800, 0xC40, 0xFFC]:
        assert await rig.peek(offset) == expected.get(offset, 0), hex(offset)
    for r in registers.REGISTERS:
        if r.name == "CONTROL":
            continue
        value = rig.rng.getrandbits(32)
        await rig.host.write_dword(r.offset, value)
        if r.access == "rw":
            expected[r.offset] = value
    for offset in (0x250, 0x200 + 0x78, 0x400 + 0x60, 0x64, 0xA0):  # no register there
        await rig.host.write_dword(offset, 0xFFFFFFFF)
    settings = [expected[registers.offset(name)] for name in registers.SETTINGS]
    expected[registers.offset("SETTINGS_SUM")] = registers.settings_sum(settings)
    for name in _SHOWN:
        expected[registers.offset(name)] = value = rig.rng.getrandbits(32)
        setattr(dut, name.lower(), value)
    for offset in range(0, 0x260, 4):
        assert await rig.peek(offset) == expected.get(offset, 0), hex(offset)
    places = [registers.offset(f"{name}_FIRST") for name in WINDOWS]
    words = [expected[place + half] for place in places for half in (0, 4)]
    assert dut.open_windows == sum(w << 32 * i for i, w in enumerate(words))
    for name in ("TRACE_FIRST", "TRACE_LENGTH", "TRACE_INDEX"):
        assert getattr(dut, name.lower()) == expected[registers.offset(name)]
    # byte strobes
    for name in ("WATCHDOG", "SCRATCH_BASE_HI", "IRQ_ENABLE", "STREAM_LENGTH", "TRACE_LENGTH",
                 "READ_WINDOW5_FIRST", "FETCH_WINDOW0_LAST"):  # fmt: skip
        await rig.set(name, 0x11223344)
        await rig.host.write(registers.offset(name) + 2, b"\xaa")
        assert await rig.get(name) == 0x11AA3344
        await rig.host.write(registers.offset(name), b"\x55\x66")
        assert await rig.get(name) == 0x11AA6655
    await rig.host.write(registers.offset("CONTROL") + 1, b"\x01\x01\x01")
    assert await rig.get("STATUS") == 1


@cocotb.test()
async def regs_halves_belong_together(dut):
    dut = ports(dut)
    rig = await rig_of(dut)
    low, high = "INPUT_BASE_LO", "INPUT_BASE_HI"
    for latched in (False, True):
        await rig.set(low, 1)
        await rig.set(high, 2)
        if latched:
            assert await rig.get(low) == 1
        # A write to the high half drops what was latched.
        await rig.set(high, 3)
        assert await rig.get(high) == 3
    # A counter that runs: the high half is that of the low one.
    rig.hang = {0}
    await rig.set("WATCHDOG", 0)
    await rig.set("IRQ_ENABLE", 3)
    await rig.set(high, 0)
    await rig.set(low, 0)
    await rig.launch([plain(Opcode.LOAD_INPUT)])
    first = await rig.get64("CYCLES")
    assert 0 < first < await rig.get64("CYCLES")
    await rig.get("CYCLES_LO")
    await rig.set("CONTROL", 2)  # drops what is latched, and the counters
    await rig.finish()
    assert await rig.get64("CYCLES") == 0
    # Across the carry out of the low half: bytes come in large runs.
    await rig.launch([plain(Opcode.LOAD_INPUT)])

    async def bytes_read():
        for _ in range(400):
            await FallingEdge(dut.clk_i)
            dut.read_bytes = 0xF0000001
            dut.read_valid = 1

    feeder = cocotb.start_soon(bytes_read())
    last = 0
    for _ in range(12):
        low_half = await rig.get("BYTES_READ_LO")
        await rig.peek(registers.offset("INPUT_BASE_LO"))  # another pair keeps its own half
        value = low_half | await rig.get("BYTES_READ_HI") << 32
        # value - 64 is a whole number of runs only if the halves belong together.
        assert any((value - k) % 0xF0000001 == 0 for k in (0, 64)) and value >= last
        last = value
    assert last >> 32
    await feeder
    await rig.get("BYTES_READ_LO")
    held = await rig.get("BYTES_READ_HI")
    assert await rig.get("BYTES_READ_HI") == held
    await rig.set("CONTROL", 3)  # reset wins
    assert (await rig.finish())["done"] == 0


@cocotb.test()
async def run_random_streams(dut):
    dut = ports(dut)
    rig = await rig_of(dut, 3)
    await rig.set("IRQ_ENABLE", 1)
    stalls = random.Random(3)

    def pauses(rate):
        while True:
            yield stalls.random() < rate

    for round_ in range(some(12)):
        rig.port.r_channel.set_pause_generator(pauses((0.0, 0.3, 0.8)[round_ % 3]))
        rig.latency = (1, 20, 150)[round_ % 3]
        rig.base = 0x10000 + 64 * rig.rng.randrange(64)
        stream = legal_stream(rig.rng, rig.rng.choice((1, 2, 40, 250)))
        status = await rig.run(stream)
        assert status["done"] and not status["error"], await rig.get("ERROR_CODE")
        assert sorted(rig.ended) == list(range(len(stream)))
        assert await rig.get64("INSTRUCTIONS") == len(stream)
        assert await rig.get64("BYTES_READ") == 64 * len(stream)
        cycles = await rig.get64("CYCLES")
        for e in ("LOAD", "COMPUTE", "STORE"):
            assert await rig.get64(f"{e}_BUSY") + await rig.get64(f"{e}_STALL") <= cycles
        assert await rig.get("IRQ_STATUS") == 1 and dut.irq
        await rig.set("IRQ_STATUS", 2)
        assert await rig.get("IRQ_STATUS") == 1
        await rig.set("IRQ_STATUS", 1)
        assert await rig.get("IRQ_STATUS") == 0 and not dut.irq
    rig.port.r_channel.clear_pause_generator()


@cocotb.test()
async def run_shows_the_oldest_instructions(dut):
    dut = ports(dut)
    rig = await rig_of(dut, 4)
    await rig.set("WATCHDOG", 0)
    stream = legal_stream(rig.rng, 100)
    for round_ in range(4):
        stuck = 20 * round_ + 10
        rig.hang = {stuck}
        await rig.launch(stream)
        # Everything that can go on has gone on: an instruction takes 20 cycles at most.
        for _ in range(25 * stuck + 1000):
            await FallingEdge(dut.clk_i)
        ended = set(rig.ended)
        oldest = [await rig.get(f"{e.name}_INSTRUCTION") for e in _EXECUTING]
        for e, value in zip(_EXECUTING, oldest):
            shown = registers.unpack(f"{e.name}_INSTRUCTION", value)
            left = [i for i, x in enumerate(stream) if x.engine is e and i not in ended]
            # What fetch has not handed out yet is no engine's.
            assert shown["valid"] or e is not stream[stuck].engine
            assert shown["index"] == (left[0] if shown["valid"] else 0)
        if round_ % 2:  # they stay when the watchdog ends the stream
            await rig.set("WATCHDOG", 50)
            assert (await rig.finish())["error"]
            assert oldest == [await rig.get(f"{e.name}_INSTRUCTION") for e in _EXECUTING]
            await rig.set("WATCHDOG", 0)
        fetched = await rig.get("FETCH_INSTRUCTION")
        assert max(ended | {stuck}) < fetched <= len(stream)
        rig.hang = set()
        await rig.set("CONTROL", 2)
        await rig.finish()
        assert await rig.get("FETCH_INSTRUCTION") == 0
        for e in _EXECUTING:
            assert await rig.get(f"{e.name}_INSTRUCTION") == 0
        assert (await rig.run(stream))["done"]
        assert await rig.get("FETCH_INSTRUCTION") == len(stream)


@cocotb.test()
async def run_counters_hold_255_tokens(dut):
    dut = ports(dut)
    rig = await rig_of(dut)
    rig.latency = 3
    gives = [plain(Opcode.LOAD_INPUT, 0, 2) for _ in range(268)]
    takes = [plain(Opcode.COMPUTE, 1, 0) for _ in range(268)]
    status = await rig.run(gives + takes)
    assert status["done"] and rig.most == isa.MAX_TOKENS
    assert await rig.get64("LOAD_STALL") > 0
    # One more than counter and queue hold, and nobody takes: for ever.
    await rig.set("WATCHDOG", 500)
    status = await rig.run([plain(Opcode.LOAD_INPUT, 0, 2) for _ in range(256)])
    await rig.expect(status, ErrorCode.WATCHDOG, Engine.LOAD, 255)
    # Tokens left over are gone.
    status = await rig.run([plain(Opcode.COMPUTE, 1, 0)])
    await rig.expect(status, ErrorCode.WATCHDOG, Engine.COMPUTE, 0)


@cocotb.test()
async def run_faults(dut):
    dut = ports(dut)
    rig = await rig_of(dut)
    load, compute, store = (plain(o) for o in _OF)
    for at in (0, 3, 30):
        for bad in (
            plain(Opcode.LOAD_INPUT, rows=0),
            plain(Opcode.COMPUTE, tile=3),
            plain(Opcode.STORE, base=CORE.output_depth),
            plain(Opcode.LOAD_INPUT, 1),
        ):
            stream = [load, compute, store] * 10
            stream.insert(at, bad)
            status = await rig.run(stream)
            await rig.expect(status, ErrorCode.ILLEGAL_DESCRIPTOR, bad.engine, at)
            assert at not in rig.ended
            before = [i for i in range(at) if stream[i].engine == bad.engine]
            assert [i for i in rig.ended if stream[i].engine == bad.engine] == before
    # A refused instruction waits for its tokens.
    give = plain(Opcode.LOAD_INPUT, 0, 2)
    status = await rig.run([give, plain(Opcode.COMPUTE, 1, tile=0)])
    await rig.expect(status, ErrorCode.ILLEGAL_DESCRIPTOR, Engine.COMPUTE, 1)
    assert rig.ended == [0]
    # And for those before it, however long they take.
    rig.latency = 500
    for before, bad in (
        (load, plain(Opcode.LOAD_INPUT, rows=0)),
        (compute, plain(Opcode.COMPUTE, tile=3)),
        (store, plain(Opcode.STORE, base=CORE.output_depth)),
    ):
        status = await rig.run([before, before, bad])
        await rig.expect(status, ErrorCode.ILLEGAL_DESCRIPTOR, bad.engine, 2)
        assert rig.ended == [0, 1]
    rig.latency = 20
    # Engines
    for index, engine in ((3, Engine.LOAD), (4, Engine.COMPUTE), (5, Engine.STORE)):
        rig.fail = {index: (ErrorCode.AXI_DECERR, 0x1234_5678_9ABC_DEF0)}
        status = await rig.run([load, compute, store] * 5)
        await rig.expect(status, ErrorCode.AXI_DECERR, engine, index, 0x1234_5678_9ABC_DEF0)
    rig.fail = {}
    status = await rig.run([load])
    assert status["done"] and await rig.get("ERROR_CODE") == 0


@cocotb.test()
async def run_first_engine_wins(dut):
    dut = ports(dut)
    rig = await rig_of(dut)
    rig.hang = {0, 1, 2}
    for bits, first in ((0b111, 0), (0b110, 1), (0b100, 2)):
        await rig.launch([plain(o) for o in _OF])
        while not all(rig.flight):
            await FallingEdge(dut.clk_i)
        await FallingEdge(dut.clk_i)
        for e in range(3):
            if bits >> e & 1:
                rig.dut.fault_code = sum(3 << 8 * i for i in range(3))
                rig.dut.fault_index = sum(i << 20 * i for i in range(3))
        dut.fault_addr = 0
        dut.fault_valid = bits
        await rig.expect(await rig.finish(), ErrorCode.AXI_SLVERR, Engine(first), first)


@cocotb.test()
async def run_bad_opcodes(dut):
    dut = ports(dut)
    rig = await rig_of(dut)
    for opcode in (0, 7, 15, None):
        for waits in (False, True):
            stream = [plain(o) for o in _OF] * 4
            raw = bytearray(isa.encode([*stream, plain(Opcode.STORE), *stream]))
            if waits:  # a head that waits for ever does not keep the fault back
                stream[-1] = plain(Opcode.STORE, 1)
                raw[: 64 * 12] = isa.encode(stream)
            if opcode is None:
                raw[12 * 64 + 63] = 0x80
            else:
                raw[12 * 64] = raw[12 * 64] & 0xF0 | opcode
            rig.latency = 300
            status = await rig.run(stream, bytes(raw))
            await rig.expect(status, ErrorCode.BAD_OPCODE, Engine.FETCH, 12)
            assert sorted(rig.ended) == list(range(11 if waits else 12))
    # Memory does not answer
    for index in (0, 5):
        rig.bad_from = rig.base + 64 * index + 24
        stream = [plain(o) for o in _OF] * 4
        status = await rig.run(stream)
        # The address is that of the beat or of its burst.
        low = await rig.get64("ERROR_ADDRESS")
        assert low <= rig.bad_from < low + 128
        await rig.expect(status, ErrorCode.AXI_SLVERR, Engine.FETCH, index, low)
        assert sorted(rig.ended) == list(range(index))
    rig.bad_from = 1 << 63
    assert (await rig.run([plain(Opcode.STORE)]))["done"]


@cocotb.test()
async def run_fetches_inside_the_window_alone(dut):
    """What lies in it is executed first; of what lies outside nothing is asked for."""
    dut = ports(dut)
    rig = await rig_of(dut)
    stream = [plain(o) for o in _OF] * 4
    page = rig.base >> 12
    base = rig.base
    for first, last in (
        (page, page),
        (page - 1, page - 1),
        (page + 1, page + 9),
        (page + 1, page),
        (page, page + 1),
        (page - 1, page),
    ):
        for shift in (0, 4096 - 64 * 5):  # the second begins five instructions before the page ends
            rig.base, rig.window = base + shift, (first, last)
            status = await rig.run(stream)
            begins = first <= page <= last
            if begins and (last > page or not shift):
                assert status["done"]
                continue
            at, where = (5, base + 4096) if begins else (0, rig.base)
            await rig.expect(status, ErrorCode.OUTSIDE_WINDOW, Engine.FETCH, at, where)
            assert sorted(rig.ended) == list(range(at))
    rig.base, rig.window = base, None
    assert (await rig.run(stream))["done"]


@cocotb.test()
async def run_bad_streams(dut):
    dut = ports(dut)
    rig = await rig_of(dut)
    names = ["STREAM_BASE_LO", *(f"{s.name}_BASE_LO" for s in registers.Segment)]
    for name in names:
        for value in (8, 32):
            for other in names:
                await rig.set(other, 0x1000)
            await rig.set("STREAM_LENGTH", 1)
            await rig.set(name, value)
            await rig.set("CONTROL", 1)
            await rig.expect(await rig.finish(), ErrorCode.BAD_STREAM, Engine.FETCH, 0)
            assert await rig.get64("CYCLES") == 0
    await rig.set(names[-1], 0)
    for length in (0, (1 << 20) + 1, 1 << 31):
        await rig.set("STREAM_LENGTH", length)
        await rig.set("CONTROL", 1)
        await rig.expect(await rig.finish(), ErrorCode.BAD_STREAM, Engine.FETCH, 0)


@cocotb.test()
async def run_watchdog_and_soft_reset(dut):
    dut = ports(dut)
    rig = await rig_of(dut)
    give, take = plain(Opcode.LOAD_INPUT, 0, 2), plain(Opcode.COMPUTE, 1)
    await rig.set("WATCHDOG", 300)
    status = await rig.run([give, take, take, plain(Opcode.STORE, 2)])
    await rig.expect(status, ErrorCode.WATCHDOG, Engine.COMPUTE, 2)
    assert 300 < await rig.get64("CYCLES") < 800
    # An instruction that takes longer than the watchdog is caught while it is in flight.
    rig.hang = {1}
    status = await rig.run([give, take, plain(Opcode.STORE)])
    await rig.expect(status, ErrorCode.WATCHDOG, Engine.COMPUTE, 1)
    # Without a watchdog it hangs until the soft reset; a start meanwhile is ignored.
    await rig.set("WATCHDOG", 0)
    rig.hang = set()
    await rig.set("IRQ_STATUS", 3)
    await rig.launch([give, take, take])
    for _ in range(1500):
        await FallingEdge(dut.clk_i)
    before = await rig.get64("CYCLES")
    status = registers.unpack("STATUS", await rig.get("STATUS"))
    assert status == registers.unpack("STATUS", registers.pack("STATUS", compute=2))
    await rig.set("CONTROL", 1)
    assert await rig.get64("CYCLES") > before
    # The bus masters take their time: busy until they are idle.
    dut.masters_idle = 0
    await rig.set("CONTROL", 2)
    for _ in range(20):
        assert not await rig.get("STATUS") & 7
    assert dut.clear
    dut.masters_idle = 1
    status = await rig.finish()
    assert not status["done"] and not status["error"]
    for name in ("ERROR_CODE", "ERROR_INSTRUCTION", "IRQ_STATUS"):
        assert await rig.get(name) == 0
    for name, _ in registers.COUNTERS:
        assert await rig.get64(name) == 0
    # At any moment of a stream, with reads on the bus.
    await rig.set("IRQ_ENABLE", 3)
    rig.latency = 20
    for _ in range(some(25)):
        await rig.launch(legal_stream(rig.rng, 60))
        for _ in range(rig.rng.randrange(600)):
            await FallingEdge(dut.clk_i)
        await rig.set("CONTROL", 2)
        status = await rig.finish()
        assert not status["done"] and not status["error"]
        assert await rig.get("IRQ_STATUS") == 0 and await rig.get64("INSTRUCTIONS") == 0
        status = await rig.run(legal_stream(rig.rng, 10))
        assert status["done"]
        await rig.set("IRQ_STATUS", 1)
    # Clearing the result of a stream that has ended.
    await rig.run([give])
    await rig.set("CONTROL", 2)
    assert await rig.get("STATUS") == 1 and await rig.get("IRQ_STATUS") == 0


@cocotb.test()
async def run_counters(dut):
    dut = ports(dut)
    rig = await rig_of(dut)
    rig.hang = {0}
    await rig.launch([plain(Opcode.LOAD_INPUT)])
    while not rig.flight[0]:
        await FallingEdge(dut.clk_i)
    for n in range(7):
        await FallingEdge(dut.clk_i)
        await FallingEdge(dut.clk_i)
        dut.mac_step = 1
        dut.read_valid = n < 3
        dut.read_bytes = 1000 + n
        dut.write_valid = n < 5
        dut.write_bytes = 0xFFFFFFFF
        await FallingEdge(dut.clk_i)
    rig.hang = set()
    assert (await rig.finish())["done"]
    assert await rig.get64("MULTIPLIES") == 7 * CORE.multipliers
    assert await rig.get64("BYTES_READ") == 64 + 1000 + 1001 + 1002
    assert await rig.get64("BYTES_WRITTEN") == 5 * 0xFFFFFFFF
    assert await rig.get64("LOAD_BUSY") >= 21 and await rig.get64("STORE_BUSY") == 0
