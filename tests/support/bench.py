"""A workbench for tests of whole devices: devices by name, compiled networks, bare cores."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from support.places import DRIVER, TESTS
from support.random_graphs import GraphBuilder
from winogen.compiler.compile import Compiled, compile_graph
from winogen.compiler.integers import run_integer
from winogen.compiler.quantised import QuantNetwork
from winogen.emulation.device import EmulatedMemory
from winogen.emulation.device.emulated import DDR_BASE
from winogen.emulation.emulator import EmulatedCore
from winogen.network.graph import Graph, InputSpec, Node
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.open import emulated_device, rtl_device
from winogen.target import isa, registers
from winogen.target.board import Board, load_board
from winogen.target.isa import Instruction
from winogen.target.numerics import storage_dtype
from winogen.target.registers import Access, Segment, window_names

#: Every device that must pass the conformance suite: what Generator takes, for a board's build.
DEVICES: dict[str, Callable[[Board], Any]] = {
    "emulator": emulated_device,
    "floats": partial(emulated_device, gemm=False),
    "machine": partial(emulated_device, fuse=False),
    "rtl": rtl_device,
    "rtl-stalls": partial(rtl_device, stalls=0.3, seed=1),
}
#: The same as ``rtl``, for whole arrays of 16 bits too, which take long to build and to simulate.
WHOLE = "rtl-whole"
#: The build that the others of the logic have the smallest board's for.
WHOLE_BUILD, SMALL_BUILD = ("pynq-z2", 16), ("tiny", 16)
#: What the name of a board ends with whose multipliers make two products.
PAIRS = "-pairs"
#: The name and data width of a device that has one build, and no other.
OWN_BUILD: dict[str, tuple[str, int]] = {}


def builds(device: str, *wanted: tuple[str, int]) -> list[tuple[str, int]]:
    """Boards and data widths to run on: those wanted, or the only one that the device has."""
    return [OWN_BUILD[device]] if device in OWN_BUILD else list(wanted)


def small_builds(device: str, *wanted: tuple[str, int]) -> list[tuple[str, int]]:
    """The same, but for the logic the smallest board's 16 bits in place of the whole array's."""
    if device.startswith("rtl") and device != WHOLE:
        wanted = tuple(SMALL_BUILD if build == WHOLE_BUILD else build for build in wanted)
    return builds(device, *dict.fromkeys(wanted))


def make_device(name: str, board: Board) -> Any:
    """A device by its name in DEVICES, or WHOLE."""
    return DEVICES["rtl" if name == WHOLE else name](board)


def named(name: str, bits: int = 8) -> Board:
    """A board by its name; ``tiny-pairs`` is the tiny one with two products a multiplier."""
    if name.endswith(PAIRS):
        return replace(paired(load_board(name.removesuffix(PAIRS), bits)), name=name)
    return load_board(name, bits)


def paired(board: Board) -> Board:
    """The same board with two products a multiplier: words of weights are as wide as two.

    There are twice the parameters too, so that layers are cut as on the board itself.
    """
    core = board.core
    if core.products == 2:
        return board
    depths = {"weight_depth": core.weight_depth // 2, "param_depth": 2 * core.param_depth}
    return replace(board, core=replace(core, products=2, **depths))


def single(board: Board) -> Board:
    """The same board with one product a multiplier: what figures made by hand are for."""
    core = board.core
    if core.products == 1:
        return board
    return replace(board, core=replace(core, products=1, weight_depth=core.weight_depth * 2))


def compile_network(graph: Graph, network: QuantNetwork, board: Board, **options: Any) -> Compiled:
    """Compile integers made by hand, with whatever names and shapes ``graph`` has."""
    with mock.patch("winogen.compiler.compile.quantise", return_value=network):
        return compile_graph(graph, board, **options)


def run_integers(generator: Generator, q: NDArray[np.int64]) -> NDArray[np.int64]:
    """Output integers (N, C, H, W) for input integers, through the public interface."""
    program = generator.program
    out = generator.generate(q * program.input_format.scale, as_float=True, count=True)
    f = program.output_format
    return np.rint(out.astype(np.float64) / f.scale + f.zero_point).astype(np.int64)


def random_inputs(compiled: Compiled, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Input integers over the whole range of the data width."""
    top = 1 << (compiled.program.data_width - 1)
    rng = np.random.default_rng(seed)
    return rng.integers(-top, top, (count, *compiled.program.input_shape))


def check(compiled: Compiled, device: str, board: Board, q: NDArray[np.int64]) -> None:
    """Run a network on a device of DEVICES; every bit must be that of the integer reference."""
    with Generator(compiled.program, make_device(device, board), board=board) as generator:
        got = run_integers(generator, q)
    np.testing.assert_array_equal(got, run_integer(compiled.network, q))


def small_graph(seed: int = 0, output_range: tuple[float, float] | None = (-1.0, 1.0)) -> Graph:
    """A latent of 5 to images (1, 8, 8): linear, a deconvolution and a table; 3 layers."""
    b = GraphBuilder(seed, (5, 1, 1), "latent")
    b.linear((6, 2, 2))
    b.activation("relu")
    b.deconv(5, 4, 2, 1)
    b.batchnorm()
    b.activation("leaky_relu")
    b.deconv(1, 4, 2, 1)
    b.activation("tanh")
    return b.graph("small", output_range)


@cache
def small(board: str = "tiny", bits: int = 8, batch: int = 2) -> Compiled:
    """The small graph, compiled once for each board and batch."""
    return compile_graph(small_graph(), named(board, bits), batch=batch)


@cache
def small_pictures() -> Program:
    """A network that makes pictures twice as large, in windows of 12 x 16."""
    b = GraphBuilder(0, (1, 12, 16))
    b.input = InputSpec((1, 12, 16), "image", "uniform", None, (0, 1))
    b.conv(4)
    b.activation("relu")
    b.deconv(1)
    b.activation("sigmoid")
    return compile_graph(b.graph("x2", (0, 1)), load_board("tiny"), batch=2).program


class Rig:
    """A core and its memory without pynq: registers and bytes, for what a Generator never does.

    Segments lie apart, each with room to spare; WATCHDOG has its reset value, and windows are as
    wide as can be. ``core`` makes another core than the emulated one, for the memory it is given.
    """

    STREAM = DDR_BASE
    BASES = {segment: DDR_BASE + ((1 + segment) << 20) for segment in Segment}

    def __init__(
        self,
        board: Board,
        *,
        fuse: bool = True,
        gemm: bool = True,
        core: Callable[[EmulatedMemory], Any] | None = None,
        memory_bytes: int = 8 << 20,
    ):
        self.board = board
        self.memory = EmulatedMemory(DDR_BASE, memory_bytes)
        core = core or (lambda memory: EmulatedCore(memory, board, fuse=fuse, gemm=gemm))
        self.core = core(self.memory)
        for segment, base in self.BASES.items():
            self.set(f"{segment.name}_BASE", base)
        self.set("STREAM_BASE", self.STREAM)
        for access in Access:
            self.open(access, (0, 0xFFFF_FFFF))

    def open(self, access: Access, *pages: tuple[int, int]) -> None:
        """Windows of an access, from their first page to their last; the others are closed."""
        names = window_names(access)
        closed = [registers.CLOSED_WINDOW] * (len(names) - len(pages))
        for name, (first, last) in zip(names, [*pages, *closed], strict=True):
            self.set(f"{name}_FIRST", first)
            self.set(f"{name}_LAST", last)

    def get(self, name: str) -> int:
        """A register, or both halves of a 64-bit one."""
        if name in registers.BY_NAME:
            return self.core.read(registers.offset(name))
        low = self.core.read(registers.offset(f"{name}_LO"))
        return low | self.core.read(registers.offset(f"{name}_HI")) << 32

    def set(self, name: str, value: int) -> None:
        if name in registers.BY_NAME:
            self.core.write(registers.offset(name), value)
        else:
            self.core.write(registers.offset(f"{name}_LO"), value & 0xFFFF_FFFF)
            self.core.write(registers.offset(f"{name}_HI"), value >> 32)

    def fields(self, name: str) -> dict[str, int]:
        """A register's fields by name."""
        return registers.unpack(name, self.get(name))

    def counters(self) -> dict[str, int]:
        return {name: self.get(name) for name, _ in registers.COUNTERS}

    def put(self, segment: Segment, data: bytes | NDArray, offset: int = 0) -> None:
        """Bytes of a segment, as the device sees them."""
        self.memory.device_write(self.BASES[segment] + offset, data)

    def bytes(self, segment: Segment, count: int, offset: int = 0) -> bytes:
        return self.memory.device_read(self.BASES[segment] + offset, count).tobytes()

    def start(self, stream: bytes | Sequence[Instruction]) -> dict[str, int]:
        """Run a stream to its end; returns the fields of STATUS."""
        code = stream if isinstance(stream, bytes) else isa.encode(stream)
        self.memory.device_write(self.STREAM, code)
        self.set("STREAM_LENGTH", len(code) // isa.INSTRUCTION_BYTES)
        self.set("CONTROL", registers.pack("CONTROL", start=1))
        return self.fields("STATUS")

    def load(self, compiled: Compiled, q: NDArray[np.int64]) -> None:
        """Weights and inputs of a network, where its streams expect them."""
        self.put(Segment.WEIGHTS, compiled.program.weights)
        self.put(Segment.INPUT, input_words(compiled.program, q))

    def output(self, program: Program, batch: int) -> NDArray[np.int64]:
        """Output integers (N, C, H, W) of a stream that has run."""
        c, h, w = program.stored_shape
        lanes = program.core.co_lanes
        count = batch * -(-c // lanes) * h * w * program.core.word_bytes
        words = np.frombuffer(self.bytes(Segment.OUTPUT, count), storage_dtype(program.data_width))
        grid = words.reshape(batch, -1, h, w, lanes).transpose(0, 1, 4, 2, 3)
        stored = grid.reshape(batch, -1, h, w)[:, :c].astype(np.int64)
        return program.shuffle.apply(stored, program.output_shape)


def input_words(program: Program, q: NDArray[np.int64]) -> NDArray:
    """Input integers (N, C, H, W) as they lie in DRAM: [image][block][row][column][lane]."""
    if program.unfold:
        q = np.stack(list(program.unfold.channels(q)), axis=1)
    count, channels, h, w = q.shape
    lanes = program.core.ci_lanes
    padded = np.zeros((count, -(-channels // lanes) * lanes, h, w), np.int64)
    padded[:, :channels] = q
    words = padded.reshape(count, -1, lanes, h, w).transpose(0, 1, 3, 4, 2)
    return np.ascontiguousarray(words, storage_dtype(program.data_width))


def identity_graph(shape: tuple[int, int, int]) -> Graph:
    """The smallest graph with an input of this shape: for integers made by hand."""
    return Graph("by-hand", InputSpec(shape, "image"), [Node("relu", "relu", ("input",))])


def run_script(script: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, with winogen and the tests' modules."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=seconds, check=False,
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{DRIVER}"},
    )  # fmt: skip
