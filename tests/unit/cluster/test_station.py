"""A worker's device and programs, without Dask: what it runs, and all that it refuses."""

from __future__ import annotations

import dataclasses
import hashlib
import threading

import numpy as np
import pytest

from support.bench import small, small_graph
from winogen.cluster import station as module
from winogen.cluster.pieces import DAMAGED, LEAVING, STRANGE, Answer, Failure, Piece, name_of
from winogen.cluster.station import Station
from winogen.common.errors import InputError, ProgramError
from winogen.compiler.compile import compile_graph
from winogen.program.file import Program
from winogen.runtime.generator import Generator
from winogen.runtime.open import emulated_device, open_device
from winogen.target.board import load_board

PROGRAM = small(batch=4).program
NAME = name_of(PROGRAM)
Z = np.random.default_rng(2).standard_normal((6, 5, 1, 1)).astype(np.float32)


def piece(rows: np.ndarray = Z, name: str = NAME, **how: object) -> Piece:
    asked = {"exit": 1, "as_float": False, "count": False, **how}
    return Piece.of(7, name, rows, **asked)  # type: ignore[arg-type]


@pytest.fixture
def station():
    with Station("s", "emulator", check_every=1) as made:
        yield made


def test_what_a_device_makes_sealed(station):
    assert station.take(NAME, PROGRAM.tobytes()) is None
    with Generator(PROGRAM) as generator:
        expected = generator.generate(Z)
        real = generator.generate(Z, as_float=True)
    answer = station.run(piece())
    assert isinstance(answer, Answer) and answer.seconds > 0 and answer.counters is None
    assert answer.suits(piece(), expected.shape, expected.dtype)
    np.testing.assert_array_equal(answer.array(), expected)
    answer = station.run(piece(Z.astype(np.float64), as_float=True, count=True))
    np.testing.assert_array_equal(answer.array(), real)
    assert answer.counters


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Piece) if f.name != "seal"])
def test_a_piece_that_changed_is_not_run(station, name):
    """Whatever of it: also which program, and how far."""
    station.take(NAME, PROGRAM.tobytes())
    other = {
        "number": 8, "program": "0" * 64, "exit": 2, "as_float": True, "count": True,
        "shape": (3, 10, 1, 1), "dtype": "<i4", "data": b"\1" + piece().data[1:],
    }[name]  # fmt: skip
    failure = station.run(dataclasses.replace(piece(), **{name: other}))
    assert isinstance(failure, Failure) and failure.kind == DAMAGED


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Answer)])
def test_an_answer_that_changed_is_found(station, name):
    station.take(NAME, PROGRAM.tobytes())
    answer = station.run(piece())
    assert isinstance(answer, Answer)
    if name in ("seconds", "counters"):  # which no image depends on
        return
    other = {
        "number": 8, "program": "0" * 64, "exit": 2, "shape": (6, 4, 16, 1), "dtype": "|i1",
        "data": answer.data[:-1] + bytes([answer.data[-1] ^ 128]), "seal": piece().seal,
    }[name]  # fmt: skip
    changed = dataclasses.replace(answer, **{name: other})
    assert answer.suits(piece(), (6, 8, 8, 1), np.dtype(np.uint8))
    assert not changed.suits(piece(), (6, 8, 8, 1), np.dtype(np.uint8))


def test_programs_that_it_does_not_take(station):
    data = PROGRAM.tobytes()
    lie = station.take("0" * 64, data)
    assert lie is not None and lie.kind == DAMAGED and "not the one it was said" in lie.text
    for hostile in (b"", b"rubbish" * 100, data[:-50], data[:200] + b"\0" * 99 + data[299:]):
        failure = station.take(hashlib.sha256(hostile).hexdigest(), hostile)
        assert failure is not None and failure.text.startswith("the program that was sent")
    assert not station.about().programs
    failure = station.run(piece())
    assert isinstance(failure, Failure) and failure.kind == STRANGE


def test_only_its_own_programs_where_it_was_given_some():
    with Station("s", "emulator", [PROGRAM]) as made:
        other = small(batch=2).program
        assert made.take(NAME, b"") is None  # which it has
        failure = made.take(name_of(other), other.tobytes())
        assert failure is not None and "no program but its own" in failure.text
        assert made.about().programs == {NAME: "small"} and not made.about().takes
        why = made.about().refusal(other, name_of(other))
        assert why is not None and f"holds 'small' ({NAME[:12]})" in why
        assert made.about().refusal(PROGRAM, NAME) is None


def test_a_name_is_that_of_the_bytes_of_a_file(tmp_path):
    PROGRAM.save(tmp_path / "p.wg")
    again = Program.load(tmp_path / "p.wg")
    assert name_of(again) == NAME == hashlib.sha256((tmp_path / "p.wg").read_bytes()).hexdigest()


def test_the_board_of_the_hardware():
    with Station("s", "emulator", board=load_board("pynq-z1", 8)) as made:
        why = made.about().refusal(PROGRAM, NAME)
        assert why is not None and "compile it with --board pynq-z1" in why
        failure = made.take(NAME, PROGRAM.tobytes())  # whatever a client thinks
        assert failure is not None and "was compiled for board tiny" in failure.text
    with pytest.raises(ProgramError, match="compiled for board tiny"):
        Station("s", "emulator", [PROGRAM], board=load_board("pynq-z1", 8))


def test_few_of_the_programs_that_are_brought_are_kept(station):
    board = load_board("tiny")
    programs = [compile_graph(small_graph(seed), board, batch=2).program for seed in range(6)]
    for program in programs[:4]:
        station.take(name_of(program), program.tobytes())
    assert isinstance(station.run(piece(name=name_of(programs[0]))), Answer)  # it stays
    for program in programs[4:]:
        station.take(name_of(program), program.tobytes())
    held = set(station.about().programs)
    assert held == {name_of(programs[n]) for n in (0, 3, 4, 5)}


def test_a_board_is_opened_once_and_given_back(monkeypatch):
    """Here an emulated one stands for it."""
    opened = []

    def open_it(device, board, overlay, **options):
        assert device == "board"
        opened.append(open_device(emulated_device(board), board, overlay))
        return opened[-1]

    monkeypatch.setattr(module, "open_device", open_it)
    with Station("s", "board", board=load_board("tiny")) as made:
        assert len(opened) == 1 and made.about().board == "tiny"
        for batch in (4, 2):
            program = small(batch=batch).program
            assert made.take(name_of(program), program.tobytes()) is None
            assert isinstance(made.run(piece(name=name_of(program))), Answer)
        assert len(opened) == 1 and not opened[0].core.lease.closed
    assert opened[0].core.lease.closed
    with pytest.raises(InputError, match="must know its board"):
        Station("s", "board")
    with pytest.raises(ProgramError):
        Station("s", "board", [PROGRAM], board=load_board("pynq-z1", 8))
    assert opened[-1].core.lease.closed


def test_who_ends_runs_nothing_more(station):
    station.take(NAME, PROGRAM.tobytes())
    station.leaving = True
    failure = station.run(piece())
    assert isinstance(failure, Failure) and failure.kind == LEAVING


def test_a_run_ends_with_its_station(monkeypatch):
    """close() from another thread: the run is stopped, and says that it was the end."""
    made = Station("s", "emulator", [PROGRAM])
    began, go_on = threading.Event(), threading.Event()
    generate = Generator.generate

    def slow(self, *arguments, **options):
        began.set()
        assert go_on.wait(10)
        return generate(self, *arguments, **options)

    monkeypatch.setattr(Generator, "generate", slow)
    said = []
    thread = threading.Thread(target=lambda: said.append(made.run(piece())))
    thread.start()
    assert began.wait(10)
    made.close()
    go_on.set()
    thread.join(10)
    assert isinstance(said[0], Failure) and said[0].kind == LEAVING
