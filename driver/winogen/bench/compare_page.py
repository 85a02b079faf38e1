"""``winogen compare``: what was found, as tables and as one page with pictures side by side."""

from __future__ import annotations

from html import escape

import numpy as np

from winogen.bench.compare import Comparison
from winogen.bench.page import document, tiles
from winogen.bench.tables import Table
from winogen.common.text import decibels
from winogen.reports import pictures
from winogen.version import __version__

#: Images on the page.
SAMPLES = 6


def here_table(found: Comparison) -> Table:
    """What ran on this machine."""
    rows = []
    for c in found.contenders:
        if c.missing:
            rows.append([c.name, "-", "-", "-", "-"])
            continue
        assert c.seconds is not None and c.nbytes is not None and c.psnr is not None
        rows.append([
            c.name, f"{1e3 * c.seconds:,.2f}", f"{c.nbytes:,}", decibels(c.psnr),
            "-" if c.ssim is None else f"{c.ssim:.4f}",
        ])  # fmt: skip
    why = " ".join(f"{c.name}: {c.missing}." for c in found.contenders if c.missing)
    threads = "1 thread" if found.threads == 1 else f"{found.threads} threads"
    return Table(
        "On this machine",
        f"{len(found.inputs)} images at once, ms an image; onnxruntime with {threads}. The "
        "emulated device computes what the board does, bit for bit, and not how fast. Bytes: of "
        f"weights in the program file, or of the model; {found.parameters:,} weights take "
        f"{4 * found.parameters:,} in float32. PSNR and SSIM beside the float network. onnxruntime "
        "has no int8 transposed convolution: its int8 network has them as convolutions of their "
        f"phases. {why}".strip(),
        ["what", "ms an image", "bytes", "PSNR dB", "SSIM"],
        rows,
    )


def boards_table(found: Comparison) -> Table:
    """What each board is predicted to do."""
    rows = []
    for p in found.boards:
        if not p.runs:
            rows.append([p.board, str(p.data_width), "no", *["-"] * 5])
            continue
        assert p.memory_bytes is not None and p.weight_bytes is not None
        rows.append([
            p.board, str(p.data_width), "yes", f"{p.images_per_second:,.1f}", str(p.batch),
            f"{p.latency_ms:,.2f}", f"{p.weight_bytes:,}", f"{p.memory_bytes / (1 << 20):,.1f}",
        ])  # fmt: skip
    problems = " ".join(
        f"{p.board}, {p.data_width} bits: {'; '.join(p.problems)}."
        for p in found.boards
        if not p.runs
    )
    return Table(
        "On each board, predicted",
        "By the cost model; with the processor's part where the board has one. Bits are those of "
        f"the emulated device above. {problems}".strip(),
        ["board", "bits", "runs", "images/s", "batch", "one image ms", "weight bytes",
         "memory MiB"],
        rows,
    )  # fmt: skip


def compare_page(found: Comparison) -> str:
    """The whole page; it needs nothing else."""
    sections = [
        _short(found),
        _pictures(found),
        *(
            f"<section><h2>{escape(t.title)}</h2><p>{escape(t.note)}</p>{t.html()}</section>\n"
            for t in (here_table(found), boards_table(found))
        ),
    ]
    return document(
        f"{found.network}: compared", "winogen compare",
        f"{len(found.inputs)} inputs, {found.parameters:,} weights", sections, __version__,
    )  # fmt: skip


def _short(found: Comparison) -> str:
    fastest = max(
        (p for p in found.boards if p.images_per_second), key=lambda p: p.images_per_second or 0,
        default=None,
    )  # fmt: skip
    values = [
        (f"PSNR of {c.name}", f"{decibels(c.psnr)} dB")
        for c in found.contenders
        if c.psnr is not None
    ]
    if fastest:
        said = f"fastest board, predicted: {fastest.board}, int{fastest.data_width}"
        values.append((said, f"{fastest.images_per_second:,.0f} images/s"))
    return f"<section><h2>In short</h2>{tiles(values)}</section>\n"


def _pictures(found: Comparison) -> str:
    """Images side by side, and where those in integers differ."""
    if found.exact.shape[1] not in (1, 3) or min(found.exact.shape[2:]) < 2:
        return ""
    black, white = found.black_white
    exact = pictures.pixels(found.exact[:SAMPLES], black, white)
    rows = [("float32", exact)]
    if found.is_image and found.inputs.shape[1] in (1, 3):
        rows.insert(0, ("input", pictures.pixels(found.inputs[:SAMPLES], *_ends(found.inputs))))
    maps = []
    for c in found.contenders:
        if c.outputs is None or c.name == "onnxruntime float32":
            continue
        own = pictures.pixels(c.outputs[:SAMPLES], black, white)
        rows.append((c.name, own))
        maps.append((f"{c.name}: differences", pictures.differences(exact, own)))
    full = max((pictures.full_scale(m) for _, m in maps), default=1)
    rows += [(name, pictures.map_colours(m, full)) for name, m in maps]
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(
            f'<td><img alt="{escape(name)}, image {i + 1}" src="{pictures.data_uri(one)}"></td>'
            for i, one in enumerate(images)
        )
        + "</tr>\n"
        for name, images in rows
    )
    return (
        "<section><h2>Side by side</h2><p>The same inputs. Differences from float32 in pixel "
        f"values: dark is none, the lightest is {full} of 255 and above.</p>"
        f'<div class="scroll"><table class="side">{lines}</table></div></section>\n'
    )


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
