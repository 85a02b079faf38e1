"""What the coverage simulations run: networks, errors, mutants and resets of the other tests.

Two simulations, one of each data width, live through all of it, so that there are few counts to
add up. What they compute is checked as in the tests that the parts come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np

from support import conformance
from support.bench import DEVICES, Rig, check, compile_network, identity_graph, random_inputs
from support.broken_streams import ILLEGAL
from support.rtl import errors, mutants
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
from winogen.emulation.rtl import BuildOptions, RtlCore
from winogen.runtime.open import rtl_device
from winogen.target import registers
from winogen.target.board import load_board
from winogen.target.isa import CLASSES, FIELDS, Instruction, Opcode
from winogen.target.numerics import activation_table
from winogen.target.registers import BY_NAME, Segment

BOARD = Path(__file__).with_name("coverage_board.yaml")
#: Lets the tests of all boards have this one.
BOARDS = mock.patch.object(conformance, "BOARDS", (str(BOARD),) * 2)
OPTIONS = BuildOptions(coverage=True)
WIDTHS = (8, 16)
STALLS = 0.3
NETWORKS = 12
MUTANTS = 60
RESETS = 30
FIELDS_TRIED = 20
BASES_TRIED = 8


class Stimuli:
    """The simulations, and what they run; nothing of it returns anything, wrong bits raise."""

    def __init__(self) -> None:
        self._devices = {
            bits: rtl_device(load_board(BOARD, bits), options=OPTIONS) for bits in WIDTHS
        }
        DEVICES["coverage"] = lambda board: self._devices[board.core.data_width]
        # The streams of tiny, on the same build as the device of 8 bits.
        board = replace(TINY, core=load_board(BOARD, 8).core)
        options = {"bytes_per_cycle": 8.0, "max_cycles": 500_000}
        self._rig = rtl(board, options=OPTIONS, **options)
        self._model = Rig(board, fuse=False)
        self._model.set("WATCHDOG", WATCHDOG)

    @property
    def cores(self) -> list[RtlCore]:
        """The simulations that count."""
        return [*(device.core for device in self._devices.values()), self._rig.core]

    def parts(self) -> list[Callable[[], None]]:
        """What to run, in this order."""
        return [
            self.register_file,
            *(lambda bits=bits: self.layers(bits) for bits in WIDTHS),
            self.modes,
            self.random_networks,
            self.extremes,
            self.weights_in_turn,
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
        for rig in (self._rig, self._model):
            for name, register in BY_NAME.items():
                if register.access == "rw":
                    rig.set(name, registers.pack(name, **{f.name: 1 for f in register.fields}))
        assert everything(self._rig) == everything(self._model)
        for rig in (self._rig, self._model):
            rig.set("WATCHDOG", WATCHDOG)
            restore(rig)

    def layers(self, bits: int) -> None:
        """Every kind of layer."""
        for make in conformance.LAYERS.values():
            conformance.check_graph(make, "coverage", str(BOARD), bits)

    def modes(self) -> None:
        """Convolutions and deconvolutions in every mode, under stalls."""
        device = self._devices[8]
        device.core.set_stalls(STALLS)
        for name in ("conv-3x3", "deconv-5x5", "deconv-single-input"):
            for mode in Mode:
                make = conformance.LAYERS[name]
                conformance.check_graph(make, "coverage", str(BOARD), 8, mode.value)
        device.core.set_stalls(0.0)

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
