"""Heads: where they begin, what they are, and which of them the cycle model chooses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.random_graphs import GraphBuilder
from winogen.common.errors import InputError
from winogen.compilation.job import read_job
from winogen.compiler.compile import compile_graph
from winogen.compiler.fold import fold
from winogen.compiler.options import CompileOptions
from winogen.compression import clock, heads
from winogen.compression.heads import Head, candidates, choose_heads, taps, with_heads
from winogen.network import reference
from winogen.network.graph import Graph
from winogen.program.formats import sample_inputs


def generator() -> Graph:
    """A latent to images of 16 x 16, in four layers of twice the size and one of the same."""
    b = GraphBuilder(0, (6, 1, 1), "latent")
    b.linear((16, 2, 2))
    b.activation("relu")
    b.deconv(16, 4, 2, 1)
    b.batchnorm()
    b.activation("leaky_relu")
    b.conv(16)
    b.deconv(16, 4, 2, 1)
    b.activation("relu")
    b.deconv(1, 4, 2, 1)
    b.activation("tanh")
    return b.graph("heads", (-1.0, 1.0))


def job(graph: Graph):
    return read_job(graph, CompileOptions(board="tiny", batch=1).with_board())


def test_heads_begin_at_activations() -> None:
    graph = generator()
    assert taps(graph) == ["relu1", "leaky_relu4", "relu7"]  # not at the convolution alone


def test_a_head_leaves_the_layers_behind_it() -> None:
    """Upsampling joins the convolutions that read it, if nothing else does."""
    b = GraphBuilder(1, (4, 4, 4))
    b.conv(8)
    b.activation("relu")
    b.add("upsample", factor=2)
    b.conv(8)
    b.activation("relu")
    b.conv(1)
    b.activation("tanh")
    graph = b.graph("upsampled", (-1.0, 1.0))
    found = taps(graph)
    assert found == ["relu1", "relu4"]
    for tap in found:
        made = with_heads(graph, [next(candidates(graph, tap))])
        assert [x.name for x in fold(made.without_exits())] == [x.name for x in fold(graph)]


def test_every_candidate_gives_the_output() -> None:
    graph = generator()
    x = sample_inputs(graph.input, 2, 0)
    wanted = reference.run(graph, x)
    for tap in taps(graph):
        heads = list(candidates(graph, tap))
        assert len({*heads}) == len(heads) >= 3
        made = with_heads(graph, heads)
        assert made.without_exits() == graph
        np.testing.assert_array_equal(reference.run(made, x), wanted)
        for number, head in enumerate(heads, 1):
            own = made.at_exit(number)
            assert own.output_shape == graph.output_shape
            assert np.prod(head.strides) * graph.shapes[tap][1] == 16
            assert own.nodes[-1].op == "tanh"
            assert float(np.abs(reference.run(own, x)).max()) <= 1


def test_features_that_are_no_whole_number_of_times_smaller() -> None:
    b = GraphBuilder(0, (3, 5, 7))
    b.conv(4)
    b.activation("relu")
    b.conv(4, 3, 2)
    b.activation("relu")
    b.conv(1, 2, 1, 0)
    graph = b.graph("odd")
    assert list(candidates(graph, "relu1")) == []
    with pytest.raises(InputError, match="network odd has no layer that an exit could begin at"):
        choose_heads(job(graph), [0.5])


def test_the_cycle_model_chooses() -> None:
    graph = generator()
    chosen = choose_heads(job(graph), [0.5, 0.8])
    made = with_heads(graph, [x.head for x in chosen])
    program = compile_graph(made, "tiny", batch=1).program
    for number, own in enumerate(chosen, 1):
        assert own.share <= own.asked
        again = own.of(program, number)
        assert (again.alone, again.batched) == pytest.approx((own.alone, own.batched), rel=0.02)
    assert chosen[0].share < chosen[1].share


def test_where_none_is_in_time_it_is_the_fastest() -> None:
    graph = generator()
    (own,) = choose_heads(job(graph), [0.01])
    assert own.head.tap == "relu1"
    assert own.share > own.asked
    alike = [h for h in candidates(graph, "relu1") if h.strides == own.head.strides]
    assert own.head in alike and len(alike) > 1
    for head in alike:
        made = compile_graph(with_heads(graph, [head]), "tiny", batch=1).program
        assert replace(own, head=head).of(made, 1).share > own.share - 0.01


def test_time_bounds_what_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best of those that were looked at; the one that multiplies least is, in any case."""
    now = [0.0]
    whole = heads._Cycles._measured
    seen = []

    def measured(self, head: Head) -> tuple[float, float]:
        seen.append(head)
        now[0] += 1
        return whole(self, head)

    monkeypatch.setattr(clock, "now", lambda: now[0])
    monkeypatch.setattr(heads._Cycles, "_measured", measured)
    (own,) = choose_heads(job(generator()), [0.3], until=2.5)
    assert len(seen) == 4  # three in time, and the last
    assert own.head in seen
    seen.clear()
    now[0] = 0.0
    (best,) = choose_heads(job(generator()), [0.3])
    assert len(seen) > 4
    assert best.share <= own.share


def test_exits_that_would_be_the_same() -> None:
    with pytest.raises(InputError, match="for 1% and 2% of the cycles would be the same"):
        choose_heads(job(generator()), [0.01, 0.02])


def test_names_that_are_taken() -> None:
    graph = generator()
    nodes = [replace(n, name="exit1") if n.name == "linear0" else n for n in graph.nodes]
    nodes = [replace(n, inputs=tuple("exit1" if i == "linear0" else i for i in n.inputs))
             for n in nodes]  # fmt: skip
    made = with_heads(replace(graph, nodes=nodes), [Head("relu1", (8,), ())])
    assert len({n.name for n in made.nodes}) == len(made.nodes)


def test_the_same_seed_draws_the_same() -> None:
    graph, head = generator(), Head("relu1", (2, 4), (8,))
    first, again, other = (with_heads(graph, [head], seed) for seed in (1, 1, 2))
    weights = [
        next(n for n in g.nodes if n.name == "exit1.1").params["weight"]
        for g in (first, again, other)
    ]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
