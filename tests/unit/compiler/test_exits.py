"""Programs with exits: one set of weights, and streams that do as the layers by themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.bench import named, random_inputs
from support.exits import compiled, pictures_with_exits, with_exits
from winogen.common.errors import ScheduleError
from winogen.compiler.compile import compile_graph, predicted_cycles
from winogen.compiler.integers import integer_activations, run_integer
from winogen.compiler.options import CompileOptions
from winogen.compiler.quantise import quantise
from winogen.network.graph import Node
from winogen.program.file import Program


@pytest.mark.parametrize(("board", "bits"), [("tiny", 8), ("tiny", 16), ("pynq-z2", 8)])
def test_the_whole_network_is_what_it_is_without(board, bits) -> None:
    program = compiled(bits, board=board).program
    graph = with_exits()
    plain = compile_graph(graph.without_exits(), named(board, bits), batch=2).program
    assert program.streams == plain.streams
    assert program.layers == plain.layers
    assert program.weights.startswith(plain.weights)
    assert program.at_exit(3).layers == plain.layers
    # What is new are the heads' weights, parameters and tables: none of the others again.
    heads = list(range(len(program.layers), len(program.layers) + len(program.heads)))
    assert {p.layer for p in program.pieces if p.offset >= len(plain.weights)} <= set(heads)
    assert {p.layer for p in program.pieces if p.offset < len(plain.weights)} <= set(
        range(len(program.layers))
    )


def test_an_exit_computes_what_its_layers_do_alone() -> None:
    graph = with_exits()
    made = compiled()
    q = random_inputs(made, 4)
    every = dict(integer_activations(made.network, q))
    for number, name in enumerate(graph.outputs, 1):
        alone = quantise(graph.at_exit(number))
        part = made.network.at_exit(number)
        np.testing.assert_array_equal(run_integer(part, q), run_integer(alone, q))
        np.testing.assert_array_equal(run_integer(part, q), every[name])
        assert part.output_format == alone.output_format == made.network.output_format


def test_cycles_are_those_of_the_layers_alone() -> None:
    graph, board = with_exits(), named("tiny")
    program = compiled().program
    for number in (1, 2):
        alone = compile_graph(graph.at_exit(number), board, batch=2)
        assert [s.cycles for s in program.at_exit(number).streams] == [
            s.cycles for s in alone.program.streams
        ]
        options = CompileOptions(board=board, batch=2)
        cycles = predicted_cycles(alone.network, options, [1, 2])
        assert cycles == [s.cycles for s in alone.program.streams]


def test_each_exit_looks_as_far_as_its_layers() -> None:
    program = compile_graph(pictures_with_exits(), named("tiny"), batch=1).program
    alone = compile_graph(pictures_with_exits().at_exit(1), named("tiny"), batch=1).program
    own, whole = program.at_exit(1).locality, program.locality
    assert own == alone.locality
    assert own is not None and whole is not None
    assert own.rows.before < whole.rows.before


def test_windows_of_a_network_with_exits() -> None:
    graph = pictures_with_exits()
    small = compile_graph(graph, named("tiny"), batch=1, window=(20, 22)).program
    assert small.input_shape == (1, 20, 22)
    assert small.at_exit(1).output_shape == (1, 40, 44)


def test_memory_is_for_every_exit() -> None:
    program = compiled().program
    plain = compile_graph(with_exits().without_exits(), named("tiny"), batch=2).program
    ours, theirs = program.memory(), plain.memory()
    pages = sum(-(-len(s.stream) // 4096) * 4096 for s in program.all_streams)
    assert ours.streams == pages > theirs.streams
    assert (ours.input, ours.output) == (theirs.input, theirs.output)
    assert program.memory(1).streams < ours.streams


def test_an_exit_does_not_end_at_the_processor() -> None:
    graph = with_exits()
    last = next(n for n in graph.nodes if n.name == graph.exits[0])
    pooled = Node("pooled", "maxpool", (last.name,), {"kernel": (3, 3), "stride": (1, 1),
                                                      "pad": (1, 1, 1, 1)})  # fmt: skip
    nodes = [*graph.nodes[:-1], pooled, graph.nodes[-1]]
    host = replace(graph, nodes=nodes, exits=("pooled", graph.exits[1]))
    with pytest.raises(ScheduleError, match="'pooled' is of an exit alone"):
        compile_graph(host, named("tiny"))


def test_a_board_with_a_processor_shares_what_it_computes() -> None:
    """A layer for the processor that the whole network has too is every exit's."""
    graph = with_exits()
    tap = graph.nodes[1]
    pool = Node("pool", "maxpool", (tap.name,), {"kernel": (3, 3), "stride": (1, 1),
                                                 "pad": (1, 1, 1, 1)})  # fmt: skip
    nodes = []
    for node in graph.nodes:
        inputs = tuple("pool" if i == tap.name else i for i in node.inputs)
        nodes.append(replace(node, inputs=inputs))
        if node is tap:
            nodes.append(pool)
    made = compile_graph(replace(graph, nodes=nodes), named("tiny"), batch=1)
    program = Program.frombytes(made.program.tobytes())
    assert program.tobytes() == made.program.tobytes()
    assert list(program.host) == list(program.at_exit(1).host) == [1]
