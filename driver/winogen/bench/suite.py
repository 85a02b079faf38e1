"""The suite: which networks are run in which modes, and what is found, as one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winogen.bench.measure import Run, compile_for, measure, one_product
from winogen.bench.reading import filled, real, value
from winogen.common.errors import BoardError, InputError
from winogen.common.text import did_you_mean, printable
from winogen.compiler.lower import Mode
from winogen.compiler.quantise import quantise
from winogen.fpga.estimate import estimate
from winogen.fpga.parts import find_part
from winogen.network import zoo
from winogen.program.file import Program
from winogen.target.board import Board
from winogen.target.microarchitecture import LOGIC
from winogen.version import __version__

#: Networks of the suite: the paper's generators, super-resolution, VTA's layers, the README's.
NETWORKS = (
    "dcgan-5x5",
    "dcgan-4x4",
    "artgan",
    "discogan",
    "gp-gan",
    "fsrcnn-x2",
    "fsrcnn-x3",
    "fsrcnn-x4",
    "vta-dcgan-1",
    "vta-dcgan-2",
    "vta-dcgan-3",
    "digits",
)
#: Those of ``--quick``: GP-GAN takes as long as all others together.
QUICK = tuple(name for name in NETWORKS if name != "gp-gan")
#: Modes that are compared on one build, and the one that winogen takes by itself.
BASELINES = (Mode.ZERO_PADDED.value, Mode.DIRECT.value, Mode.WINOGRAD.value)
AUTO = Mode.AUTO.value
#: The run of a build with one product a multiplier, and that of one image alone.
UNPACKED, SINGLE = "unpacked", "single"
#: Images of a run unless asked otherwise.
BATCH = 16
#: Runs that the cost model predicts to take longer than this are not simulated, but predicted.
RTL_CYCLES = 3_000_000
#: The format of results.
FORMAT = 1


@dataclass(frozen=True)
class Network:
    """What was found of a network.

    ``runs`` are by name: the modes of ``BASELINES`` and ``AUTO``; ``unpacked`` and ``single`` in
    mode auto. ``weight_bytes`` and ``stream_bytes`` are those of the program in mode auto, in the
    board's memory.
    """

    name: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    weight_bytes: int
    stream_bytes: int
    runs: Mapping[str, Run]


@dataclass(frozen=True)
class Results:
    """What a suite found.

    Attributes
    ----------
    version : of winogen
    board, part, bits, array, clock_mhz, dram_mb_s : what it is for
    bytes_per_cycle, peak : roofs: DRAM's, and products of the array a cycle
    resources : dsp, block_ram (36 Kb), lut and ff of the build, estimated; None where the part is
        not known
    batch : images of a run at most
    """

    version: str
    board: str
    part: str
    bits: int
    array: str
    clock_mhz: float
    dram_mb_s: float
    bytes_per_cycle: float
    peak: int
    resources: dict[str, float] | None
    batch: int
    networks: tuple[Network, ...]

    @property
    def dsp(self) -> int | None:
        """DSP48 of the build, which follow from its structure."""
        return int(self.resources["dsp"]) if self.resources else None

    def network(self, name: str) -> Network | None:
        """A network that was run; None for another."""
        return next((n for n in self.networks if n.name == name), None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        fields = {k: v for k, v in vars(self).items() if k != "networks"}
        networks = {
            n.name: {
                "input": list(n.input),
                "output": list(n.output),
                "weight_bytes": n.weight_bytes,
                "stream_bytes": n.stream_bytes,
                "runs": {name: run.as_dict() for name, run in n.runs.items()},
            }
            for n in self.networks
        }
        return {"format": FORMAT, **fields, "networks": networks}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Results:
        """The inverse of :meth:`as_dict`; InputError for what is none."""
        try:
            if data["format"] != FORMAT:
                raise InputError(
                    f"results have format {data['format']!r} and this winogen reads {FORMAT}: "
                    "record them again"
                )
            networks = tuple(
                _network_of(printable(name), entry) for name, entry in data["networks"].items()
            )
            if not networks:
                raise ValueError("there is no network")
            resources = data["resources"]
            if resources is not None:
                resources = {n: real(resources[n], n) for n in ("dsp", "block_ram", "lut", "ff")}
                real(resources["dsp"], "dsp", least=1)
            left = ("format", "networks", "resources")
            plain = {k: v for k, v in data.items() if k not in left}
            made = filled(cls, plain, networks=networks, resources=resources)
            for name in ("clock_mhz", "dram_mb_s", "bytes_per_cycle", "peak", "batch"):
                real(getattr(made, name), name, least=1e-3)
            return made
        except KeyError as error:
            raise InputError(f"these are no results of winogen bench: {error} is missing") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"these are no results of winogen bench: {error}") from None


def check_networks(names: Sequence[str]) -> None:
    """InputError for a name that the suite does not know."""
    for name in names:
        if name not in zoo.model_names():
            hint = did_you_mean(name, zoo.model_names())
            raise InputError(
                f"there is no network '{name}'; {hint}known: {', '.join(zoo.model_names())}"
            )


def run_suite(
    board: Board,
    names: Sequence[str] = NETWORKS,
    *,
    batch: int = BATCH,
    single: bool = True,
    rtl_cycles: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Results:
    """Measure networks in all modes.

    Parameters
    ----------
    batch : images of a run
    single : with a run of one image alone
    rtl_cycles : simulate the logic for runs that are predicted to take so many cycles at most, of
        the board's own build; None: predict all
    progress : called with what is done now

    Raises
    ------
    InputError : a name is unknown
    ScheduleError : a network does not fit the board
    DeviceError : the logic cannot be simulated here
    """
    check_networks(names)
    say = progress or (lambda _: None)
    found = []
    for number, name in enumerate(names, 1):
        at = f"{number} of {len(names)}, {name}: "

        def of(what: str, at: str = at) -> None:
            say(at + what)

        found.append(_network(name, board, batch, single, rtl_cycles, of))
    core = board.core
    return Results(
        __version__,
        board.name,
        board.part,
        core.data_width,
        core.array,
        board.clock_mhz,
        board.dram_mb_s,
        _bytes_per_cycle(board),
        core.peak,
        _resources(board),
        batch,
        tuple(found),
    )


def _network(
    name: str,
    board: Board,
    batch: int,
    single: bool,
    rtl_cycles: int | None,
    say: Callable[[str], None],
) -> Network:
    say("quantising")
    graph = zoo.load_model(name)
    network = quantise(graph, board.core.data_width, samples=1)  # cycles do not depend on ranges
    runs: dict[str, Run] = {}

    def take(key: str, target: Board, mode: str, size: int, rtl: bool = True) -> Program:
        say(f"{key}, compiling")
        program = compile_for(graph, network, target, mode, [size])
        stream = program.streams[-1]
        simulate = rtl and rtl_cycles is not None and stream.cycles <= rtl_cycles
        if simulate:
            say(f"{key}, simulating {stream.cycles:,} cycles")
        runs[key] = measure(program, stream, mode, rtl=simulate)
        return program

    for mode in BASELINES:
        take(mode, board, mode, batch)
    program = take(AUTO, board, AUTO, batch)
    unpacked = one_product(board)
    if unpacked is not board:
        take(UNPACKED, unpacked, AUTO, batch, rtl=False)
    if single and batch > 1:
        take(SINGLE, board, AUTO, 1)
    return Network(
        name,
        graph.input.shape,
        graph.output_shape,
        len(program.weights),
        len(program.streams[-1].stream),
        runs,
    )


def _network_of(name: str, entry: Mapping[str, Any]) -> Network:
    """A recorded network, whose modes have the same layers."""
    runs = {key: Run.from_dict(run) for key, run in entry["runs"].items()}
    if len({len(runs[mode].layers) for mode in (*BASELINES, AUTO)}) != 1:
        raise ValueError(f"modes of '{name}' have different layers")
    return Network(
        name,
        tuple(value(n, int, "input") for n in entry["input"]),
        tuple(value(n, int, "output") for n in entry["output"]),
        value(entry["weight_bytes"], int, "weight_bytes"),
        value(entry["stream_bytes"], int, "stream_bytes"),
        runs,
    )


def _bytes_per_cycle(board: Board) -> float:
    """What a cycle can bring: the memory's rate, or the ports' if they are slower."""
    return min(board.dram_bytes_per_cycle, LOGIC.beat_bytes * board.core.read_ports)


def _resources(board: Board) -> dict[str, float] | None:
    """What the board's build takes."""
    try:
        area = estimate(board.core, find_part(board.part).family)
    except BoardError:
        return None
    return {"dsp": area.dsp, "block_ram": area.block_ram, "lut": area.lut, "ff": area.ff}
