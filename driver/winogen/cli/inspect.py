"""``winogen models``, ``info`` and ``disasm``: what there is to run, and what a program is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from winogen.cli.exits import add_exit, described_exits, exits_table
from winogen.cli.objects import add_json, described
from winogen.cli.options import option_parser
from winogen.cli.parser import examples
from winogen.cli.programs import load_or_compile, load_program
from winogen.common.errors import InputError
from winogen.common.text import table
from winogen.compiler.options import CompileOptions
from winogen.network import zoo
from winogen.program.file import Program
from winogen.program.speed import speed
from winogen.reports.tables import cost_summary, cost_table, weights_summary, weights_table


def add(commands: Any) -> None:
    """Add the commands to the command line (argparse's sub-parsers)."""
    models = commands.add_parser("models", help="list the networks that come with winogen")
    add_json(models)
    models.set_defaults(command=_models)

    info = commands.add_parser(
        "info",
        parents=[option_parser(CompileOptions)],
        help="describe a program file, or what a network compiles to",
        description="What a program does, what memory it needs, how fast it is predicted to be. A "
        "network is compiled for it, and no file is written.",
        epilog=examples(
            ("winogen info digits.wg", "a program file"),
            ("winogen info net.onnx --board zcu104 --batch 4", "what a network compiles to there"),
        ),
    )
    info.add_argument(
        "model",
        help="a program file (.wg), a name, a folder, an ONNX or network file, or weights",
    )
    add_json(info)
    info.set_defaults(command=_info)

    disasm = commands.add_parser(
        "disasm",
        help="print the instructions of a program file",
        description="One instruction a line: index, layer, opcode, tokens taken (<), operands, "
        "tokens given (>). docs/reference/instructions.md says what the operands mean.",
    )
    disasm.add_argument("program", type=Path, help="program file (.wg)")
    disasm.add_argument("--batch", type=int, help="which stream (default: the smallest)")
    add_exit(disasm, deadline=False)
    disasm.set_defaults(command=_disasm)


def _models(options: argparse.Namespace) -> None:
    found = [
        {"name": name, "trained": zoo.is_trained(name), "description": zoo.describe(name)}
        for name in zoo.model_names()
    ]
    options.result = {"models": found}
    rows = [
        [str(m["name"]), "trained" if m["trained"] else "random", str(m["description"])]
        for m in found
    ]
    print(table(["name", "weights", "description"], rows, left=3))


def _info(options: argparse.Namespace) -> None:
    program = load_or_compile(options)
    options.result = {"program": described(program), "exits": described_exits(program)}
    c, h, w = program.input_shape
    oc, oh, ow = program.output_shape
    print(f"network   {program.name}, int{program.data_width}")
    print(
        f"board     {program.board.name}, {program.board.clock_mhz:g} MHz, "
        f"{program.core.array}, configuration {program.core.config_hash32:08x}"
    )
    print(f"input     {program.input.kind} {c} x {h} x {w}, step {program.input_format.scale:.6g}")
    print(
        f"output    {oc} x {oh} x {ow}, step {program.output_format.scale:.6g}"
        + ("" if program.output_range is None else ", image")
    )
    print(f"weights   {weights_summary(program)}")
    print(
        f"memory    {program.memory()} of the {program.board.contiguous_mib} MiB of contiguous "
        f"memory; {program.memory(1).total / (1 << 20):.1f} MiB for one image at a time, "
        f"{program.memory().second / (1 << 20):.1f} MiB more for batches that overlap"
    )
    print(f"pictures  {_pictures(program)}\n")
    rows = [
        [
            str(s.batch),
            f"{s.length:,}",
            f"{s.input_bytes:,}",
            f"{s.output_bytes:,}",
            f"{s.scratch_bytes:,}",
            f"{s.cycles:,}",
            f"{predicted.accelerator:,.1f}",
            f"{predicted.alone:,.1f}",
            f"{predicted.overlapped:,.1f}",
        ]
        for s in program.streams
        for predicted in [speed(program, s)]
    ]
    header = ["batch", "instructions", "input B", "output B", "scratch B", "cycles",
              "accelerator/s", "images/s", "overlapped/s"]  # fmt: skip
    print(table(header, rows, left=0))
    print()
    if program.exits:
        print(exits_table(program))
        print()
    print(cost_table(program, program.streams[-1]))
    print(cost_summary(program, program.streams[-1]))
    weights = weights_table(program, program.streams[0])
    if weights:
        print(f"\n{weights}")


def _pictures(program: Program) -> str:
    if program.input.kind != "image":
        return "none: it takes latents"
    _, rows, columns = program.input_shape
    if program.locality is None:
        return f"resized to {columns} x {rows}"
    return f"any size from {columns} x {rows} on, in windows of that"


def _disasm(options: argparse.Namespace) -> None:
    from winogen.target.disasm import disassemble

    program = load_program(options.program)
    program = program.at_exit(program.exit_count if options.exit is None else options.exit)
    streams = {s.batch: s for s in program.streams}
    batch = min(streams) if options.batch is None else options.batch
    if batch not in streams:
        raise InputError(
            f"program '{program.name}' has no stream for batch {batch}; it has "
            f"{', '.join(map(str, streams))}"
        )
    for line in disassemble(streams[batch].instructions()):
        print(line)
