"""Minutes: what follows training is within them too."""

from __future__ import annotations

import pytest

from winogen.compilation.job import Job
from winogen.compiler.options import CompileOptions
from winogen.network.zoo import load_model

pytest.importorskip("torch", reason="training needs the package torch")

from winogen.compression import clock
from winogen.compression import fit as fit_module
from winogen.compression.budget import end_of_training
from winogen.compression.fit import fit
from winogen.compression.options import FitOptions

JOB = Job(load_model("digits"), CompileOptions(board="pynq-z2").with_board(), None)


@pytest.mark.parametrize(
    "opening, end",
    [
        pytest.param(1.0, 58.0, id="measured again, and compiled"),
        pytest.param(30.0, 45.0, id="half of the rest is for training"),
        pytest.param(70.0, 60.0, id="over already"),
    ],
)
def test_training_ends_early_enough(opening: float, end: float) -> None:
    assert end_of_training(60.0, opening) == end


class Stopped(Exception):
    """No training for this test."""


@pytest.mark.parametrize("exits, until", [(None, 40.0), ((45, 70), 20.0)])
def test_calibrating_and_compiling_count(
    monkeypatch: pytest.MonkeyPatch, exits: tuple[int, ...] | None, until: float
) -> None:
    """Calibrating takes 10 seconds of a minute here, so it and compiling take 20 at the end."""
    now = [100.0]
    monkeypatch.setattr(clock, "now", lambda: now[0])

    def say(what: str, done: int, of: int, note: str) -> None:
        if what == "calibrating":
            now[0] += 10

    def stop(*arguments: object) -> None:
        raise Stopped(arguments[5] if exits is None else arguments[3])

    monkeypatch.setattr(fit_module, "chosen" if exits is None else "choose_heads", stop)
    monkeypatch.setattr(fit_module, "_FOR_WIDTHS", 1.0)
    monkeypatch.setattr(fit_module, "_FOR_HEADS", 1.0)
    with pytest.raises(Stopped) as told:
        fit(JOB, FitOptions(minutes=1.0, exits=exits), None, say)
    assert told.value.args[0] == pytest.approx(100 + until)
