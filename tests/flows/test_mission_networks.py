"""The networks that winogen is for, on every device: the same bits as the integer reference.

The default suite runs them narrow (an eighth of the channels); the long one as published.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from support.bench import check, random_inputs
from support.onnx_oracle import run_onnx
from winogen.common.errors import ScheduleError
from winogen.compiler.compile import Compiled, compile_graph
from winogen.emulation.device import ContiguousMemoryError
from winogen.network import reference, zoo
from winogen.network.definition import RandomParameters, load_definition
from winogen.network.graph import Graph
from winogen.program.formats import sample_inputs
from winogen.runtime.generator import Generator
from winogen.target.board import Board, load_board

NETWORKS = (
    "artgan", "artgan-deconv", "dcgan-4x4", "dcgan-5x5", "discogan", "discogan-bottleneck",
    "fsrcnn-x2", "fsrcnn-x3", "fsrcnn-x4", "gp-gan",
)  # fmt: skip
#: FSRCNN takes any size; this one is odd and cheap to simulate.
SMALL = (19, 22)


def narrow(name: str, divisor: int = 8) -> Graph:
    """A network of the zoo with fewer channels everywhere but at its ends."""
    data = yaml.safe_load((Path(zoo.__file__).parent / f"{name}.yaml").read_text())
    weighted = [layer for layer in data["layers"] if {"cout", "shape"} & set(layer)]
    for layer in weighted[:-1]:
        if "shape" in layer:
            layer["shape"][0] = -(-layer["shape"][0] // divisor)
        else:
            layer["cout"] = -(-layer["cout"] // divisor)
    return small(load_definition(yaml.safe_dump(data), RandomParameters(1)))


def small(graph: Graph) -> Graph:
    return graph.resized(SMALL) if graph.name.startswith("fsrcnn") else graph


@cache
def compiled(name: str, bits: int, full: bool = False) -> Compiled:
    graph = small(zoo.load_model(name)) if full else narrow(name)
    return compile_graph(
        graph, roomy("pynq-z2", bits), batch=1, inputs=sample_inputs(graph.input, 2, 0)
    )


def roomy(board: str, bits: int) -> Board:
    """The board with contiguous memory for 142 MB of weights."""
    return replace(load_board(board, bits), contiguous_mib=256)


@pytest.mark.parametrize("name", NETWORKS)
def test_float_reference_agrees_with_onnxruntime(name):
    graph = narrow(name)
    x = sample_inputs(graph.input, 2, 1)
    assert np.abs(reference.run(graph, x) - run_onnx(graph, x)).max() <= 1e-4


#: Of networks with the same kinds of layers, one in 16 bits says it for all.
WIDE = ("artgan", "dcgan-5x5", "discogan-bottleneck", "fsrcnn-x3", "gp-gan")


def narrow_cases():
    for name in NETWORKS:
        for device, bits in (("emulator", 8), ("emulator", 16), ("rtl", 8), ("rtl", 16)):
            # The logic of 16 bits takes long to build; conformance has the smallest board's.
            is_long = bits == 16 and (device == "rtl" or name not in WIDE)
            marks = pytest.mark.long if is_long else ()
            yield pytest.param(name, device, bits, id=f"{name}-{device}-{bits}", marks=marks)


@pytest.mark.parametrize(("name", "device", "bits"), [*narrow_cases()])
def test_narrow_networks(name, device, bits):
    network = compiled(name, bits)
    check(network, device, network.program.board, random_inputs(network, 1))


@pytest.mark.long
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", NETWORKS)
def test_full_networks(name, bits):
    network = compiled(name, bits, full=True)
    for device in ("emulator", "rtl"):
        check(network, device, network.program.board, random_inputs(network, 1))


# Contiguous memory


def test_the_plan_is_what_is_taken():
    program = compiled("discogan", 8).program
    memory = program.memory()
    with Generator(program) as generator:
        generator.generate(generator.latents(1))
        held = {name: -(-b.nbytes // 4096) * 4096 for name, b in generator._runner.buffers.items()}
    assert held == {
        "weights": memory.weights, "stream-1": memory.streams, "input": memory.input,
        "output": memory.output, "scratch": memory.scratch,
    }  # fmt: skip
    assert memory.total == sum(held.values())
    assert f"{memory.total / (1 << 20):.1f} MiB (weights " in str(memory)


def test_batches_are_limited_by_memory():
    graph = narrow("discogan", 4)
    inputs = sample_inputs(graph.input, 1, 0)
    one = compile_graph(graph, "pynq-z2", inputs=inputs, batch=1).program.memory().total
    mib = one // (1 << 20) + 1
    board = replace(load_board("pynq-z2"), contiguous_mib=mib)
    program = compile_graph(graph, board, inputs=inputs).program
    assert 1 <= program.streams[-1].batch < 16
    assert program.memory().fits(mib)
    with pytest.raises(ScheduleError) as error:
        compile_graph(graph, board, inputs=inputs, batch=16)
    text = str(error.value)
    for part in ("discogan in batches of ", "weights", "scratch", f"has {mib} MiB",
                 "use a smaller batch"):  # fmt: skip
        assert part in text
    assert f"board pynq-z2 has {mib} MiB" in text


def test_a_network_that_does_not_fit_is_refused_before_anything_is_allocated():
    network = compiled("gp-gan", 16)
    need = network.program.memory(1).total
    tight = replace(network.program.board, contiguous_mib=max(need // (1 << 20), 1))
    assert not network.program.memory(1).fits(tight.contiguous_mib)
    with pytest.raises(ContiguousMemoryError, match=r"'gp-gan' needs .*weights .*board pynq-z2"):
        Generator(network.program, board=tight)
    with pytest.raises(ScheduleError, match=r"gp-gan in batches of 1 needs .*: use 8 bits"):
        compile_graph(narrow("gp-gan"), tight, inputs=sample_inputs(narrow("gp-gan").input, 1, 0))
