"""winogen: run trained generator networks on a PYNQ board's Winograd-deconvolution accelerator.

>>> import winogen
>>> program = winogen.compile_model("digits")
>>> with winogen.Generator(program) as generator:
...     images = generator.generate(generator.latents(16, seed=7))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winogen.common.errors import WinogenError
from winogen.target.board import load_board
from winogen.version import __version__

if TYPE_CHECKING:
    from winogen.cluster.cluster import Cluster
    from winogen.compilation.checked import CheckReport
    from winogen.network.graph import Graph
    from winogen.profiling.profile import Profile
    from winogen.program.file import Program
    from winogen.runtime.generator import Generator
    from winogen.runtime.pick import pick_device
    from winogen.target.board import Board

__all__ = [
    "Cluster",
    "Generator",
    "Profile",
    "Program",
    "WinogenError",
    "__version__",
    "check",
    "compile_model",
    "load_board",
    "pick_device",
]


def compile_model(
    model: str | Path | Graph,
    board: str | Path | Board = "pynq-z2",
    *,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Program:
    """Compile a network for a board, as ``winogen compile`` does.

    Parameters
    ----------
    model : a name of the zoo, a folder with layers.yaml and weights.npz, an ONNX or network file,
        or a :class:`winogen.network.graph.Graph`
    board : a name, a board YAML file, or what :func:`winogen.load_board` gives
    progress : called with the name of each stage
    options : those of :class:`winogen.compiler.options.CompileOptions`

    Raises
    ------
    ModelError, UnsupportedLayerError : there is no such network, or it cannot run
    QuantisationError, ScheduleError : a layer does not fit the hardware, which it names
    BoardError, InputError : the board or an option is unknown, or not possible here
    """
    from winogen.compilation.compile import compile_job
    from winogen.compilation.job import read_job
    from winogen.compiler.options import CompileOptions

    asked = CompileOptions.of("compile_model", {"board": board, **options}).with_board()
    return compile_job(read_job(model, asked, progress), progress).program


def check(
    model: str | Path | Graph,
    board: str | Path | Board | Sequence[str | Path | Board] | None = None,
    *,
    bits: int | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> CheckReport:
    """What a model is, all that cannot run, and its predicted speed; as ``winogen check`` does.

    Nothing is calibrated, and no file is written.

    Parameters
    ----------
    model : all that :func:`winogen.compile_model` takes, a definition (.yaml) with or without
        weights beside it, or a program file (.wg)
    board : one, or several; default: pynq-z2, or the one that a program was compiled for
    bits : 8 or 16; default: both, where a board has them
    progress : called with the name of each stage
    options : those of :class:`winogen.compiler.options.CompileOptions` that do not calibrate

    Returns
    -------
    A report; what is wrong with the model is in it, and raises nothing.

    Raises
    ------
    ModelError : there is no such model
    BoardError, InputError : a board or an option is unknown, or does not apply to this model
    """
    from winogen.compilation.check import check as check_model

    return check_model(model, board, bits=bits, progress=progress, **options)


def __getattr__(name: str) -> Any:
    # Importing pynq takes most of a second, so only who needs a device pays for it.
    if name == "Generator":
        from winogen.runtime.generator import Generator

        return Generator
    if name == "Cluster":
        from winogen.cluster.cluster import Cluster

        return Cluster
    if name == "Profile":
        from winogen.profiling.profile import Profile

        return Profile
    if name == "pick_device":
        from winogen.runtime.pick import pick_device

        return pick_device
    if name == "Program":
        from winogen.program.file import Program

        return Program
    raise AttributeError(f"module 'winogen' has no attribute '{name}'")
