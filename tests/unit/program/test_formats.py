"""What is said of inputs that a network does not expect."""

from __future__ import annotations

import numpy as np
import pytest

from winogen.network.graph import InputSpec
from winogen.program.formats import beyond_bounds, sample_inputs

IMAGE = (3, 4, 6)
SPECS = {
    "normal": InputSpec((8, 1, 1)),
    "uniform": InputSpec((8, 1, 1), "latent", "uniform"),
    "image": InputSpec(IMAGE, "image", "uniform"),
    "signed": InputSpec(IMAGE, "image", "uniform", None, (-1, 1)),
    "noise": InputSpec(IMAGE, "image", "normal"),
    "trained": InputSpec((8, 1, 1), "latent", "normal", 1 / 64),
}


@pytest.mark.parametrize("name", SPECS)
def test_what_a_network_expects_needs_no_word(name):
    spec = SPECS[name]
    drawn = sample_inputs(spec, 500, 0)
    if name == "trained":  # a normal distribution goes on beyond 2
        assert "of the latents, 4.03% are beyond the -2 to 1.98438" in str(
            beyond_bounds(spec, drawn, "latents")
        )
        drawn = drawn / 2.5
    assert beyond_bounds(spec, drawn, "latents") is None


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("normal", [0, 0, 0, 9], "25% are beyond the 4.5 that normal latents reach"),
        ("uniform", [0, 2], "50% are beyond the 1 that uniform latents reach"),
        ("image", [0, -1], "50% are beyond the network's input range of 0 to 1: they reach from "
         "-1 to 0"),
        ("image", [0] * 999 + [255], "0.1% are beyond"),
        ("signed", [-1, 1.5], "50% are beyond the network's input range of -1 to 1"),
        ("noise", [-5, 0], "50% are beyond the 4.5 that normal inputs reach"),
    ],
)  # fmt: skip
def test_the_share_that_is_beyond_is_said(name, values, said):
    text = beyond_bounds(SPECS[name], np.array(values, float), "inputs")
    assert text is not None and said in text


@pytest.mark.parametrize("name", ["normal", "uniform", "noise"])
def test_rare_values_of_a_distribution_need_no_word(name):
    assert beyond_bounds(SPECS[name], np.array([0] * 999 + [6.0]), "inputs") is None


@pytest.mark.parametrize("name", ["image", "signed"])
def test_what_interpolation_adds_needs_no_word(name):
    assert beyond_bounds(SPECS[name], np.array([0, 1.009]), "inputs") is None
