"""Stages of the command line: one command, in this process or in a fork of it."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pytest import MonkeyPatch

from support.bench import small, small_graph, small_pictures
from support.faults.verdicts import Refusal
from support.torch_files import save
from winogen.cli.main import main
from winogen.common.errors import WinogenWarning
from winogen.network.stored import save_network

_WARNING = "winogen: warning: "


class OnCommand:
    """A command, and the file that it writes.

    Attributes
    ----------
    folder : empty but for what the command reads
    file : what it reads
    out : what it writes
    words : its arguments; what comes of ``file`` and ``out`` is seen when it runs
    made : further files that it may leave, within the folder
    tolerated : a part of the names of what it may leave
    in_fork : done in a fork of this process before the command; it runs there then
    """

    def __init__(self, folder: Path, file: str, out: str, words: Callable[[Any], list[Any]]):
        self.folder, self.file, self.out = folder, folder / file, folder / "out" / out
        self.out.parent.mkdir()
        self.words = words
        self.more: list[Any] = []
        self.made: list[str] = []
        self.tolerated = ""
        self._original: set[str] | None = None
        self.in_fork: Callable[[], object] | None = None
        self.struck, self.left = 0, list[str]()
        self.patch = MonkeyPatch()

    def run(self) -> bytes:
        if self.folder in self.out.parents:  # and no device of the machine that runs this
            with suppress(OSError):
                self.out.unlink()
        if self._original is None:
            self._original = self._files()
        arguments = [str(word) for word in [*self.words(self), *self.more]]
        code, said = self._forked(arguments) if self.in_fork else _called(arguments)
        lines = said.splitlines()
        told = [line for line in lines if line.startswith(_WARNING)]
        for line in told:
            warnings.warn(line.removeprefix(_WARNING), WinogenWarning, stacklevel=2)
        made = {str(self.folder / name) for name in self.made}
        self.left = sorted(self._files() - self._original - made - {str(self.out)})
        if code:
            self.left += [str(self.out)] if self._is_written() else []
            text = "\n".join(line for line in lines if line not in told)
            by = f"exit {code}" if code > 0 else signal.Signals(-code).name
            raise Refusal(by, text.removeprefix("winogen: ") or f"it ended with {code}")
        assert not self.left, self.left
        return self.out.read_bytes()

    def strike(self) -> None:
        self.struck += 1

    def _files(self) -> set[str]:
        found = self.folder.rglob("*")
        return {str(p) for p in found if not self.tolerated or self.tolerated not in p.name}

    def _is_written(self) -> bool:
        """Whether a command that failed has written its output all the same."""
        made = str(self.out) in {str(self.folder / name) for name in self.made}
        return os.path.isfile(self.out) and not made  # noqa: PTH113 - its name may be too long

    def _forked(self, arguments: list[str]) -> tuple[int, str]:
        """Exit code and standard error; minus the number of the signal that ended it."""
        said, saying = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            status = 70
            try:
                os.dup2(saying, 2)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                sys.stdout, sys.stderr = io.StringIO(), os.fdopen(2, "w", closefd=False)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                assert self.in_fork
                self.in_fork()
                with suppress(OSError):
                    os.fstat(1)
                    sys.stdout = os.fdopen(1, "w", closefd=False)
                try:
                    status = main(arguments)
                except SystemExit as end:
                    status = int(end.code or 0)
                sys.stderr.flush()
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(status)
        os.close(saying)
        try:
            with os.fdopen(said, "rb") as file:
                text = file.read()
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), text.decode()


def _called(arguments: list[str]) -> tuple[int, str]:
    """Exit code and standard error of a command in this process."""
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, said.getvalue()


@contextmanager
def _on(make: Callable[[Path], OnCommand], folder: Path, device: str) -> Iterator[OnCommand]:
    stage = make(folder)
    stage.patch.setattr("winogen.common.opening._WRITER_SECONDS", 0.2)
    stage.patch.setattr("winogen.common.files._READER_SECONDS", 0.2)
    try:
        yield stage
    finally:
        stage.patch.undo()


# Scenes

_WEIGHTS = {"fc.weight": (54, 5), "fc.bias": (54,), "up.weight": (6, 3, 4, 4)}
LAYERS = """\
name: tiny-net
input: {latent: 5}
output: {range: [-1, 1]}
layers:
- {name: fc, op: linear, shape: [6, 3, 3], act: relu}
- {name: up, op: deconv, cout: 3, k: 4, stride: 2, pad: 1, bias: false, act: tanh}
"""


@cache
def _program() -> bytes:
    return small().program.tobytes()


def weights() -> dict[str, Any]:
    """Weights of the network of LAYERS."""
    rng = np.random.default_rng(0)
    return {
        name: rng.standard_normal(shape).astype(np.float32) / 3 for name, shape in _WEIGHTS.items()
    }


def _compile(stage: OnCommand) -> list[Any]:
    return ["compile", stage.file, "--board", "tiny", "--batch", "1", "-o", stage.out]


def _run_program(folder: Path) -> OnCommand:
    (folder / "small.wg").write_bytes(_program())
    return OnCommand(
        folder, "small.wg", "out.png",
        lambda s: ["run", s.file, "--seed", "5", "-n", "2", "-o", s.out],
    )  # fmt: skip


def _compile_folder(folder: Path) -> OnCommand:
    (folder / "net").mkdir()
    (folder / "net" / "layers.yaml").write_text(LAYERS)
    np.savez(folder / "net" / "weights.npz", **weights())
    return OnCommand(folder, "net", "out.wg", _compile)


def _compile_stored(folder: Path) -> OnCommand:
    save_network(small_graph(), folder / "net.npz")
    return OnCommand(folder, "net.npz", "out.wg", _compile)


def _compile_onnx(folder: Path) -> OnCommand:
    import onnx

    from support.onnx_models import Net

    net = Net()
    x = net.node("Gemm", "z", net.weight(54, 5), transB=1, name="fc")
    x = net.node("Reshape", x, net.const([-1, 6, 3, 3], np.int64))
    weight = net.weight(6, 3, 4, 4)
    x = net.node("ConvTranspose", x, weight, strides=[2, 2], pads=[1] * 4, name="up")
    onnx.save(net.model(net.node("Tanh", x), ["n", 5]), folder / "net.onnx")
    return OnCommand(folder, "net.onnx", "out.wg", _compile)


def _compile_torch(folder: Path) -> OnCommand:
    stage = _compile_folder(folder)
    (folder / "net" / "weights.npz").unlink()
    save(weights(), folder / "net.pth")
    stage.file = folder / "net.pth"
    stage.words = lambda s: [*_compile_in(s, folder / "net"), "--weights", s.file]
    return stage


def _compile_in(stage: OnCommand, model: Path) -> list[Any]:
    return ["compile", model, "--board", "tiny", "--batch", "1", "-o", stage.out]


def _run_latents(folder: Path) -> OnCommand:
    (folder / "small.wg").write_bytes(_program())
    np.save(folder / "z.npy", np.random.default_rng(1).normal(size=(2, 5)).astype(np.float32))
    return OnCommand(
        folder, "z.npy", "out.png", lambda s: ["run", folder / "small.wg", "--input", s.file,
                                               "-o", s.out],
    )  # fmt: skip


def picture() -> Any:
    """A grey picture, as an array of bytes."""
    return np.random.default_rng(2).integers(0, 256, (12, 16), np.uint8)


def _run_picture(folder: Path) -> OnCommand:
    small_pictures().save(folder / "x2.wg")
    Image.fromarray(picture()).save(folder / "in.png")
    return OnCommand(
        folder, "in.png", "out.png", lambda s: ["run", folder / "x2.wg", "--input", s.file,
                                                "-o", s.out],
    )  # fmt: skip


run_program = partial(_on, _run_program)
compile_folder = partial(_on, _compile_folder)
compile_stored = partial(_on, _compile_stored)
compile_onnx = partial(_on, _compile_onnx)
compile_torch = partial(_on, _compile_torch)
run_latents = partial(_on, _run_latents)
run_picture = partial(_on, _run_picture)
