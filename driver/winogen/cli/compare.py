"""``winogen compare``: one network on everything that can run it, on one page."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from winogen.cli.job import prepare
from winogen.cli.objects import add_json
from winogen.cli.options import compile_options, option_parser
from winogen.cli.parser import examples
from winogen.common.errors import InputError
from winogen.common.files import check_writable, write_atomically
from winogen.common.progress import Progress
from winogen.compiler.options import CompileOptions

#: Options of a compilation that a comparison has no use for: it takes both widths, its own batch.
_OTHERS = ("bits", "batch", "window")


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    names = [name for name in CompileOptions.described if name not in _OTHERS]
    compare = commands.add_parser(
        "compare",
        parents=[option_parser(CompileOptions, names)],
        help="run a network on all that can run it, and predict it for every board",
        description="One network, the same inputs: the emulated device in 8 and 16 bits, and "
        "onnxruntime in float32 and int8 where it is installed (pip install onnx onnxruntime), "
        "timed on this machine; and the predicted speed of every board that winogen knows. Bytes, "
        "PSNR and SSIM beside the float network, and with -o a page with the pictures side by "
        "side, to show a colleague.",
        epilog=examples(
            ("winogen compare digits", "a table"),
            ("winogen compare generator.onnx -o page.html", "and a page with pictures"),
            ("winogen compare fsrcnn-x2 --calib photos -o page.html", "on pictures of your own"),
        ),
    )
    compare.add_argument(
        "model",
        help="a name from 'winogen models', a folder, an ONNX or network file, or weights",
    )
    compare.add_argument(
        "-o", "--output", type=Path, metavar="FILE.html", help="write a page with pictures"
    )
    compare.add_argument(
        "--threads", type=int, default=1, help="threads of onnxruntime (default: 1)"
    )
    add_json(compare)
    compare.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> None:
    if options.model.endswith(".wg"):
        raise InputError(
            f"{options.model} is a program, which has no float network: give what it was compiled "
            "from"
        )
    if options.output:
        if options.output.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"cannot write {options.output}: its name must end in .html")
        check_writable(options.output)
    job = prepare(options.model, compile_options(options).with_board())
    with Progress(f"comparing {options.model}") as progress:
        from winogen.bench.compare import compare
        from winogen.bench.compare_page import boards_table, compare_page, here_table

        found = compare(job, threads=options.threads, progress=progress.stage)
    print(f"{here_table(found).text()}\n\n{boards_table(found).text()}")
    if options.output:
        write_atomically(options.output, compare_page(found).encode())
        print(f"wrote {options.output}")
    options.result = {
        "network": found.network,
        "images": len(found.inputs),
        "threads": found.threads,
        "parameters": found.parameters,
        "here": [
            {
                "name": c.name,
                "missing": c.missing or None,
                "seconds": c.seconds,
                "bytes": c.nbytes,
                "psnr_db": c.psnr if c.psnr is not None and math.isfinite(c.psnr) else None,
                "ssim": c.ssim,
            }
            for c in found.contenders
        ],
        "boards": [asdict(p) for p in found.boards],
        "output": str(options.output) if options.output else None,
    }
