"""Program files that were made to do harm: right checksums, wrong intentions."""

from __future__ import annotations

import json
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from support.bench import small, small_graph
from support.broken_streams import bent, flipped
from support.strategies import drawn, examples
from winogen.common.errors import BoardError, DeviceError, ProgramError, WinogenError
from winogen.compiler.compile import compile_graph
from winogen.program.container import MAGIC
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.open import emulated_device, open_device
from winogen.runtime.overlay import bundled_overlay, check_build
from winogen.target import isa
from winogen.target.board import CoreConfig, load_board
from winogen.target.hwh import IP_NAME, core_parameters
from winogen.target.isa import LoadInput, Store

TINY = load_board("tiny")
#: What tells nothing but the first 32 bits of the hash from the board that it claims to be for.
OTHER = replace(TINY.core, weight_depth=2 * TINY.core.weight_depth)
ESCAPE = "\x1b]0;owned\x07\x9b2J\u202e"


def changed(data: bytes, change: Any) -> bytes:
    """The file with its header changed, and a right checksum."""
    (length,) = struct.unpack_from("<I", data, len(MAGIC))
    start = len(MAGIC) + 4
    header = json.loads(data[start : start + length])
    change(header)
    text = json.dumps(header).encode()
    body = MAGIC + struct.pack("<I", len(text)) + text + data[start + length : -32]
    return body + sha256(body).digest()


@pytest.fixture
def collide(monkeypatch):
    """Every build has the same first 32 bits of its hash."""
    real, first = CoreConfig.config_hash, TINY.core.config_hash[:8]
    colliding = property(lambda core: first + real.fget(core)[8:])
    monkeypatch.setattr(CoreConfig, "config_hash", colliding)


# Names


@pytest.mark.parametrize(
    "name", ["../../tmp/evil", "/tmp/evil", "..", ".", "", "a/b", "a\\b", "a\0b", "x" * 65, ESCAPE]
)
def test_a_boards_name_is_no_path(name):
    data = changed(small().program.tobytes(), lambda h: h["board"].update(name=name))
    with pytest.raises(ProgramError, match="board field name may hold letters") as error:
        Program.frombytes(data, "x.wg")
    assert str(error.value).isprintable()


def test_a_board_is_found_by_its_name_alone(tmp_path):
    """Neither a description nor a bitstream is read from a folder that a program names."""
    for place in (tmp_path, Path("..") / "overlay" / "tiny", "tiny/.", "./tiny", "tiny/../tiny"):
        with pytest.raises(BoardError, match="unknown board"):
            load_board(str(place))


def test_a_bitstream_is_that_of_a_board_that_exists(monkeypatch):
    """Also where a board was made in Python, without the check of its name."""
    monkeypatch.delenv("BOARD", raising=False)
    board = replace(TINY, name="mine")
    with pytest.raises(DeviceError, match="no overlay for a board 'mine'; give the path"):
        bundled_overlay(board)
    object.__setattr__(board, "name", "../../evil")
    with pytest.raises(DeviceError, match="no overlay for a board"):
        bundled_overlay(board)


@pytest.mark.parametrize("field", ["board_part", "clock_source", "ddr_part"])
def test_texts_for_tools_hold_no_commands(field):
    platform = load_board("pynq-z2").platform
    with pytest.raises(BoardError, match=f"platform field {field} may hold letters"):
        replace(platform, **{field: "x}; exec rm [list]"})


def test_names_do_not_command_a_terminal():
    def name(header: dict[str, Any]) -> None:
        header["name"] = f"net{ESCAPE}"
        header["layers"][0] |= {"name": ESCAPE, "kind": ESCAPE, "mode": ESCAPE}

    program = Program.frombytes(changed(small().program.tobytes(), name))
    assert program.name == "net?]0;owned??2J?"
    layer = program.layers[0]
    assert all(text.isprintable() for text in (layer.name, layer.kind, layer.mode))


# The build


def with_core(core: CoreConfig) -> Program:
    program = small().program
    return replace(program, board=replace(program.board, core=core))


@pytest.mark.usefixtures("collide")
def test_32_equal_bits_of_a_hash_are_not_enough():
    """A program for a larger build would be accepted, and would write beyond its memories."""
    program = Program.frombytes(with_core(OTHER).tobytes())
    assert program.core.config_hash32 == TINY.core.config_hash32
    with pytest.raises(ProgramError, match="weight_depth"):
        Generator(program, "emulator", board=TINY)
    opened = open_device("emulator", TINY)
    try:
        with pytest.raises(DeviceError, match=r"is of build configuration [0-9a-f]{64}"):
            Generator(program, opened)
    finally:
        opened.core.close()


@pytest.mark.usefixtures("collide")
@pytest.mark.parametrize("name", ["weight_depth", "step_depth", "output_depth", "tile_lanes"])
def test_the_registers_tell_it_too(name):
    """Where the .hwh says nothing at all, as that of another flow."""
    opened = open_device("emulator", TINY)
    try:
        opened.core.check_identity(TINY.core)
        value = getattr(TINY.core, name)
        with pytest.raises(
            DeviceError, match=f"the accelerator has {name} {value}, the program needs {2 * value}"
        ):
            opened.core.check_identity(replace(TINY.core, **{name: 2 * value}))
    finally:
        opened.core.close()


def test_all_that_a_hwh_tells_is_compared(collide):
    parameters = core_parameters(TINY.core)
    check_build(Path("x.bit"), {"parameters": parameters}, TINY)
    check_build(Path("x.bit"), {"parameters": {}}, TINY)
    first, rest = TINY.core.config_hash[:8], TINY.core.config_hash[8:]
    for text in (first + rest[::-1], (first + rest[::-1]).upper()):
        with pytest.raises(DeviceError, match=f"configuration {first}{rest[::-1]}"):
            check_build(Path("x.bit"), {"parameters": {"config_hash": text}}, TINY)
    for name, value in core_parameters(TINY.core).items():
        if name != "config_hash":
            for wrong in (int(value) + 1, hex(int(value) + 1)):
                with pytest.raises(DeviceError, match=f"{name} {wrong} instead of {value}"):
                    check_build(Path("x.bit"), {"parameters": {name.upper(): str(wrong)}}, TINY)
    # As the wrapper's parameters, which have one name for both kinds of lanes.
    vivado = {"LANES": str(TINY.core.ci_lanes), "CONFIG_HASH": hex(TINY.core.config_hash32)}
    check_build(Path("x.bit"), {"parameters": vivado}, TINY)
    with pytest.raises(DeviceError, match="lanes 99 instead of"):
        check_build(Path("x.bit"), {"parameters": {"LANES": "99"}}, TINY)
    for name in ("config_hash", "input_depth"):
        with pytest.raises(DeviceError, match="is no number"):
            check_build(Path("x.bit"), {"parameters": {name: "no"}}, TINY)


# Instructions


def with_stream(change: Any) -> Program:
    """A program that was never loaded, with the first stream's first instruction that can change.

    ``change`` says whether it did.
    """
    program = small().program
    stream = program.streams[0]
    instructions = stream.instructions()
    next(x for x in instructions if change(x))
    code = isa.encode(instructions)
    return replace(program, streams=(replace(stream, stream=code),))


@pytest.mark.parametrize("kind", [LoadInput, Store])
def test_instructions_stay_in_the_memory_that_was_allocated(kind):
    def move(x: Any) -> bool:
        if isinstance(x, kind):
            x.offset = 1 << 24
        return isinstance(x, kind)

    outside = pytest.raises(ProgramError, match=r"reaches outside the \w+ buffer of \d+ bytes")
    with Generator(with_stream(move), "emulator") as generator, outside:
        generator.generate(generator.latents(1))


#: What a build may have twice as much of; of the last four no register tells.
DOUBLED = ("input_depth", "weight_depth", "psum_depth", "output_depth", "step_depth", "tile_lanes",
           "accumulator_depth", "phase_depth", "param_depth", "read_ports")  # fmt: skip
UNTOLD = DOUBLED[6:]


@cache
def made_for(doubled: str | None) -> Program:
    """The small network for the tiny board, or for one that has twice as much of something."""
    core = TINY.core
    if doubled:
        core = replace(core, **{doubled: 2 * getattr(core, doubled)})
    return compile_graph(small_graph(), replace(TINY, core=core), batch=1).program


@pytest.mark.usefixtures("collide")
@pytest.mark.parametrize("count", [100, pytest.param(5000, marks=pytest.mark.long)])
def test_nothing_is_written_outside_of_the_buffers(count):
    """Whatever a stream's words are: it is refused, or it leaves the rest of the memory alone.

    Half of the programs are for another build, whose hash begins with the same 32 bits; for half of
    the runs the .hwh says nothing of the build either.
    """
    board = replace(TINY, contiguous_mib=2)
    device = emulated_device(board)
    opened = open_device(device, board)
    pool = device.memory.device_view()[-(3 << 20) :]  # and a MiB that is in front of it
    below = device.memory.base, device.memory.size - len(pool)
    start = device.memory.base + below[1]
    told = opened.overlay.ip_dict[IP_NAME]
    silent = {**told, "parameters": {}}
    ends: Counter[str] = Counter()

    @examples(count)
    @given(drawn())
    def attack(rng: Any) -> None:
        doubled = str(rng.choice(DOUBLED)) if rng.integers(2) else None
        program = made_for(doubled)
        stream = program.streams[0]
        code = (flipped if rng.integers(4) == 0 else bent)(rng, stream.stream)
        hostile = replace(program, streams=(replace(stream, stream=code),))
        with suppress(ProgramError):  # else as one that was made in Python
            hostile = Program.frombytes(hostile.tobytes())
        is_told = bool(rng.integers(2))
        opened.overlay.ip_dict[IP_NAME] = told if is_told else silent
        pool[:] = 0xA5
        version = device.memory.device_version(*below)
        if doubled and (is_told or doubled not in UNTOLD):
            with pytest.raises(DeviceError):
                Generator(hostile, opened, timeout=5)
            assert np.all(pool == 0xA5)
            assert device.memory.device_version(*below) == version
            ends["of another build"] += 1
            return
        with Generator(hostile, opened, timeout=5) as generator:
            z = generator.latents(1)
            with suppress(WinogenError):
                generator.generate(z)  # allocates
            outside = np.ones(len(pool), bool)
            for buffer in generator._runner.buffers.values():
                first = buffer.device_address - start
                outside[first : first + -(-buffer.nbytes // 64) * 64] = False  # cache lines
            pool[outside] = 0xA5
            version = device.memory.device_version(*below)
            try:
                generator.generate(z)
                ends["ran"] += 1
            except WinogenError:
                ends["refused"] += 1
            assert np.all(pool[outside] == 0xA5)
            assert device.memory.device_version(*below) == version

    try:
        attack()
    finally:
        opened.overlay.ip_dict[IP_NAME] = told
        opened.core.close()
    assert min(ends["ran"], ends["refused"], ends["of another build"]) > 0  # some are harmless


# Time


@pytest.mark.parametrize("cycles", [1 << 61, (1 << 40) + 1, 0])
def test_predictions_are_bounded(cycles):
    def change(header: dict[str, Any]) -> None:
        header["streams"][0]["cycles"] = cycles

    with pytest.raises(ProgramError, match="the predicted cycles of batch 1 are wrong"):
        Program.frombytes(changed(small().program.tobytes(), change))


@pytest.mark.parametrize("cycles", [1 << 61, (1 << 40) + 1])
def test_predictions_of_layers_are_bounded(cycles):
    def change(header: dict[str, Any]) -> None:
        header["streams"][0]["layer_cycles"][1] = cycles

    with pytest.raises(ProgramError, match="the predicted cycles of batch 1 are wrong"):
        Program.frombytes(changed(small().program.tobytes(), change))


def test_deadlines_are_bounded():
    """The slowest clock and the longest prediction that a header may have."""

    def change(header: dict[str, Any]) -> None:
        header["streams"][0]["cycles"] = 1 << 40
        header["board"]["clock_mhz"] = 1

    program = Program.frombytes(changed(small().program.tobytes(), change))
    with Generator(program, "emulator") as generator:
        deadline = generator._runner._deadline(program.streams[0])
        assert deadline.seconds == 3600
        assert "at most 3600 s" in str(deadline)
