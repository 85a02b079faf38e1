"""What the coverage simulations run: networks, errors, mutants and resets of the other tests.

Two simulations, one of each data width, live through all of it, so that there are few counts to
add up. What they compute is checked as in the tests that the parts come from.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from unittest import mock

import numpy as np

from support import coded, conformance
from support.bench import DEVICES, Rig, check, compile_network, identity_graph, random_inputs
from support.broken_streams import ILLEGAL
from support.random_graphs import GraphBuilder
from support.rtl import errors, mutants
from support.rtl.coverage_report import Point, read
from support.rtl.logic import (
    TINY,
    WATCHDOG,
    assert_right,
    everything,
    find,
    interrupted,
    restore,
    rtl,
    stream,
)
from winogen.compiler.lower import Mode
from winogen.compiler.shape import ConvShape
from winogen.emulation.device.emulated import EmulatedDevice
from winogen.emulation.device.memory import EmulatedMemory
from winogen.emulation.rtl import BuildOptions, RtlCore
from winogen.runtime.open import device_of
from winogen.target import registers
from winogen.target.board import Board, load_board
from winogen.target.isa import CLASSES, FIELDS, Instruction, LoadWeights, Opcode
from winogen.target.numerics import activation_table
from winogen.target.registers import BY_NAME, Segment

BOARD = Path(__file__).with_name("coverage_board.yaml")
#: Lets the tests of all boards have this one.
BOARDS = mock.patch.object(conformance, "BOARDS", (str(BOARD),) * 2)
OPTIONS = BuildOptions(coverage=True)
WIDTHS = (8, 16)
STALLS = 0.3
STRIDES = range(2, 7)
TIMES_TRACED = 80
NETWORKS = 12
MUTANTS = 60
RESETS = 30
FIELDS_TRIED = 20
BASES_TRIED = 8


def _strided(stride: int, b: GraphBuilder) -> None:
    b.conv(9, 3)
    b.conv(9, 2, stride, 0)


class Stimuli:
    """The simulations, and what they run; nothing of it returns anything, wrong bits raise."""

    def __init__(self) -> None:
        self._live: dict[int, RtlCore] = {}
        devices = {bits: self._device(load_board(BOARD, bits)) for bits in WIDTHS}
        DEVICES["coverage"] = lambda board: devices[board.core.data_width]
        # The streams of the tests of errors, on the same build as the device of 8 bits.
        board = replace(TINY, core=load_board(BOARD, 8).core)
        options = {"bytes_per_cycle": 8.0, "max_cycles": 500_000}
        self._rig = rtl(board, options=OPTIONS, **options)
        self._model = Rig(board, fuse=False)
        self._model.set("WATCHDOG", WATCHDOG)

    def counts(self) -> Counter[Point]:
        """What was counted until now."""
        counts: Counter[Point] = Counter()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "coverage.dat"
            for core in (*self._live.values(), self._rig.core):
                core.write_coverage(path)
                counts.update(read(path))
        return counts

    def _device(self, board: Board) -> EmulatedDevice:
        """One whose logic goes on, and counts, where another overlay would begin anew."""
        bits = board.core.data_width

        def core(memory: EmulatedMemory) -> RtlCore:
            if bits not in self._live:
                self._live[bits] = RtlCore(memory, board, options=OPTIONS)
            return self._live[bits]

        return device_of("rtl", board, core)

    def parts(self) -> list[Callable[[], None]]:
        """What to run, in this order."""
        return [
            self.register_file,
            *(lambda bits=bits: self.layers(bits) for bits in WIDTHS),
            self.modes,
            self.random_networks,
            self.extremes,
            self.weights_in_turn,
            self.coded_weights,
            self.strides,
            self.traced,
            self.descriptors,
            self.random_fields,
            self.tables,
            self.bus,
            self.random_bases,
            self.watchdog,
            self.mutated_streams,
            self.resets,
        ]

    def register_file(self) -> None:
        """All are read and written; none is a surprise."""
        writable = {n: r.fields for n, r in BY_NAME.items() if r.access == "rw"}
        before = {n: self._rig.get(n) for n in writable}
        for rig in (self._rig, self._model):
            for name, fields in writable.items():
                rig.set(name, registers.pack(name, **{f.name: 1 for f in fields}))
        assert everything(self._rig) == everything(self._model)
        for rig in (self._rig, self._model):
            for name, value in before.items():
                rig.set(name, value)
            restore(rig)

    def layers(self, bits: int) -> None:
        """Every kind of layer."""
        for make in conformance.LAYERS.values():
            conformance.check_graph(make, "coverage", str(BOARD), bits)

    def modes(self) -> None:
        """Convolutions and deconvolutions in every mode, under stalls."""
        self._live[8].set_stalls(STALLS)
        for name in ("conv-3x3", "deconv-5x5", "deconv-single-input"):
            for mode in Mode:
                make = conformance.LAYERS[name]
                conformance.check_graph(make, "coverage", str(BOARD), 8, mode.value)
        self._live[8].set_stalls(0.0)

    def random_networks(self) -> None:
        """Networks in random modes and batches."""
        with BOARDS:
            for seed in range(NETWORKS):
                conformance.check_random(seed, "coverage")

    def extremes(self) -> None:
        """Extreme weights and activations, and a table that leaves the range of outputs."""
        with BOARDS:
            for bits in WIDTHS:
                conformance.check_extremes("coarse", bits, "coverage")
        board = load_board(BOARD)
        shape = ConvShape(False, (3, 3), (1, 1), (1, 1), (5, 6), (5, 6))
        network = conformance.extreme_network(shape, (5, 6), 8, "coarse", 0, True)
        network.layers[0].table = activation_table(lambda x: np.sign(x) * (1 << 15), 1.0)
        made = compile_network(identity_graph(network.input.shape), network, board, batch=1)
        check(made, "coverage", board, random_inputs(made, 1))

    def weights_in_turn(self) -> None:
        """Direct weights wait until Winograd weights before them are transformed and written."""
        weights = [stream()[find(Opcode.LOAD_WEIGHTS, nth)] for nth in (1, 0)]
        assert [x.winograd for x in weights] == [1, 0]
        for x in weights:
            x.wait = x.signal = 0
        restore(self._rig)
        assert self._rig.start([*stream(), *weights])["done"]

    def coded_weights(self) -> None:
        """Weights that the logic decodes, right ones on all modes, and wrong ones."""
        board = load_board(BOARD)
        for mode in Mode:
            made = coded.compiled(board, batch=2, mode=mode.value)
            check(made, "coverage", board, random_inputs(made, 3))
        made = coded.compiled(self._rig.board, batch=1)
        q = random_inputs(made, 1)
        rng = np.random.default_rng(0)
        for _ in range(MUTANTS):
            wrong = coded.changed(made, rng)
            ends = [coded.outcome(rig, made, q, *wrong) for rig in (self._model, self._rig)]
            assert ends[0] == ends[1], wrong[0]
        stream = made.program.streams[0].instructions
        for index in (n for n, x in enumerate(stream()) if isinstance(x, LoadWeights)):
            short = stream()
            short[index].beats = 1  # it ends before its codes are known
            ends = [coded.outcome(rig, made, q, short, made.program.weights)
                    for rig in (self._model, self._rig)]  # fmt: skip
            assert ends[0] == ends[1], short[index]
        restore(self._rig)
        restore(self._model)

    def strides(self) -> None:
        """Views of every step between two columns, of a layer whose input is not the network's."""
        for bits, stride in product(WIDTHS, STRIDES):
            made = conformance.layer(partial(_strided, stride), (9, 5, 17))
            conformance.check_graph(made, "coverage", str(BOARD), bits)

    def traced(self) -> None:
        """Begins and ends of instructions, also more of them than there is room for."""
        for times, overflow in ((1, 0), (TIMES_TRACED, 1)):
            instructions = stream() * times
            self._rig.set("TRACE_LENGTH", len(instructions))
            restore(self._rig)
            assert self._rig.start(instructions)["done"]
            count = self._rig.fields("TRACE_COUNT")
            assert count["records"]
            assert count["overflow"] == overflow
        self._rig.set("TRACE_LENGTH", 0)
        restore(self._rig)

    def descriptors(self) -> None:
        """Instructions that are refused, and instructions that are none."""
        for what in ILLEGAL:
            errors.illegal_descriptor(what, self._rig)
        for what in ("poison", "zeros", "opcode", "reserved"):
            errors.bad_opcode(7, what, self._rig)
        errors.bad_streams(self._rig)

    def random_fields(self) -> None:
        """Instructions of any numbers: nearly all are refused, as the emulator does."""
        rng = np.random.default_rng(0)
        for _ in range(FIELDS_TRIED):
            for opcode, fields in FIELDS.items():
                values = {
                    n: int(rng.integers(1 << (f.width - f.signed)))
                    for n, f in fields.items()
                    if n not in ("opcode", "wait", "signal", "layer")
                }
                self._same_end([CLASSES[opcode](**values)])

    def random_bases(self) -> None:
        """Memory anywhere in 64 bits of address: nothing answers there."""
        rng = np.random.default_rng(0)
        for name in ("STREAM", *(segment.name for segment in Segment)) * BASES_TRIED:
            address = int(rng.integers(1 << 58)) << 6
            for rig in (self._rig, self._model):
                rig.set(f"{name}_BASE", address)
            self._same_end(stream())

    def _same_end(self, instructions: list[Instruction]) -> None:
        """The simulation's stream ends as the emulator's does."""
        seen = []
        for rig in (self._rig, self._model):
            with np.errstate(all="ignore"):
                rig.start(instructions)
            seen.append([rig.get(n) for n in ("STATUS", "ERROR_CODE", "ERROR_INSTRUCTION",
                                              "ERROR_ADDRESS")])  # fmt: skip
            restore(rig)
        assert seen[0] == seen[1], instructions

    def tables(self) -> None:
        """Wrong entries of tables and parameters."""
        for what in errors.ENTRIES:
            errors.illegal_table_entry(what, self._rig)
        for what in errors.CLAMPS:
            errors.illegal_clamp(what, self._rig)

    def bus(self) -> None:
        """Error responses to every master."""
        for code in errors.AXI:
            errors.bus_errors_of_every_load_and_store(code, self._rig)
            for index in (0, 5):
                errors.bus_errors_of_fetch(code, index, self._rig)
        errors.bus_errors_of_two_loads(self._rig)

    def watchdog(self) -> None:
        """A stream that cannot go on."""
        errors.a_deadlock(self._rig)

    def mutated_streams(self) -> None:
        """Mutated streams; they leave anything in the memories."""
        for seed in range(MUTANTS):
            case = mutants.mutant(np.random.default_rng(seed))
            if not mutants.too_long(case):
                mutants.compare(case, self._model, self._rig)
        restore(self._rig)

    def resets(self) -> None:
        """Soft resets under stalls."""
        self._rig.core.set_stalls(STALLS)
        assert_right(self._rig)
        last = self._rig.get("CYCLES")
        for cycles in np.random.default_rng(0).integers(last, size=RESETS).tolist():
            interrupted(self._rig, cycles)
        assert_right(self._rig)
