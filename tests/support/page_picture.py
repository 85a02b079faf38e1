"""A picture of the page of ``winogen serve``, for the documentation.

    python tests/support/page_picture.py docs/images/serve.png

Serves digits on the emulated device, opens the page in a headless chromium, moves two sliders and
writes what there is to see.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image

from support.browser import browser, page
from support.serving import listening
from winogen.common.files import write_atomically
from winogen.compilation.compile import compile_job
from winogen.compilation.job import read_job
from winogen.compiler.options import CompileOptions
from winogen.service.hosting import Named, hosting
from winogen.service.limits import Limits

#: Colours of the picture's palette: the page has few.
_COLOURS = 128
_MOVE = (
    "for (const [name, value] of [['seed', 1], ['count', 16], ['d0', 1.4], ['d2', -1.1]]) {"
    "const i = document.getElementById(name); i.value = value;"
    "i.dispatchEvent(new Event('input', {bubbles: true})); }"
)


def main(target: Path, width: int = 1180, height: int = 1120) -> int:
    """Write the picture; returns the exit code."""
    if browser() is None:
        print("this needs chromium or chrome", file=sys.stderr)
        return 2
    options = CompileOptions.of("picture", {"board": "pynq-z2"}).with_board()
    job = read_job("digits", options)
    named = Named("digits", compile_job(job).program, job.graph)
    limits = Limits()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        hosting([named], limits) as made,
        listening(made, limits) as port,
        page(Path(folder), width, height) as window,
    ):
        window.open(f"http://127.0.0.1:{port}/")
        window.wait("document.body && document.body.dataset.ready")
        window.run(_MOVE)
        window.wait("document.getElementById('timed').textContent.includes('of 16 images')")
        window.wait("document.getElementById('measured').textContent.includes('images/s')")
        with Image.open(io.BytesIO(window.picture())) as picture:
            few = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    few.save(buffer, "PNG", optimize=True)
    write_atomically(target, buffer.getvalue())
    print(f"wrote {target}: {len(buffer.getvalue()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:4])))
