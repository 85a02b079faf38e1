"""The conformance sample: a small network whose every bit must be that of the definition."""

from __future__ import annotations

import numpy as np

from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import run_integer
from winogen.compiler.lower import Mode
from winogen.doctor.bench import Bench
from winogen.doctor.result import Failed
from winogen.network.definition import RandomParameters, load_definition

#: Every unit has work: matrix product, both deconvolutions, a strided and a plain convolution,
#: a residual, slopes for negative values, and the activation table.
NETWORK = """
name: conformance-sample
input: {latent: 20}
output: {range: [-1, 1]}
layers:
- {name: project, op: linear, shape: [24, 4, 4], act: relu}
- {name: up5, op: deconv, cout: 16, k: 5, stride: 2, pad: 2, output_padding: 1, act: lrelu}
- {name: conv, op: conv, cout: 16, k: 3, pad: 1, act: prelu}
- {name: sum, op: add, from: [up5, conv]}
- {name: down, op: conv, cout: 16, k: 4, stride: 2, pad: 1, act: relu}
- {name: up4, op: deconv, cout: 3, k: 4, stride: 2, pad: 1, act: tanh}
"""
_IMAGES = 2


def conformance(bench: Bench, mode: Mode = Mode.AUTO) -> str:
    """A network of random weights gives the bits of plain integer arithmetic."""
    from winogen.runtime.generator import Generator

    board = bench.board
    graph = load_definition(NETWORK, RandomParameters(7))
    compiled = compile_graph(graph, board, batch=_IMAGES, mode=mode)
    program = compiled.program
    with Generator(
        program, bench.device, board=board, overlay=bench.overlay, timeout=bench.seconds
    ) as generator:
        z = generator.latents(_IMAGES, seed=3)
        out = generator.generate(z, as_float=True)
    target = program.output_format
    wanted = run_integer(compiled.network, compiled.network.quantise_input(z))
    got = np.rint(out.astype(np.float64) / target.scale + target.zero_point).astype(np.int64)
    wrong = np.count_nonzero(got != wanted)
    if wrong:
        modes = sorted({layer.mode for layer in program.layers})
        raise Failed(
            f"{wrong} of {wanted.size} values are wrong ({' and '.join(modes)} mode)",
            "if all checks above pass, the logic computes wrongly: check that the overlay met its "
            "timing; otherwise mend what is above first",
        )
    return f"{len(program.layers)} layers, {wanted.size:,} values, every bit is right"


def conformance_direct(bench: Bench) -> str:
    """The same network without Winograd's algorithm: both wrong, or only one?"""
    return conformance(bench, Mode.DIRECT)
