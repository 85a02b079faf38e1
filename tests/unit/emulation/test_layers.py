"""What is computed as products of bytes, and what is left to floats or to the machine."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from support import coded
from support.bench import Rig, compile_network, named, random_inputs, small
from support.random_graphs import GraphBuilder
from winogen.compiler.quantise import quantise
from winogen.emulation.emulator import fast, gemm, layers, requantise
from winogen.emulation.emulator.jobs import Kernel
from winogen.target import isa, numerics
from winogen.target.isa import Params
from winogen.target.numerics import Requantiser
from winogen.target.registers import Segment
from winogen.target.weight_code import Coding

needs_gemm = pytest.mark.skipif(not gemm.available(), reason="no exact products of bytes here")


def kernel(**changes) -> Kernel:
    """A 2x2 convolution with tiles of 2: every output reads its four neighbours."""
    outputs = list(itertools.product(range(2), range(2)))
    fields = {
        "winograd": False,
        "tile": 2,
        "tiles": (3, 3),
        "origin": (0, 0),
        "patch": (0, 3, 0, 3),
        "products": tuple(
            tuple((4 * (i + a) + j + b, 2 * a + b) for a, b in outputs) for i, j in outputs
        ),
        "accumulators": tuple((0, 2 * i + j) for i, j in outputs),
        "window": ((0, 1, 3, 4),),
        "positions": ((),),
    }
    return Kernel(**{**fields, **changes})


def test_taps_of_the_direct_mode():
    assert layers.phase_taps(kernel()) == [[(0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 3)]]


def test_taps_of_the_winograd_mode():
    made = kernel(winograd=True, patch=(0, 4, 0, 4), products=(((0, 0),),), accumulators=((0, 0),))
    assert layers.phase_taps(made) == [[(0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 3)]]
    none = kernel(winograd=True, patch=(0, 4, 0, 4), products=((),), accumulators=((0, 0),))
    assert layers.phase_taps(none) == [[]]


def test_outputs_of_a_tile_that_differ_are_no_convolution():
    products = kernel().products
    for wrong in (
        (*products[:3], products[3][:3]),  # one lacks a tap
        (*products[:3], ((0, 0), *products[3][1:])),  # or reads what lies before it
        (*products[:3], ((10, 1), *products[3][1:])),  # or another weight
    ):
        with pytest.raises(layers.NotPlain):
            layers.phase_taps(kernel(products=wrong))


@pytest.mark.parametrize("winograd", [False, True])
def test_places_that_are_not_loaded_are_zero_and_no_part_of_the_region(winograd):
    with pytest.raises(layers.NotPlain):
        layers.phase_taps(kernel(winograd=winograd, patch=(0, 2, 0, 3)))


@needs_gemm
def test_trained_layers_are_products_of_bytes(monkeypatch):
    """None of a compiled network is left to floats."""
    monkeypatch.setattr(fast.FastJobs, "_run_chain", None)
    board = named("tiny")
    rig = Rig(board)
    compiled = small()
    q = np.zeros((2, *compiled.program.input_shape), np.int64)
    rig.load(compiled, q)
    stream = next(s for s in compiled.program.streams if s.batch == 2)
    assert rig.start(stream.stream)["done"]


@needs_gemm
def test_weights_that_became_inexact_stay_so(monkeypatch):
    """What was made of the weights before is not used at the second run either."""
    rig, compiled = Rig(named("tiny")), small()
    rig.load(compiled, np.zeros((2, *compiled.program.input_shape), np.int64))
    stream = next(s for s in compiled.program.streams if s.batch == 2)
    assert rig.start(stream.stream)["done"]
    jobs = rig.core._fast
    held = jobs._jobs.values()[0]
    held.version = -1  # as if a weight had changed

    def inexact(job, operands):
        raise fast.NotExact

    monkeypatch.setattr(fast, "PlainJob", inexact)
    for _ in range(2):
        with pytest.raises(fast.NotExact):
            jobs.run(held.job)


@needs_gemm
def test_products_of_streams_that_are_forgotten_are_let_go():
    """A program of many exits and batches has more streams than are kept."""
    rig, stream = Rig(named("tiny")), small().program.streams[0]
    rig.load(small(), random_inputs(small(), 1))
    counts = []
    for number in range(20):
        rig.set("OUTPUT_BASE", rig.BASES[Segment.OUTPUT] + (number << 12))  # another stream
        assert rig.start(stream.stream)["done"]
        counts.append(len(rig.core._fast._jobs.values()))
    assert counts[15:] == [counts[15]] * 5 == [16 * counts[0]] * 5
    rig.put(Segment.WEIGHTS, small().program.weights)  # maybe others: all is looked at anew
    assert rig.start(stream.stream)["done"]
    assert len(rig.core._fast._jobs.values()) == counts[15]


@needs_gemm
def test_where_onnxruntime_fails_floats_do_it(monkeypatch):
    """For want of memory or threads, say: the bits are the same."""
    compiled, stream = small(), small().program.streams[-1]
    q = random_inputs(compiled, stream.batch)
    machine, rig = Rig(named("tiny"), fuse=False), Rig(named("tiny"))

    def failing(matrix, threads, weights):
        raise RuntimeError("pthread_create failed")

    monkeypatch.setattr(gemm, "_SHORT", 0)
    monkeypatch.setattr(gemm, "_session", failing)
    for each in (machine, rig):
        each.load(compiled, q)
        assert each.start(stream.stream)["done"]
    outputs = [each.output(compiled.program, stream.batch) for each in (machine, rig)]
    np.testing.assert_array_equal(*outputs)
    assert all(held.plain is None for held in rig.core._fast._jobs.values())


@pytest.mark.parametrize("gemm", [True, False])
def test_coded_weights_that_nothing_multiplies_may_be_wrong(gemm):
    """Those of taps that see the padding alone: the machine stops at their stream all the same."""
    b = GraphBuilder(3, (8, 1, 1), "image")
    b.conv(24, 4, 1, 2)
    graph = b.graph("far", None)
    network = coded.shared(quantise(graph, 8))
    compiled = compile_network(graph, network, named("tiny"), batch=1)
    code, weights = compiled.program.streams[0].stream, compiled.program.weights
    loads = [x for x in isa.decode(code) if isinstance(x, isa.LoadWeights)]
    rig, machine = Rig(named("tiny"), gemm=gemm), Rig(named("tiny"), fuse=False)
    for each in (rig, machine):
        each.load(compiled, np.zeros((1, 8, 1, 1), np.int64))
    for load in loads:
        assert load.coding == Coding.BITMAP
        wrong = bytearray(weights)
        wrong[load.offset + 16 : load.offset + 24] = b"\xff" * 8  # two bitmaps without a zero
        told = []
        for each in (rig, machine):
            each.put(Segment.WEIGHTS, bytes(wrong))
            done = each.start(code)["done"]
            told.append((done, each.get("ERROR_CODE"), each.get("ERROR_INSTRUCTION")))
        assert told[0] == told[1]
        assert not told[1][0]


@pytest.mark.parametrize(("channels", "exact"), [(3669, True), (3671, False)])
def test_winograd_sums_that_could_wrap_are_not_the_plain_ones(channels, exact):
    """Four times 9 * channels products of -128 and 127 have 31 bits, or more."""
    view = SimpleNamespace()
    made = kernel(winograd=True, window=(tuple(range(9)),), products=(((0, 0),),))
    taps = np.full((9, channels, 1), 127, np.int8)
    core = SimpleNamespace(ci_lanes=8, products=1)
    job = layers.PlainJob.__new__(layers.PlainJob)
    job._operands = SimpleNamespace(taps=lambda _: taps, core=core)
    fused = SimpleNamespace(view=view, kernel=made)
    assert (4 * 9 * channels * 127 * 128 < 1 << 31) == exact
    if exact:
        assert job._weights(fused) is taps
    else:
        with pytest.raises(layers.NotPlain):
            job._weights(fused)


def params(**values: list[int]) -> Params:
    channels = len(next(iter(values.values())))
    fields = {"bias": [0], "positive": [1 << 14], "negative": [1 << 14], "shift": [15],
              "low": [-128], "high": [127], **values}  # fmt: skip
    arrays = {f.name: np.resize(fields[f.name], channels) for f in isa.PARAM_FIELDS}
    return Params(**{name: a.reshape(1, 1, -1).astype(np.int64) for name, a in arrays.items()})


SUMS = np.array([-(1 << 31), -(1 << 24) - 1, -3, -2, -1, 0, 1, 2, 3, 1 << 24, (1 << 31) - 1])


@pytest.mark.parametrize("largest", [None, (1 << 31) - 1])
@pytest.mark.parametrize("shift", [1, 13, 14, 30, 36, 37, 44, 45, 46, 62])
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (1, 0)])
@pytest.mark.parametrize("table", [False, True])
def test_requantisation_is_that_of_integers(shift, signs, table, largest):
    """At every shift, where float64 holds all bits and where it does not."""
    multiplier = [(1 << 15) - 1, 1 << 14, 1, 0x5A5A, (1 << 15) - 2]
    low, high = numerics.int_range(16 if table else 8)
    p = params(positive=[m * signs[0] for m in multiplier],
               negative=[m * signs[1] for m in multiplier],
               shift=[shift] * 5, low=[low], high=[high], bias=[0, 1, -1, 77, -12345])  # fmt: skip
    steps = numerics.activation_table(lambda x: 3000 * np.tanh(x) * 10, 4.0) if table else None
    sums = np.concatenate([SUMS, *[SUMS // d for d in (3, 1000)]])
    sums = np.stack([sums + n for n in range(-2, 3)], axis=1)
    total = np.clip(sums, -(1 << 31), (1 << 31) - 1).astype(np.int32)
    if largest is not None:  # and no sum wraps with its bias
        total = np.clip(total, -(1 << 30), 1 << 30).astype(np.int32)
        largest = 1 << 30
    got = requantise.Requantise(p, [0], steps, 8, largest)(total)
    biased = numerics.wrap(total + p.bias[:, 0].reshape(-1), 32)
    names = ("positive", "negative", "shift", "low", "high")
    wanted = Requantiser(*(getattr(p, name)[0, 0] for name in names))(biased)
    if table:
        wanted = numerics.apply_table(steps, wanted, 8)
    np.testing.assert_array_equal(got, wanted)


def just_below_a_half(shift: int, largest: int) -> tuple[int, int] | None:
    """A multiplier and a sum whose product is 2**-shift below some half, if there are any."""
    for multiplier in range((1 << 15) - 1, 1, -2):
        odd = pow(1 << (shift - 1), -1, multiplier)
        if odd % 2 and odd < 2 * largest and (odd << (shift - 1)) < multiplier << 31:
            return multiplier, ((odd << (shift - 1)) - 1) // multiplier
    return None


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("shift", range(42, 47))
def test_what_is_nearly_a_half_is_rounded_down(shift, table):
    """The last bit that float64 has to hold beside the code's."""
    low, high = numerics.int_range(16 if table else 8)
    found = just_below_a_half(shift, high)
    if found is None:
        pytest.skip("no such product")
    multiplier, total = found
    p = params(positive=[multiplier], negative=[multiplier], shift=[shift], low=[low], high=[high])
    steps = np.arange(-(1 << 15), 1 << 15, 1 << 6).astype(np.int16) if table else None
    steps = None if steps is None else np.append(steps, np.int16((1 << 15) - 1))
    got = requantise.Requantise(p, [0], steps, 8, (1 << 31) - 1)(np.array([[total]], np.int32))
    exact = (total * multiplier + (1 << (shift - 1))) >> shift
    wanted = np.array([[min(max(exact, low), high)]])
    if table:
        wanted = numerics.apply_table(steps, wanted, 8)
    np.testing.assert_array_equal(got, wanted)
