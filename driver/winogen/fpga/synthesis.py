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
#: Seconds that Yosys may take.
DEADLINE = 3600.0


@dataclass(frozen=True)
class Synthesis:
    """A synthesised accelerator.

    Attributes
    ----------
    netlist, file : flat, of primitives, and where it is kept (JSON, compressed)
    delays : of each kind of primitive; None where the family has none
    tool : the Yosys that made it
    key : the digest of all that it was made of, see :func:`synthesis_key`
    """

    netlist: Netlist
    file: Path
    delays: Mapping[tuple[str, ...], timing.Delays] | None
    tool: str
    key: str


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
    texts = _texts(core, family, sources, options, yosys)
    key = _key(texts, yosys)
    folder = (cache or cache_folder("synth")) / key
    tool = f"{yosys.name} {yosys.version}"
    try:
        design = _result(folder / _NETLIST, texts, yosys, deadline)
        netlist = Netlist.from_json(design, TOP, CORE)
        if family not in _TIMED_FAMILIES:
            return Synthesis(netlist, folder / _NETLIST, None, tool, key)
        probe = {"probe.v": timing.probe(netlist), "delays.ys": _script("delays.ys")}
        texts = {name: text.encode() for name, text in probe.items()}
        models = _result(folder / f"delays-{_key(texts, yosys)}.json.gz", texts, yosys, deadline)
    except OSError as error:
        raise DeviceError(
            f"cannot keep the synthesis in {folder}: {one_line(error)}; set XDG_CACHE_HOME to a "
            "folder that can be written"
        ) from None
    delays = timing.cell_delays(netlist, models)
    return Synthesis(netlist, folder / _NETLIST, delays, tool, key)


def synthesis_key(core: CoreConfig, family: str = "xc7") -> str:
    """The digest of all that :func:`synthesise` would make a netlist of, without making it.

    It changes with the sources, the parameters, the script and the version of Yosys.
    """
    yosys = find_yosys()
    return _key(_texts(core, family, None, "", yosys), yosys)


def _texts(
    core: CoreConfig, family: str, sources: Sequence[Path] | None, options: str, yosys: Yosys
) -> dict[str, bytes]:
    """The files that Yosys is given, by name: the sources, and the script that reads them."""
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
    return texts


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
