"""winogen: run trained generator networks on a PYNQ board's Winograd-deconvolution accelerator.

>>> import winogen
>>> program = winogen.compile_model("digits")
>>> with winogen.Generator(program) as generator:
...     images = generator.generate(generator.latents(16, seed=7))
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from winogen.common.errors import WinogenError
from winogen.target.board import load_board
from winogen.version import __version__

if TYPE_CHECKING:
    from winogen.profiling.profile import Profile
    from winogen.program.file import Program
    from winogen.runtime.generator import Generator
    from winogen.runtime.open import pick_device

__all__ = [
    "Generator",
    "Profile",
    "Program",
    "WinogenError",
    "__version__",
    "compile_model",
    "load_board",
    "pick_device",
]


def compile_model(
    model: str | Path, board: str = "pynq-z2", bits: int = 8, **options: Any
) -> Program:
    """Compile a network of the zoo, or a folder with layers.yaml and weights.npz.

    ``options`` are ``mode``, ``batch``, ``calibration``, ``inputs``, ``seed`` and ``progress`` of
    :func:`winogen.compiler.compile.compile_graph`.
    """
    from winogen.compiler.compile import compile_graph
    from winogen.network.zoo import load_model

    return compile_graph(load_model(model), load_board(board, bits), **options).program


def __getattr__(name: str) -> Any:
    # Importing pynq takes most of a second, so only who needs a device pays for it.
    if name == "Generator":
        from winogen.runtime.generator import Generator

        return Generator
    if name == "Profile":
        from winogen.profiling.profile import Profile

        return Profile
    if name == "pick_device":
        from winogen.runtime.open import pick_device

        return pick_device
    if name == "Program":
        from winogen.program.file import Program

        return Program
    raise AttributeError(f"module 'winogen' has no attribute '{name}'")
