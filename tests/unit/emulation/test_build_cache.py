"""The cache of simulations: what is damaged is never loaded, but built again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from winogen.common.errors import DeviceError, WinogenWarning
from winogen.emulation.rtl import build
from winogen.emulation.rtl.build import build_simulation
from winogen.target.board import load_board

CORE = load_board("tiny").core
CONTENT = os.urandom(10_000)


@pytest.fixture
def built(monkeypatch) -> list[Path]:
    """The libraries that were built; neither Verilator nor a compiler takes part."""
    done: list[Path] = []

    def make(library: Path, *_: object) -> None:
        whole = library.with_name("made")
        whole.write_bytes(CONTENT)
        build._keep(whole, library)
        done.append(library)

    tools = build._Tools(Path("/none"), Path("/none"), "g++", "none")
    monkeypatch.setattr(build, "_find_tools", lambda: tools)
    monkeypatch.setattr(build, "_build", make)
    return done


def test_it_is_built_once(built, tmp_path):
    libraries = {build_simulation(CORE, cache=tmp_path) for _ in range(3)}
    assert libraries == set(built)
    assert len(built) == 1
    assert built[0].read_bytes() == CONTENT


DAMAGE = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[:5000],
    "a bit": lambda data: data[:7000] + bytes([data[7000] ^ 4]) + data[7001:],
    "zeros": lambda data: data[:4096] + bytes(4096) + data[8192:],
    "more": lambda data: data + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_built_again(damage, built, tmp_path):
    library = build_simulation(CORE, cache=tmp_path)
    library.write_bytes(DAMAGE[damage](CONTENT))
    with pytest.warns(WinogenWarning, match="is damaged, and is built again"):
        assert build_simulation(CORE, cache=tmp_path) == library
    assert library.read_bytes() == CONTENT
    assert len(built) == 2
    build_simulation(CORE, cache=tmp_path)
    assert len(built) == 2


@pytest.mark.parametrize("digest", [None, b"", b"\xff" * 64, b"0" * 64])
def test_its_digest_is_lost(digest, built, tmp_path):
    """Also as earlier versions left it."""
    library = build_simulation(CORE, cache=tmp_path)
    beside = library.with_name("simulation.sha256")
    beside.unlink() if digest is None else beside.write_bytes(digest)
    build_simulation(CORE, cache=tmp_path)
    assert len(built) == 2


def test_a_cache_that_cannot_be_written(built, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError, match="set XDG_CACHE_HOME to a folder that can be written"):
        build_simulation(CORE, cache=tmp_path / "file")
