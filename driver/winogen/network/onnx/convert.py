"""Models of old opsets, or with functions, made plain by onnx's own converter and inliner.

These are C++ that trusts its input: damaged files make them crash. They run in a process of their
own, with a deadline and bounded memory.
"""

from __future__ import annotations

import os
import subprocess
import sys

from winogen.common.errors import ModelError, one_line

#: Seconds that a conversion may take; real ones take a fraction of one.
DEADLINE = 300.0
#: Bytes that a conversion may use beyond some copies of the file.
_MEMORY = 2 << 30
_PROGRAM = """
import sys
sys.path.remove("")  # not whatever lies in the working directory
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except (ImportError, OSError, ValueError):
    pass  # a system without limits
import onnx, onnx.inliner, onnx.version_converter
model = onnx.ModelProto.FromString(sys.stdin.buffer.read())
try:
    if int(sys.argv[1]):
        model = onnx.version_converter.convert_version(model, int(sys.argv[1]))
    else:
        model = onnx.inliner.inline_local_functions(model)
except Exception as error:
    print(error, file=sys.stderr)
    sys.exit(1)
sys.stdout.buffer.write(model.SerializeToString())
"""


def converted(data: bytes, opset: int, target: int) -> bytes:
    """The model in ``data``, which is of an old ``opset``, as a model of opset ``target``.

    Raises ModelError if the converter refuses it, crashes or takes too long.
    """
    hint = f"export it again with a newer opset (opset_version=17; it has {opset})"
    return _run(data, target, "version converter", "convert", hint)


def inlined(data: bytes) -> bytes:
    """The model in ``data`` with the nodes of its functions where they are called.

    Raises ModelError as :func:`converted` does.
    """
    hint = "export it again without functions (optimize=True)"
    return _run(data, 0, "inliner", "inline the functions of", hint)


def _run(data: bytes, target: int, tool: str, doing: str, hint: str) -> bytes:
    path = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM]
    command += [str(target), str(_MEMORY + 8 * len(data))]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=DEADLINE, check=False,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
    except OSError as error:
        raise ModelError(
            f"the process for onnx's {tool}, which this model needs, cannot be started "
            f"({one_line(error, 80)}); {hint}"
        ) from None
    except subprocess.TimeoutExpired:
        raise ModelError(f"onnx's {tool} has not finished in {DEADLINE:g} s; {hint}") from None
    if done.returncode or not done.stdout:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = one_line(ValueError(lines[-1]), 160) if lines else "it crashed on the file"
        raise ModelError(f"onnx's {tool} cannot {doing} the model: {said}; {hint}")
    return done.stdout
