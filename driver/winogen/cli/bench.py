"""``winogen bench``: measured against the paper and the peers, from one command."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winogen.cli.objects import add_json
from winogen.cli.parser import examples
from winogen.common.errors import InputError
from winogen.common.files import check_writable, write_atomically
from winogen.common.progress import Progress
from winogen.compiler.options import MAX_BATCH
from winogen.target.board import DEFAULT_BOARD, load_board

if TYPE_CHECKING:
    from winogen.bench.energy import Technology
    from winogen.bench.suite import Results

#: Technology whose energies the terminal shows: that of the board.
_SHOWN = "zynq28"
_NEEDS_PLOT = "pictures need matplotlib: pip install 'winogen[plot]'"


def add(commands: Any) -> None:
    """Add the command to the command line (argparse's sub-parsers)."""
    bench = commands.add_parser(
        "bench",
        help="measure the built-in networks against the paper and its peers",
        description="Cycles of each network and layer in zero-padded, direct and Winograd mode on "
        "one build of the accelerator, with two products a multiplier and with one; images a "
        "second with and without the board's processor, useful operations, DRAM traffic, and the "
        "energy of an image: beside published figures, with their sources. Cycles are predicted by "
        "the cost model, or with --rtl counted by the simulated logic where that is quick enough; "
        "each figure says which. No board is needed. Takes two to five minutes, with --quick one "
        "or two.",
        epilog=examples(
            ("winogen bench --quick", "the short form"),
            ("winogen bench --page bench.html --plots bench", "a page, and pictures in a folder"),
            ("winogen bench --networks dcgan-4x4 --layers", "one network, layer by layer"),
            ("winogen bench --networks fsrcnn-x2 --rtl", "counted by the logic's own counters"),
            (
                "winogen bench --from docs/results/0.1.0.json",
                "what was recorded, without measuring",
            ),
            (
                "winogen bench --rtl --record docs",
                "keep as those of this version; docs/results.md",
            ),
        ),
    )
    what = bench.add_argument_group("what is measured")
    what.add_argument(
        "--networks", nargs="+", metavar="NAME", help="of 'winogen models' (default: the suite)"
    )
    what.add_argument(
        "--quick", action="store_true", help="without GP-GAN, and without runs of a single image"
    )
    what.add_argument("--board", help=f"name or YAML file (default: {DEFAULT_BOARD})")
    what.add_argument("--bits", type=int, choices=(8, 16), help="data width (default: 8)")
    what.add_argument("--batch", type=int, help="images of a run (default: 16)")
    what.add_argument(
        "--rtl",
        action="store_true",
        help="count cycles on the simulated logic (winogen[rtl] and g++)",
    )
    what.add_argument(
        "--rtl-cycles",
        type=int,
        metavar="N",
        help="simulate runs of at most so many predicted cycles, a second for each 100,000 or so "
        "(default: 3,000,000); implies --rtl",
    )
    what.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="show results that were recorded instead of measuring",
    )
    energy = bench.add_argument_group("energy")
    energy.add_argument(
        "--logic-watts", type=float, metavar="W", help="static power of the logic, if measured"
    )
    energy.add_argument(
        "--processor-watts",
        type=float,
        metavar="W",
        help="power of the processing system, if measured",
    )
    out = bench.add_argument_group("output")
    out.add_argument("--layers", action="store_true", help="print each network's layers too")
    out.add_argument("--page", type=Path, metavar="FILE.html", help="write all on one page")
    out.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="write pictures (PNG; winogen[plot])"
    )
    out.add_argument(
        "--record",
        type=Path,
        metavar="FOLDER",
        help="keep the results as those of this version in FOLDER/results, and write "
        "FOLDER/results.md of all that is kept there (winogen[plot])",
    )
    add_json(bench)
    bench.set_defaults(command=_bench)


def _bench(options: argparse.Namespace) -> None:
    _check(options)
    from winogen.bench.energy import technologies
    from winogen.bench.record import read, record
    from winogen.bench.tables import terminal_tables

    results = read(options.source) if options.source else _measure(options)
    known = {
        name: t.with_power(options.logic_watts, options.processor_watts) if name == _SHOWN else t
        for name, t in technologies().items()
    }
    tables = terminal_tables(results, known[_SHOWN], options.layers)
    print("\n\n".join(t.text() for t in tables))
    _write(options, results, list(known.values()))
    if options.record:
        for path in record(results, options.record):
            print(f"wrote {path}")
    options.result = results.as_dict()


def _check(options: argparse.Namespace) -> None:
    """InputError for what cannot be done, before minutes are spent."""
    if options.source:
        taken = ("networks", "quick", "board", "bits", "batch", "rtl", "rtl_cycles", "record")
        given = [f"--{name.replace('_', '-')}" for name in taken if getattr(options, name)]
        if given:
            raise InputError(f"--from shows what was recorded: leave {', '.join(given)} out")
    if options.batch is not None and not 1 <= options.batch <= MAX_BATCH:
        raise InputError(f"batch must be 1 to {MAX_BATCH}, not {options.batch}")
    if options.rtl_cycles is not None and options.rtl_cycles < 1:
        raise InputError(f"--rtl-cycles must be a positive number, not {options.rtl_cycles}")
    for flag, watts in (
        ("--logic-watts", options.logic_watts),
        ("--processor-watts", options.processor_watts),
    ):
        if watts is not None and not 0 <= watts <= 1000:
            raise InputError(f"{flag} must be a power from 0 to 1000 W, not {watts:g}")
    if (options.plots or options.record) and not find_spec("matplotlib"):
        raise InputError(_NEEDS_PLOT)
    if options.record:
        if options.networks or options.quick:
            raise InputError("--record is for the whole suite: leave --networks and --quick out")
        if not options.record.is_dir():
            raise InputError(f"there is no folder {options.record} to record in")
    if options.plots and options.plots.exists() and not options.plots.is_dir():
        raise InputError(f"{options.plots} is no folder to write pictures to")
    if options.page:
        check_writable(options.page)


def _measure(options: argparse.Namespace) -> Results:
    from winogen.bench import suite

    names = options.networks or (suite.QUICK if options.quick else suite.NETWORKS)
    suite.check_networks(names)
    board = load_board(options.board or DEFAULT_BOARD, options.bits or 8)
    rtl = suite.RTL_CYCLES if options.rtl else None
    with Progress("measuring") as progress:
        return suite.run_suite(
            board,
            list(dict.fromkeys(names)),
            batch=options.batch or suite.BATCH,
            single=not options.quick,
            rtl_cycles=options.rtl_cycles or rtl,
            progress=progress.stage,
        )


def _write(options: argparse.Namespace, results: Results, technologies: list[Technology]) -> None:
    """The page and the pictures that were asked for."""
    if options.page:
        from winogen.bench.page import bench_page

        write_atomically(options.page, bench_page(results, technologies).encode())
        print(f"wrote {options.page}")
    if options.plots:
        from winogen.bench.plots import draw_all

        options.plots.mkdir(parents=True, exist_ok=True)
        for name, picture in draw_all(results, technologies).items():
            write_atomically(options.plots / name, picture)
            print(f"wrote {options.plots / name}")
