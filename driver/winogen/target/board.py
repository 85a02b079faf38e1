"""Board descriptions: the accelerator's build configuration and the memory around it (YAML)."""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from winogen.common.errors import BoardError, one_line
from winogen.common.folders import shipped_folder
from winogen.common.opening import open_to_read
from winogen.common.text import did_you_mean, printable
from winogen.common.yaml_text import read_yaml
from winogen.target.clock import PLLS
from winogen.target.handoff import read_handoff
from winogen.target.isa import ISA_VERSION
from winogen.target.microarchitecture import LOGIC

#: Contiguous memory that 32-bit bus addresses leave room for.
MAX_CONTIGUOUS_MIB = 3072

#: The board that a program is for, where neither its user nor ``BOARD`` names one.
DEFAULT_BOARD = "pynq-z2"

_FILE = "board.yaml"
#: Key of a board file: the boards that its build runs on, where its own name is none of hardware.
_RUNS_ON = "runs_on"
#: End of the name of a build for the open flow.
_OPEN = "-open"

#: Names of a board's bitstreams, in its folder, by data width.
OVERLAY_NAMES = {8: "winogen.bit", 16: "winogen16.bit"}


@dataclass(frozen=True)
class CoreConfig:
    """Build configuration of the accelerator: what the bitstream fixes.

    Depths are in words of the memory concerned: ``input_depth`` words of ``ci_lanes``
    activations, ``weight_depth`` of ``ci_lanes * co_lanes`` (transformed) weights, ``psum_depth``
    of ``co_lanes`` partial sums, ``output_depth`` of ``co_lanes`` activations. ``products`` are
    those that a multiplier makes in a cycle: with 2 output channels come in pairs of blocks
    (8-bit data only), and a word of weights holds those of both. ``decoder`` is the number of coded
    weights that LOAD_WEIGHTS decodes in a cycle, 32, or 0: the build knows plain weights only.
    """

    data_width: int
    ci_lanes: int
    co_lanes: int
    tile_lanes: int
    input_depth: int
    weight_depth: int
    psum_depth: int
    output_depth: int
    step_depth: int
    accumulator_depth: int
    phase_depth: int
    param_depth: int
    read_ports: int
    products: int = 1
    decoder: int = 0

    def __post_init__(self) -> None:
        if self.data_width not in (8, 16):
            raise BoardError(f"data_width must be 8 or 16, not {self.data_width}")
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "decoder" and value == 0:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise BoardError(f"core field {f.name} must be a positive integer, not {value!r}")
        if self.ci_lanes != self.co_lanes:
            raise BoardError("ci_lanes and co_lanes must be equal: outputs are the next inputs")
        if self.ci_lanes & (self.ci_lanes - 1):
            raise BoardError(f"ci_lanes must be a power of two, not {self.ci_lanes}")
        if self.word_bytes % LOGIC.beat_bytes:
            raise BoardError(
                f"{self.ci_lanes} lanes of {self.data_width} bits are no whole number of "
                f"{LOGIC.beat_bytes}-byte AXI beats"
            )
        if self.read_ports & (self.read_ports - 1):
            raise BoardError(f"read_ports must be 1, 2 or 4, not {self.read_ports}")
        if self.products == 2 and self.data_width != 8:
            raise BoardError("products must be 1 with 16-bit data: two do not fit a multiplier")
        if self.decoder not in (0, LOGIC.code_group) or isinstance(self.decoder, bool):
            raise BoardError(f"decoder must be 0 or {LOGIC.code_group}, not {self.decoder!r}")
        if self.decoder and self.ci_lanes < 8:
            raise BoardError("decoder must be 0 with fewer than 8 lanes: a tap has too few weights")
        for name, limit in _FIELD_LIMITS.items():
            if getattr(self, name) > limit:
                raise BoardError(f"core field {name} = {getattr(self, name)} is over {limit}")

    @property
    def multipliers(self) -> int:
        """Multipliers of the array; each makes ``products`` multiplies a cycle."""
        return self.ci_lanes * self.co_lanes * self.tile_lanes

    @property
    def peak(self) -> int:
        """Multiplies a cycle of the whole array."""
        return self.multipliers * self.products

    @property
    def array(self) -> str:
        """The array in words: its multipliers, and what each makes if that is not one product."""
        return f"{self.multipliers} multipliers" + (", two products each" * (self.products == 2))

    @property
    def word_bytes(self) -> int:
        """Bytes of one block of activations at one pixel."""
        return self.ci_lanes * self.data_width // 8

    @property
    def weight_word_bytes(self) -> int:
        """Bytes of one tap of a (ci_lanes x co_lanes) block of weights in DRAM."""
        return self.ci_lanes * self.co_lanes * self.data_width // 8

    @property
    def whole_words(self) -> bool:
        """Whether the filter transform gives a word of weights in a cycle, and not in two.

        It does where more come in a cycle than half words are made of: in two cycles a word of a
        phase of two by two taps, which has nine positions. (``whole_words`` of wg_types_pkg.)
        """
        plain = 8 * LOGIC.beat_bytes * self.read_ports // self.data_width
        return 4 * max(self.decoder, plain) > self.ci_lanes * self.co_lanes

    @property
    def config_hash(self) -> str:
        """SHA-256 (hex) of this configuration and the instruction-set version."""
        canonical = json.dumps({"isa": ISA_VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def config_hash32(self) -> int:
        """The first 32 bits of the hash, as the CONFIG_HASH register holds them."""
        return int(self.config_hash[:8], 16)


#: What the instruction fields can address, and how far the logic can be scaled.
_FIELD_LIMITS = {
    "input_depth": 1 << 20,
    "weight_depth": 1 << 20,
    "psum_depth": 1 << 20,
    "output_depth": 1 << 20,
    "step_depth": (1 << 12) - 1,
    "accumulator_depth": 128,
    "phase_depth": (1 << 8) - 1,
    "param_depth": (1 << 8) - 1,
    "tile_lanes": 255,
    "ci_lanes": 32,
    "read_ports": 4,
    "products": 2,
}


#: What a board may be called: its name is that of a folder, and in messages and reports.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,63}")
#: What other texts may hold: they go into scripts of tools.
_PLAIN = re.compile(r"[A-Za-z0-9._:/+ -]{0,100}")

#: What a field of a platform may hold, by its annotation.
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "int": ((int,), "a positive whole number"),
    "float": ((int, float), "positive"),
}


@dataclass(frozen=True)
class Platform:
    """The processing system beside the accelerator: what a bitstream's block design needs to know.

    Attributes
    ----------
    processor : ``zynq7`` or ``zynqmp``
    board_part : Vivado's name of the board without its version; empty if Vivado has none
    crystal_mhz : clock of the processing system's PLLs, MHz
    clock_source : PLL that clocks the logic
    source_mhz : frequency of that PLL, MHz; the board's ``clock_mhz`` is a whole fraction of it
    ddr_part : Vivado's name of the DRAM; empty where the board's preset knows it
    ddr_mib : DRAM that the accelerator's ports reach, from bus address 0, MiB
    address_bits : width of a bus address
    """

    processor: str
    board_part: str
    crystal_mhz: float
    clock_source: str
    source_mhz: float
    ddr_part: str
    ddr_mib: int
    address_bits: int

    def __post_init__(self) -> None:
        if self.processor not in ("zynq7", "zynqmp"):
            raise BoardError(
                f"platform field processor must be zynq7 or zynqmp, not {self.processor!r}"
            )
        for f in fields(self):
            value = getattr(self, f.name)
            types, kind = _KINDS[str(f.type)]
            if type(value) not in types or (str not in types and value <= 0):
                raise BoardError(f"platform field {f.name} must be {kind}, not {value!r}")
            if isinstance(value, str):
                _check_text(f"platform field {f.name}", value, _PLAIN)


@dataclass(frozen=True)
class Board:
    """A board and one build configuration of the accelerator on it.

    Attributes
    ----------
    clock_mhz : clock of the programmable logic, MHz
    dram_mb_s : DRAM bandwidth that the accelerator can use, 10**6 bytes a second: what the memory
        controller gives, and not the peak
    dram_latency : clock cycles from a read request to its first data
    contiguous_mib : contiguous memory that the board's image sets aside, MiB
    platform : the processing system; None for what is no Zynq board
    dram_peak_mb_s : rate of the DRAM's pins, 10**6 bytes a second; 0 where it is not known
    """

    name: str
    part: str
    clock_mhz: float
    dram_mb_s: float
    dram_latency: int
    contiguous_mib: int
    core: CoreConfig
    platform: Platform | None = None
    dram_peak_mb_s: float = 0.0

    def __post_init__(self) -> None:
        limits = {
            "clock_mhz": 2000.0,
            "dram_mb_s": 1e7,
            "dram_latency": 10_000,
            "contiguous_mib": MAX_CONTIGUOUS_MIB,
        }
        for name, limit in limits.items():
            value = getattr(self, name)
            wanted = (int, float) if isinstance(limit, float) else int
            if isinstance(value, bool) or not isinstance(value, wanted) or not 1 <= value <= limit:
                kind = "a number" if isinstance(limit, float) else "a whole number"
                raise BoardError(
                    f"board field {name} must be {kind} from 1 to {limit:g}, not {value!r}"
                )
        peak = self.dram_peak_mb_s
        if isinstance(peak, bool) or not isinstance(peak, (int, float)) or not 0 <= peak <= 1e7:
            raise BoardError(f"board field dram_peak_mb_s must be a number, not {peak!r}")
        for name, pattern in (("name", _NAME), ("part", _PLAIN)):
            if not isinstance(getattr(self, name), str):
                raise BoardError(f"board field {name} must be text")
            _check_text(f"board field {name}", getattr(self, name), pattern)

    @property
    def dram_bytes_per_cycle(self) -> float:
        """DRAM bandwidth in bytes a clock cycle."""
        return self.dram_mb_s / self.clock_mhz


def _check_text(what: str, text: str, pattern: re.Pattern[str]) -> None:
    """Refuse text that could be a path, an escape of a terminal or a command of a tool."""
    if not pattern.fullmatch(text):
        raise BoardError(
            f"{what} may hold letters, digits, spaces and . _ + - only, and not {text[:60]!r}"
        )


def board_names() -> list[str]:
    """Names that :func:`load_board` knows, sorted."""
    return sorted(p.parent.name for p in board_folder().glob(f"*/{_FILE}"))


def builds_for(hardware: str) -> list[str]:
    """Names of the builds for a board as PYNQ's variable BOARD names it, in lower case.

    Its own comes first, then those whose files have it in ``runs_on``; empty for a board that
    winogen does not know. A file that cannot be read is none of another board's business.
    """
    others = []
    for name in board_names():
        runs_on: Any = None
        with suppress(BoardError):
            runs_on = _read(board_folder() / name / _FILE).get(_RUNS_ON)
        if isinstance(runs_on, list) and hardware in runs_on and name != hardware:
            others.append(name)
    return [hardware, *others] if hardware in board_names() else others


def build_for(hardware: str) -> str:
    """The build that a board has a bitstream of: the first of :func:`builds_for`, or ``hardware``.

    That is the board's own name where there is no bitstream at all.
    """
    for name in builds_for(hardware):
        if any((board_folder() / name / file).is_file() for file in OVERLAY_NAMES.values()):
            return name
    return hardware


def build_tool(name: str) -> str:
    """What ``winogen overlay build --tool`` takes for a build: ``vivado`` or ``open``."""
    return "open" if name.endswith(_OPEN) else "vivado"


def board_folder() -> Path:
    """Where the boards' folders are: their copy in a wheel, or ``overlay`` of a checkout."""
    return shipped_folder("overlays", "overlay")


def load_board(board: str | Path, data_width: int = 8, *, as_built: bool = True) -> Board:
    """Read a board description by name, or from a YAML file, with its 8- or 16-bit core.

    Its clock is that of the bitstream in the board's folder, if there is one: a build that missed
    its timing has a lower clock than the file wants. ``as_built=False`` is for who builds another.

    Raises BoardError for an unknown name, an unreadable file, a missing or unknown field, or a
    data width that the board has no core for.
    """
    path = Path(board)
    if path.suffix not in (".yaml", ".yml"):
        if str(board) not in board_names():  # a name, and never a path
            variable = os.environ.get("BOARD", "")
            why = ", which the environment variable BOARD names" if variable else ""
            hint = did_you_mean(str(board), board_names())
            raise BoardError(
                f"unknown board '{printable(str(board))}'"
                f"{why if variable.lower() == str(board).lower() else ''}; {hint}known boards: "
                f"{', '.join(board_names())} (or give the path of a board YAML file)"
            )
        path = board_folder() / str(board) / _FILE
    data = _read(path)
    where = f"board file {path.name if path.name != _FILE else f'{path.parent.name}/{_FILE}'}"
    if not isinstance(data.get("cores"), dict):
        raise BoardError(f"{where}: expected a mapping with a 'cores' section")
    cores, platform = data.pop("cores"), data.pop("platform", None)
    _check_runs_on(where, data.pop(_RUNS_ON, []))
    core = cores.get(f"int{data_width}")
    if not isinstance(core, dict):
        known = ", ".join(sorted(map(str, cores)))
        raise BoardError(f"{where} has no int{data_width} core; it has {known or 'none'}")
    if core.get("data_width") != data_width:
        raise BoardError(
            f"{where}: the int{data_width} core has data_width {core.get('data_width')!r}"
        )
    try:
        if platform is not None:
            data["platform"] = Platform(**platform)
        wanted = Board(core=CoreConfig(**core), **data)
    except TypeError as error:
        raise BoardError(f"{where}: {one_line(error)}") from None
    if as_built and path.name == _FILE and path.parent.parent == board_folder():
        return clocked_as(wanted, path.parent / OVERLAY_NAMES[data_width])
    return wanted


def _check_runs_on(where: str, names: Any) -> None:
    if not isinstance(names, list) or not all(
        isinstance(n, str) and n in board_names() for n in names
    ):
        raise BoardError(f"{where}: {_RUNS_ON} must be a list of boards that winogen knows")


def clocked_as(board: Board, bitstream: Path) -> Board:
    """The board with the clock that a bitstream was built for, where its .hwh says that.

    The same object where it is the clock that the board has, but for rounding.
    """
    handoff = read_handoff(bitstream)
    if handoff is None or not handoff.clock_mhz:
        return board
    if abs(handoff.clock_mhz - board.clock_mhz) <= 1e-3 * board.clock_mhz:
        return board
    platform = board.platform
    if platform and platform.processor == "zynq7" and handoff.clock_source in PLLS:
        source = handoff.clock_source
        platform = replace(platform, clock_source=source, source_mhz=PLLS[source][1])
    return replace(board, clock_mhz=handoff.clock_mhz, platform=platform)


@lru_cache(maxsize=64)
def _values(text: str) -> Any:
    """What a board file says. One is read whenever a device is opened, and YAML takes its time."""
    return read_yaml(text)


def _read(path: Path) -> dict[str, Any]:
    """A board file; with ``like``, what another board's file says and this one does not."""
    try:
        with open_to_read(path) as file:
            values = _values(file.read().decode("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BoardError(f"cannot read board file {path}: {one_line(error)}") from None
    if not isinstance(values, dict):
        raise BoardError(f"board file {path.name}: expected a mapping with a 'cores' section")
    data = dict(values)  # only keys of its own are taken out or put in
    if "like" in data:
        other = data.pop("like")
        if other not in board_names():
            raise BoardError(f"board file {path.name}: 'like' names no board: {other!r}")
        base = _read(board_folder() / other / _FILE)
        base.pop(_RUNS_ON, None)
        if isinstance(base.get("platform"), dict) and isinstance(data.get("platform"), dict):
            data["platform"] = {**base["platform"], **data["platform"]}
        data = {**base, **data}
    return data
