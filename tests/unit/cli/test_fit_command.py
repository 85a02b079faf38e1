"""winogen fit: what it writes and says, what it refuses, and how it goes on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from support.command_line import refuse, run
from support.elastic import elastic_graph
from support.random_graphs import GraphBuilder
from winogen.cli.main import main
from winogen.compiler.compile import compile_graph
from winogen.network.load import load_network
from winogen.network.stored import save_network
from winogen.program.file import Program

BOARD = ("--board", "tiny", "--batch", "1")
SMALL = ("--steps", "3", "--examples", "2", *BOARD)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[Path, int]:
    """A small network's file, and the bytes of its weights as compiled.

    It makes images of 8 x 8 pixels, and has two layers with enough weights to be pruned.
    """
    b = GraphBuilder(7, (12, 1, 1), "latent")
    b.deconv(24, 4, 1, 0)
    b.add("relu")
    b.deconv(16, 4, 2, 1)
    b.add("relu")
    b.conv(1, 3)
    b.add("tanh")
    folder, graph = tmp_path_factory.mktemp("model"), b.graph("small", (-1.0, 1.0))
    save_network(graph, folder / "small.npz")
    program = compile_graph(graph, "tiny", batch=1).program
    return folder / "small.npz", program.stored.weight_bytes


@pytest.fixture(scope="module")
def model(small) -> Path:
    """The small network's file, in a folder of its own: for what is the same of any network."""
    return small[0]


@pytest.fixture
def fitting(monkeypatch):
    """What trains; every way to hold weights is measured on a few inputs."""
    torch = pytest.importorskip("torch", reason="training needs the package torch")
    torch.set_num_threads(1)  # others run beside it
    from winogen.compression import plan, train, trainer

    monkeypatch.setattr(plan, "_INPUTS", 4)
    return SimpleNamespace(train=train, trainer=trainer)


def test_a_program_and_the_network_beside_it(fitting, capsys, tmp_path, model) -> None:
    out = tmp_path / "small.wg"
    text = run(capsys, "fit", model, "--keep", "0.4", "--share", "8", "-o", out, *SMALL)
    assert "after 3 steps" in text and "bytes of the program file" in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.npz", "small.wg"]
    again = tmp_path / "again.wg"
    run(capsys, "compile", out.with_suffix(".npz"), *BOARD, "-o", again)
    assert again.read_bytes() == out.read_bytes()
    graph = load_network(out.with_suffix(".npz"))
    large = [n for n in graph.nodes if "weight" in n.params and n.params["weight"].size > 4096]
    assert large
    for node in large:
        assert np.count_nonzero(node.params["weight"]) <= 0.4 * node.params["weight"].size + 1
    run(capsys, "run", out, "--seed", "1", "-n", "2", "-o", tmp_path / "out.png")


def test_the_same_seed_writes_the_same_bytes(fitting, capsys, tmp_path, model) -> None:
    files = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / f"{name}.wg"
        run(capsys, "fit", model, "--weight-bits", "4", "--seed", seed, "-o", out, *SMALL)
        files.append(out.with_suffix(".npz").read_bytes())
    assert files[0] == files[1] != files[2]


def test_for_machines(fitting, capsys, tmp_path) -> None:
    assert main(["fit", "digits", "-o", str(tmp_path / "d.wg"), "--json", *SMALL[:4]]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["steps"] == 3
    assert result["psnr"] == pytest.approx(result["psnr_before"], abs=1.0)
    assert result["weights"] == 229_888


def test_an_interrupted_fit_goes_on(fitting, capsys, tmp_path, monkeypatch, model) -> None:
    train = fitting.train
    monkeypatch.setattr(fitting.trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    step = train.Distiller.step
    out = tmp_path / "d.wg"
    command = ["fit", str(model), "--weight-bits", "4", *SMALL]
    taken = []

    def interrupted(self) -> None:
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(1)
        step(self)

    monkeypatch.setattr(train.Distiller, "step", interrupted)
    assert main([*command, "-o", str(out)]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["d.training"]
    monkeypatch.setattr(train.Distiller, "step", step)
    assert "going on from" in run(capsys, *command, "-o", out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.npz", "d.wg"]
    whole = tmp_path / "whole.wg"
    run(capsys, *command, "-o", whole)
    assert whole.read_bytes() == out.read_bytes()


def test_an_interrupted_fit_of_so_many_minutes_goes_on(
    fitting, capsys, tmp_path, monkeypatch, model
) -> None:
    """With the steps that were measured first, however fast the machine is now."""
    from winogen.compression import stages

    train = fitting.train
    monkeypatch.setattr(fitting.trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    command = ["fit", str(model), "--minutes", "5", "-o", str(tmp_path / "d.wg"), *SMALL[2:]]
    run_whole = train.Distiller.run

    def stopped(self, checkpoint=None, progress=None):
        def stop(done: int, note: str) -> None:
            if done == 2:
                raise KeyboardInterrupt

        return run_whole(self, checkpoint, stop)

    monkeypatch.setattr(train.Distiller, "run", stopped)
    monkeypatch.setattr(stages, "seconds_of", lambda *_: 60.0)
    assert main(command) == 130
    assert "interrupted" in capsys.readouterr().err
    monkeypatch.setattr(train.Distiller, "run", run_whole)
    monkeypatch.setattr(stages, "seconds_of", lambda *_: 1.0)
    assert "after 4 steps" in run(capsys, *command)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.npz", "d.wg"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--bytes", "1000", "--psnr", "30"), "one goal"),
        (("--bytes", "1000", "--keep", "0.5"), "leave one out"),
        (("--weight-bits", "4", "--share", "8"), "leave it or --share out"),
        (("--keep", "0"), "--keep must be above 0"),
        (("--share", "1"), "--share must be 2 to 16"),
        (("--fps", "5", "--faster", "2"), "--fps and --faster say how fast it is to be"),
        (("--faster", "0.5"), "--faster must be 1 to 1,000"),
        (("--steps", "0"), "--steps must be 1"),
        (("--minutes", "-1"), "--minutes must be positive"),
        (("--minutes", "nan"), "--minutes must be positive"),
        (("--psnr", "nan"), "--psnr must be 1 to 120"),
        (("--bits", "16"), "leave --bits out"),
        (("--percentile", "auto"), "leave --percentile out"),
        (("--headroom", "1.5"), "leave --headroom out"),
        (("--bytes", "50"), "cannot be held in"),
        (("-o", "x.bin"), "must end in .wg"),
    ],
)
def test_refusals(fitting, capsys, tmp_path, monkeypatch, model, arguments, text) -> None:
    monkeypatch.chdir(tmp_path)
    assert text in refuse(capsys, tmp_path, "fit", model, *arguments)


def test_the_help_says_what_goes_together(capsys) -> None:
    """Under headings: what is refused together stands under those that say so."""
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    text = capsys.readouterr().out
    parts = dict(re.findall(r"^(\w[^\n]*):\n((?:  .*\n)+)", text, re.M))
    headings = {
        flag: title
        for title, part in parts.items()
        for flag in re.findall("^  (--[a-z-]+)", part, re.M)
    }
    for goal in ("--bytes", "--psnr"):
        assert headings[goal] == "size (one of these, in the place of how weights are held)"
    for speed in ("--fps", "--faster", "--width"):
        assert headings[speed] == "speed (one of these, with any of the others)"
    for held in ("--keep", "--share", "--weight-bits"):
        assert headings[held].startswith("how weights are held (without a size")


def test_a_network_is_not_written_over_itself(fitting, capsys, tmp_path, model) -> None:
    run(capsys, "fit", model, "-o", tmp_path / "d.wg", *SMALL)
    text = refuse(capsys, tmp_path, "fit", tmp_path / "d.npz", "-o", tmp_path / "d.wg")
    assert "name another file with -o" in text


def test_arrays_of_somebody_are_not_written_over(fitting, capsys, tmp_path) -> None:
    latents = tmp_path / "d.npz"
    np.savez(latents, z=np.zeros((8, 64), np.float32))
    before = latents.read_bytes()
    assert main(["fit", "digits", "--calib", str(latents), "-o", str(tmp_path / "d.wg")]) == 2
    assert "is no network that was fitted" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["d.npz"]
    assert latents.read_bytes() == before


def test_a_goal_that_cannot_be_kept(fitting, capsys, tmp_path, monkeypatch, model) -> None:
    """Nothing is left that another goal, or a longer training, would be refused for."""
    monkeypatch.setattr(fitting.trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    text = refuse(capsys, tmp_path, "fit", model, "--psnr", "90", "-o", tmp_path / "d.wg", *SMALL)
    assert "90 dB cannot be kept" in text


def test_a_goal_in_decibels(fitting, capsys, tmp_path, model) -> None:
    """Far below what plain weights give: they get smaller, and the goal is kept."""
    out = tmp_path / "d.wg"
    assert main(["fit", str(model), "--psnr", "25", "-o", str(out), "--json", "--steps", "32",
                 "--examples", "4", *BOARD]) == 0  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert result["psnr"] > 24.5
    assert result["weight_bits"] < 5


def test_a_goal_in_bytes_is_kept_by_the_file(fitting, capsys, tmp_path, monkeypatch, small) -> None:
    """Weights that training makes larger are made smaller, and trained again; that is said."""
    from winogen.compression import lessons

    def short(self, found, goal):
        return found.plan(8 * 1.3 * goal)

    monkeypatch.setattr(lessons.Lessons, "_sized", short)
    model, plain = small
    goal, out = plain // 2, tmp_path / "d.wg"
    text = run(capsys, "fit", model, "--bytes", goal, "-o", out, "--steps", "8", *SMALL[2:])
    assert Program.load(out).stored.weight_bytes <= goal
    assert "trained again" in text and "were asked for: they could not" not in text


def test_a_goal_in_bytes_is_made_use_of(fitting, capsys, tmp_path, monkeypatch, small) -> None:
    """Before the training, which makes weights larger, and behind it."""
    from winogen.compression import lessons

    sized, before = lessons.Lessons._sized, []

    def measured(self, found, goal):
        recipe = sized(self, found, goal)
        before.append(self._taken(lessons.held_by(self.observed, recipe), 1) / goal)
        return recipe

    monkeypatch.setattr(lessons.Lessons, "_sized", measured)
    model, plain = small
    for share in (0.4, 0.6):
        goal = int(share * plain)
        run(capsys, "fit", model, "--bytes", goal, "-o", tmp_path / "d.wg", *SMALL)
        assert 0.8 * goal < Program.load(tmp_path / "d.wg").stored.weight_bytes <= goal
        assert 0.75 < before.pop() <= 0.95


def test_a_fit_for_bytes_goes_on_as_it_was_planned(
    fitting, capsys, tmp_path, monkeypatch, small
) -> None:
    """What was found out before is not found out again, with a clock that is slower now."""
    from winogen.compression import lessons

    monkeypatch.setattr(fitting.trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    out, whole = tmp_path / "d.wg", tmp_path / "whole.wg"
    model, plain = small
    command = ["fit", str(model), "--bytes", str(plain // 2), *SMALL]
    step, taken = fitting.train.Distiller.step, []

    def interrupted(self) -> None:
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(1)
        step(self)

    monkeypatch.setattr(fitting.train.Distiller, "step", interrupted)
    assert main([*command, "-o", str(out)]) == 130
    capsys.readouterr()
    monkeypatch.setattr(fitting.train.Distiller, "step", step)
    run(capsys, *command, "-o", whole)
    monkeypatch.setattr(lessons, "sensitivity", None)
    assert "going on from" in run(capsys, *command, "-o", out)
    assert out.read_bytes() == whole.read_bytes()


def test_fewer_channels(fitting, capsys, tmp_path, tmp_path_factory) -> None:
    """With pruned weights too; the program takes fewer cycles than the whole network's."""
    out, model = tmp_path / "d.wg", tmp_path_factory.mktemp("model") / "wide.npz"
    build = ("--board", "tiny", "--batch", "2")
    save_network(elastic_graph(), model)
    text = run(
        capsys, "fit", model, "--faster", "2", "--keep", "0.5", "-o", out, *SMALL[:4], *build
    )
    assert "of the cycles, " in text and "after 3 steps" in text
    run(capsys, "compile", model, *build, "-o", tmp_path / "whole.wg")
    narrow, whole = (Program.load(p) for p in (out, tmp_path / "whole.wg"))
    assert narrow.streams[-1].cycles <= 0.5 * whole.streams[-1].cycles
    assert narrow.output_shape == whole.output_shape
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.npz", "d.wg", "whole.wg"]


def test_cheaper_blocks(fitting, capsys, tmp_path) -> None:
    """What they cost is told first; the network beside the program compiles to it."""
    out = tmp_path / "d.wg"
    text = run(capsys, "fit", "digits", "--blocks", "separable", "-o", out, *SMALL)
    assert text.index("cycles an image, predicted:") < text.index("after 3 steps")
    again = tmp_path / "again.wg"
    run(capsys, "compile", out.with_suffix(".npz"), *BOARD, "-o", again)
    assert again.read_bytes() == out.read_bytes()
    names = [layer.name for layer in Program.load(out).layers]
    assert names == ["deconv1", "deconv2.pointwise", "deconv2", "deconv3.pointwise", "deconv3",
                     "deconv4"]  # fmt: skip


SEPARABLE = ("--blocks", "separable", "--steps", "6", *SMALL[2:])


@pytest.fixture(scope="module")
def separable(model, tmp_path_factory) -> bytes:
    """The program of cheaper blocks that are trained in one go."""
    pytest.importorskip("torch", reason="training needs the package torch")
    out = tmp_path_factory.mktemp("separable") / "d.wg"
    assert main(["fit", str(model), *SEPARABLE, "-o", str(out)]) == 0
    return out.read_bytes()


@pytest.mark.parametrize("stage", ["pretrain", "train"])
def test_an_interrupted_student_goes_on(
    fitting, capsys, tmp_path, monkeypatch, stage, model, separable
) -> None:
    """In floating point and in integers alike: the same bytes as in one go."""
    from winogen.compression import pretrain

    module = {"pretrain": pretrain, "train": fitting.train}[stage]
    kind = {"pretrain": "Pretrainer", "train": "Distiller"}[stage]
    monkeypatch.setattr(fitting.trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    command = ["fit", str(model), *SEPARABLE]
    out = tmp_path / "d.wg"
    step, taken = getattr(module, kind).step, []

    def interrupted(self) -> None:
        if len(taken) == 1:
            raise KeyboardInterrupt
        taken.append(1)
        step(self)

    monkeypatch.setattr(getattr(module, kind), "step", interrupted)
    assert main([*command, "-o", str(out)]) == 130
    assert "interrupted" in capsys.readouterr().err
    left = ["d.pretraining"] if stage == "pretrain" else ["d.pretraining", "d.training"]
    assert sorted(p.name for p in tmp_path.iterdir()) == left
    monkeypatch.setattr(getattr(module, kind), "step", step)
    assert "going on from" in run(capsys, *command, "-o", out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.npz", "d.wg"]
    assert separable == out.read_bytes()


def test_images_a_second(fitting, capsys, tmp_path, model) -> None:
    """What is fast enough stays whole; what cannot be reached is said before any training."""
    out = tmp_path / "d.wg"
    assert "of the cycles" not in run(capsys, "fit", model, "--fps", "10", "-o", out, *SMALL)
    goal = ("--fps", "1e6", "-o", tmp_path / "e.wg", *BOARD)
    assert "cannot be reached on tiny" in refuse(capsys, tmp_path, "fit", model, *goal)


def test_without_torch_it_is_one_sentence(tmp_path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from winogen.cli.main import main\n"
        f"sys.exit(main(['fit', 'digits', '-o', {str(tmp_path / 'd.wg')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr == (
        "winogen: fitting trains with torch, which is not installed: pip install "
        "'winogen[compress]' (what comes of it runs without)\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_goal_that_was_reached_on_other_inputs_is_told(
    fitting, capsys, tmp_path, monkeypatch
) -> None:
    from winogen.compression import fit as module

    monkeypatch.setattr(module, "decibels", lambda error: 24.0)
    command = ("fit", "digits", "--psnr", "25", "-o", tmp_path / "d.wg", "--steps", "16")
    text = run(capsys, *command, *SMALL[2:])
    assert "that is less than the 25 dB that were asked for" in text
