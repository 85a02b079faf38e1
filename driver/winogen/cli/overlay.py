"""The command line of ``winogen overlay``."""

from __future__ import annotations

import argparse
import json
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winogen.cli.parser import examples
from winogen.common.errors import InputError
from winogen.common.files import check_writable, write_atomically
from winogen.target.board import Board, clocked_as, load_board

if TYPE_CHECKING:
    from winogen.fpga.stimulus import Stimulus

#: Networks that a build is chosen for: deconvolutions of both kinds.
NETWORKS = ("dcgan-5x5", "dcgan-4x4")


def add(commands: Any) -> None:
    """Add ``overlay`` to the commands of the command line (argparse's sub-parsers)."""
    overlay = commands.add_parser(
        "overlay", help="what the accelerator costs on an FPGA, and building its bitstream"
    )
    verbs = overlay.add_subparsers(required=True, metavar="action")
    report = verbs.add_parser(
        "report",
        help="synthesise a board's build and hold it against its device",
        description="Synthesise the accelerator with Yosys (winogen[synth]) and say what it "
        "takes of the board's device: DSP48, block RAM, LUT and flip-flops by part of the design, "
        "and the longest paths. Takes minutes, once for each version of the logic. Exits with 1 "
        "where the build is over a limit.",
    )
    report.add_argument("--board", default="pynq-z2", help="name or YAML file (default: pynq-z2)")
    report.add_argument("--bits", type=int, default=8, help="data width, 8 or 16 (default: 8)")
    report.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file too")
    report.set_defaults(command=_report)
    explore = verbs.add_parser(
        "explore",
        help="search the array and memories that run networks fastest on a board",
        description="Try every shape of the array, with one and two products a multiplier, and "
        "every way to divide the block RAM that fits the board's device, and print the fastest "
        "for each number of multipliers: images a second by the cost model, resources by an "
        "estimate that was fitted to syntheses. "
        "Takes minutes.",
        epilog=examples(
            ("winogen overlay explore --board zcu104", "the best arrays for DCGAN"),
            (
                "winogen overlay explore --network my-model --plot front.png",
                "for your own network",
            ),
        ),
    )
    explore.add_argument("--board", default="pynq-z2", help="name or YAML file (default: pynq-z2)")
    explore.add_argument("--bits", type=int, default=8, help="data width, 8 or 16 (default: 8)")
    explore.add_argument(
        "--network",
        action="append",
        metavar="NAME",
        help="network to run, a name or a folder; may be given several times (default: "
        f"{', '.join(NETWORKS)})",
    )
    explore.add_argument("--batch", type=int, default=16, help="images of a run (default: 16)")
    explore.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw speed against resources: .png, .svg, .pdf"
    )
    explore.add_argument(
        "--json", type=Path, metavar="FILE", help="write all that was tried to a file too"
    )
    explore.set_defaults(command=_explore)

    build = verbs.add_parser(
        "build",
        help="build a board's overlay (.bit and .hwh)",
        description="Build winogen.bit and winogen.hwh for a board: processing system, AXI "
        "interconnect, accelerator, interrupt controller. With --tool vivado it needs Vivado, "
        "which is AMD's, and about an hour; where timing is missed it goes on with the next lower "
        "clock that the board's PLLs make, another hour each. With --tool open (the 7020 of "
        "PYNQ-Z1 and Z2; board pynq-z2-open) it needs Yosys (winogen[synth]), nextpnr for Xilinx "
        "devices and Project X-Ray; the files have the fastest clock that nextpnr estimates.",
    )
    build.add_argument("--board", required=True, help="name or YAML file")
    build.add_argument("--bits", type=int, default=8, help="data width, 8 or 16 (default: 8)")
    build.add_argument("--tool", required=True, choices=("vivado", "open"), help="what builds it")
    build.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="folder for the results (default: build/overlay/BOARD-intBITS)",
    )
    build.add_argument(
        "--deadline",
        type=float,
        metavar="SECONDS",
        help="give up after so long (default: 12 hours)",
    )
    build.add_argument(
        "--ignore-checks",
        action="store_true",
        help="go on where a check has found that the build will not be good: with --tool vivado "
        "the netlist, with --tool open an array that nextpnr cannot place",
    )
    build.add_argument(
        "--simulate",
        action="store_true",
        help="with --tool vivado: run one stream on the netlist, in XSim, before it is implemented",
    )
    build.add_argument(
        "--settings-only",
        action="store_true",
        help="with --tool vivado: write the settings of the scripts and say how to run them, for "
        "another machine that has the same folders",
    )
    build.set_defaults(command=_build)


def _report(options: argparse.Namespace) -> int:
    from winogen.fpga.parts import find_part
    from winogen.fpga.synthesis import synthesise
    from winogen.fpga.utilisation import Report

    if options.json:
        check_writable(options.json)
    board = load_board(options.board, options.bits, as_built=False)
    part = find_part(board.part)
    report = Report.of(board, part, synthesise(board.core, part.family))
    if options.json:
        text = json.dumps(report.as_dict(), indent=2) + "\n"
        write_atomically(options.json, text.encode())
    print(report.text())
    return 0 if all(bar.met for bar in report.bars()) else 1


def _explore(options: argparse.Namespace) -> None:
    from winogen.common.progress import Progress
    from winogen.compiler.options import MAX_BATCH
    from winogen.fpga.explore import Explorer
    from winogen.fpga.explore_report import explore_dict, explore_plot, explore_text
    from winogen.fpga.parts import find_part
    from winogen.network import zoo

    if not 1 <= options.batch <= MAX_BATCH:
        raise InputError(f"batch must be 1 to {MAX_BATCH}, not {options.batch}")
    if options.plot and options.plot.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"cannot draw {options.plot}: its name must end in .png, .svg or .pdf")
    if options.plot and not find_spec("matplotlib"):
        raise InputError("plots need matplotlib: pip install 'winogen[plot]'")
    for file in (options.plot, options.json):
        if file:
            check_writable(file)
    board = load_board(options.board, options.bits, as_built=False)
    part = find_part(board.part)
    with Progress("exploring") as progress:
        progress.stage("networks")
        graphs = [zoo.load_model(name) for name in options.network or NETWORKS]
        explorer = Explorer(board, part, graphs, options.batch)
        front = explorer.search(lambda done, of: progress.stage(f"array {done + 1} of {of}"))
        now = explorer.measure(board.core)
    print(explore_text(board, part, front, now))
    if options.json:
        text = json.dumps(explore_dict(front, explorer.tried), indent=2) + "\n"
        write_atomically(options.json, text.encode())
    if options.plot:
        suffix = options.plot.suffix[1:]
        picture = explore_plot(board, part, front, explorer.tried, now, suffix)
        write_atomically(options.plot, picture)


def _build(options: argparse.Namespace) -> None:
    from winogen.fpga.build import DEADLINE, build_overlay, script, write_settings
    from winogen.fpga.open_flow import build_open

    seconds = DEADLINE if options.deadline is None else options.deadline
    if not 0 < seconds < float("inf"):
        raise InputError(f"the deadline must be a positive number of seconds, not {seconds:g}")
    board = load_board(options.board, options.bits, as_built=False)
    folder = options.output or Path("build", "overlay", f"{board.name}-int{options.bits}")
    if options.simulate and options.tool != "vivado":
        raise InputError("--simulate goes with --tool vivado, whose XSim it needs")
    if options.settings_only:
        if options.tool != "vivado":
            raise InputError("--settings-only goes with --tool vivado, whose scripts have settings")
        settings = write_settings(
            board, folder, ignore_checks=options.ignore_checks, stimulus=_stimulus(options, board)
        )
        print(f"cd {shlex.quote(str(settings.parent))}")
        print(f"vivado -mode batch -source {shlex.quote(str(script()))} -tclargs {settings.name}")
        return
    if options.tool == "vivado":
        stimulus = _stimulus(options, board)
        bit = build_overlay(
            board, folder, seconds, ignore_checks=options.ignore_checks, stimulus=stimulus
        )
    else:
        bit = build_open(board, folder, seconds, ignore_checks=options.ignore_checks)
    built = clocked_as(board, bit).clock_mhz
    print(f"wrote {bit} and {bit.with_suffix('.hwh').name}, for {built:g} MHz")
    if built < board.clock_mhz * (1 - 1e-3):
        where = "the reports are beside the log" if options.tool == "vivado" else "see nextpnr.log"
        print(
            f"timing was missed at {board.clock_mhz:g} MHz: {where}; driver and predictions have "
            "the new clock once both files are in the board's folder"
        )
    if options.tool == "open":
        print(
            "nextpnr's estimate knows no delays of DSPs, block RAMs and the processing system, so "
            "the clock is no guarantee: 'winogen doctor' and 'winogen verify' on the board tell"
        )


def _stimulus(options: argparse.Namespace, board: Board) -> Stimulus | None:
    if not options.simulate:
        return None
    from winogen.doctor.stream import conformance_stimulus

    if board.platform is None:  # which cannot be built, as the settings say
        return None
    return conformance_stimulus(board)
