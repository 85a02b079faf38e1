"""Models of old opsets, converted by onnx's own version converter.

The converter is C++ that trusts its input: damaged files make it crash. It runs in a process of
its own, with a deadline and bounded memory.
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
import onnx, onnx.version_converter
model = onnx.ModelProto.FromString(sys.stdin.buffer.read())
try:
    model = onnx.version_converter.convert_version(model, int(sys.argv[1]))
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
            f"the model uses opset {opset}, and the process that would convert it cannot be "
            f"started ({one_line(error, 80)}); {hint}"
        ) from None
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"onnx's version converter has not finished in {DEADLINE:g} s; {hint}"
        ) from None
    if done.returncode or not done.stdout:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = one_line(ValueError(lines[-1]), 160) if lines else "it crashed on the file"
        raise ModelError(f"onnx's version converter cannot convert the model: {said}; {hint}")
    return done.stdout
