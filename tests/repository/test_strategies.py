"""The random builders in hypothesis' hands: what fails shrinks."""

from __future__ import annotations

import pytest
from hypothesis import find

from support.strategies import Drawn, drawn, examples, graphs, networks

FEW = examples(300)


@pytest.mark.parametrize(("strategy", "layers"), [(graphs(), 2), (networks(), 1)])
def test_a_network_that_fails_shrinks_to_the_layer_that_does(strategy, layers):
    found = find(strategy, lambda g: any(n.op == "deconv" for n in g.nodes), settings=FEW)
    assert len(found.nodes) == layers  # no fewer are drawn
    assert max(found.input.shape) == 1
    [stride] = [n.attrs["stride"] for n in found.nodes if n.op == "deconv"]
    assert stride == (1, 1)


def test_choices_shrink_to_the_first_and_lowest():
    def ask(rng: Drawn) -> list:
        return [
            rng.integers(3, 9), rng.integers(5), rng.integers(2, 5, 3).tolist(), rng.random(),
            rng.choice(["a", "b"]), rng.permutation([3, 1, 2]).tolist(),
        ]  # fmt: skip

    found = find(drawn().map(ask), lambda answers: True, settings=FEW)
    assert found == [3, 0, [2, 2, 2], 1.0, "a", [3, 1, 2]]  # 1.0 is "no", whatever the chance
