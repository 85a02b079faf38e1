"""Synthesis of the accelerator with Yosys, to a netlist of an FPGA's primitives.

A netlist is kept in the user's cache under a hash of all that it was made from.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from winogen.common.errors import DeviceError, one_line
from winogen.common.files import temporary_folder
from winogen.common.folders import cache_folder
from winogen.common.progress import Progress
from winogen.fpga import paths as timing
from winogen.fpga.netlist import Netlist
from winogen.fpga.yosys import Yosys, find_yosys
from winogen.target.board import CoreConfig
from winogen.target.hardware import CORE, TOP, hardware_folder, parameters, rtl_headers, rtl_sources

_NETLIST = "netlist.json.gz"
#: Families whose primitives Yosys has delays for.
_TIMED_FAMILIES = ("xc7",)
#: Paths that a report names.
PATHS = 10
#: Seconds that Yosys may take.
DEADLINE = 3600.0


@dataclass(frozen=True)
class Synthesis:
    """A synthesised accelerator.

    Attributes
    ----------
    netlist, file : flat, of primitives, and where it is kept (JSON, compressed)
    paths : the longest paths, longest first; None where the family has no delays
    deepest, routed : the path of most LUTs, and the longest one with a guess at routing; None also
        where there is no path
    tool : the Yosys that made it
    """

    netlist: Netlist
    file: Path
    paths: list[timing.Path] | None
    deepest: timing.Path | None
    routed: timing.Path | None
    tool: str


def synthesise(
    core: CoreConfig,
    family: str = "xc7",
    *,
    sources: Sequence[Path] | None = None,
    options: str = "",
    yosys: Yosys | None = None,
    cache: Path | None = None,
    deadline: float = DEADLINE,
) -> Synthesis:
    """Synthesise ``core`` for a family of devices; minutes, unless the cache has it.

    Parameters
    ----------
    core : the build configuration
    family : as ``synth_xilinx`` names them: xc7, xcu, xcup
    sources : SystemVerilog files (default: the accelerator's)
    options : more options of ``synth_xilinx``
    yosys : which one (default: what ``find_yosys`` finds)
    cache : folder for netlists (default: the user's cache)
    deadline : seconds that Yosys may take

    Raises
    ------
    DeviceError
        If Yosys is missing or fails: a latch, a net with two drivers, a combinational loop.
    """
    yosys = yosys or find_yosys()
    files = rtl_sources() if sources is None else list(sources)
    script = Template(_script("netlist.ys")).substitute(
        top=TOP,
        threads=yosys.threads,
        parameters=" ".join(f"-G {n}={v}" for n, v in parameters(core).items()),
        sources=" ".join(path.name for path in files),
        family=family,
        options=options,
    )
    texts = {path.name: path.read_bytes() for path in [*rtl_headers(), *files]}
    texts["netlist.ys"] = script.encode()
    folder = (cache or cache_folder("synth")) / _key(texts, yosys)
    tool = f"{yosys.name} {yosys.version}"
    try:
        design = _result(folder / _NETLIST, texts, yosys, deadline)
        netlist = Netlist.from_json(design, TOP, CORE)
        if family not in _TIMED_FAMILIES:
            return Synthesis(netlist, folder / _NETLIST, None, None, None, tool)
        probe = {"probe.v": timing.probe(netlist), "delays.ys": _script("delays.ys")}
        texts = {name: text.encode() for name, text in probe.items()}
        models = _result(folder / f"delays-{_key(texts, yosys)}.json.gz", texts, yosys, deadline)
    except OSError as error:
        raise DeviceError(
            f"cannot keep the synthesis in {folder}: {one_line(error)}; set XDG_CACHE_HOME to a "
            "folder that can be written"
        ) from None
    delays = timing.cell_delays(netlist, models)
    paths, deepest, routed = (
        timing.Timing(netlist, arcs).longest(count)
        for arcs, count in (
            (delays, PATHS),
            (timing.levels(delays), 1),
            (timing.routed(delays), 1),
        )
    )
    return Synthesis(
        netlist,
        folder / _NETLIST,
        paths,
        next(iter(deepest), None),
        next(iter(routed), None),
        tool,
    )


def _result(file: Path, texts: Mapping[str, bytes], yosys: Yosys, deadline: float) -> Any:
    """What the one script among these files writes: from ``file``, which is made if missing.

    It is kept whole or not at all. Messages stay beside it.
    """
    if not file.is_file():
        script = next(name for name in texts if name.endswith(".ys"))
        stem = script.removesuffix(".ys")
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(file.parent) as work:
            for text, content in texts.items():
                (work / text).write_bytes(content)
            with Progress("synthesis") as progress:
                progress.stage(f"{stem}, by {yosys.name} (minutes)")
                yosys.run(work / script, file.parent / f"{stem}.log", deadline)
            packed = work / file.name
            packed.write_bytes(gzip.compress((work / f"{stem}.json").read_bytes(), 1))
            os.replace(packed, file)
    with gzip.open(file, "rb") as stream:
        return json.load(stream)


def _script(name: str) -> str:
    return (hardware_folder() / "synth" / name).read_text()


def _key(texts: Mapping[str, bytes], yosys: Yosys) -> str:
    digest = hashlib.sha256(f"{yosys.name} {yosys.version}\n".encode())
    for name, content in texts.items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:24]
