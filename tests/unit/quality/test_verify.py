"""``winogen verify``: every layer's output from a device, and the first one that is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from support.bench import DEVICES
from support.onnx_oracle import to_onnx
from support.random_graphs import random_graph
from support.strategies import SEEDS, examples, graphs
from winogen.cli.main import main
from winogen.common.errors import InputError
from winogen.compiler.compile import Compiled, compile_graph
from winogen.compiler.integers import integer_activations
from winogen.network import zoo
from winogen.network.graph import Graph
from winogen.program.file import Program
from winogen.program.formats import sample_inputs
from winogen.quality.layer_outputs import run_layers, traced
from winogen.quality.verify import difference, verify
from winogen.runtime.generator import Generator
from winogen.target.board import load_board
from winogen.target.isa import Opcode, operands


def compiled(graph: Graph, data_width: int = 8, **options) -> Compiled:
    return compile_graph(graph, load_board("tiny", data_width), **{"batch": 2, **options})


@pytest.fixture(scope="module")
def digits() -> tuple[Graph, Compiled]:
    graph = zoo.load_model("digits")
    return graph, compile_graph(graph, load_board("pynq-z2"), batch=2)


def spoilt(program: Program, layer: int, opcode: Opcode = Opcode.LOAD_WEIGHTS) -> Program:
    """The program with some of a layer's weights changed."""
    loads = [
        i
        for i in program.streams[0].instructions()
        if i.layer == layer and i.opcode is opcode
    ]  # fmt: skip
    weights = bytearray(program.weights)
    for byte in range(64):
        weights[loads[0].offset + byte] ^= 1 << 5
    return replace(program, weights=bytes(weights))


# --- traced programs -----------------------------------------------------------------------------


def check_layers(built: Compiled, x: np.ndarray, device: str = "emulator") -> None:
    program, network = built.program, built.network
    q = network.quantise_input(x)
    with Generator(traced(program), DEVICES[device](program.board)) as generator:
        layers = run_layers(program, generator, x)
    wanted = list(integer_activations(network, q))
    assert len(layers) == len(wanted)
    for got, (name, integers) in zip(layers, wanted):
        assert np.array_equal(got, integers), name


@pytest.mark.parametrize("data_width", [8, 16])
@examples(8)
@given(graph=graphs(), seed=SEEDS)
def test_every_layer_of_a_traced_program_is_the_references(graph, seed, data_width):
    """Branches, sums and concatenations, of scratch memory that layers take from each other."""
    x = sample_inputs(graph.input, 3, seed)  # in streams of 2 and 1
    check_layers(compiled(graph, data_width), x)


@pytest.mark.parametrize("mode", ["direct", "zero-padded"])
def test_every_mode_is_traced(mode):
    graph = random_graph(5)
    check_layers(compiled(graph, mode=mode), sample_inputs(graph.input, 1, 0))


@pytest.mark.parametrize("device", ["machine", "rtl"])
def test_other_devices_run_traced_programs(device):
    """The instructions one by one, and the accelerator's own logic."""
    graph = random_graph(3)
    check_layers(compiled(graph), sample_inputs(graph.input, 2, 0), device)


def test_only_addresses_of_activations_are_changed(digits):
    program = digits[1].program
    follower = traced(program)
    assert follower.weights == program.weights
    for ours, theirs in zip(program.streams, follower.streams):
        assert theirs.cycles == ours.cycles
        for a, b in zip(ours.instructions(), theirs.instructions()):
            assert (a.opcode, a.wait, a.signal, a.layer) == (b.opcode, b.wait, b.signal, b.layer)
            before, after = operands(a), operands(b)
            changed = {name for name in before if before[name] != after[name]}
            assert changed <= {"segment", "offset"}
            if a.opcode not in (Opcode.LOAD_INPUT, Opcode.STORE):
                assert not changed


def test_streams_that_do_not_fit_traced_are_left_out(digits, monkeypatch):
    """All layers' outputs together need more memory than the program; one image must do."""
    program = digits[1].program
    assert [s.batch for s in traced(program).streams] == [1, 2]
    monkeypatch.setattr("winogen.program.memory_plan.MemoryPlan.fits", lambda plan, mib: False)
    assert [s.batch for s in traced(program).streams] == [1]


def test_onnx_files_are_verified(capsys, file, tmp_path):
    """The network as any other tool has it: the same bits, if its values are the same."""
    onnx = pytest.importorskip("onnx", reason="reading ONNX files needs winogen[onnx]")
    path = tmp_path / "digits.onnx"
    onnx.save(to_onnx(zoo.load_model("digits")), path)
    arguments = ["--onnx", str(path), "-n", "2", "--output-range", "-1", "1"]
    assert main(["verify", str(file), *arguments]) == 0
    assert ": good" in capsys.readouterr().out.splitlines()[-1]


# --- what verify finds ---------------------------------------------------------------------------


def test_a_good_program_passes(digits):
    graph, built = digits
    found = verify(built.program, graph, built.network, sample_inputs(graph.input, 3, 1))
    assert found.passed
    assert found.same_program
    assert found.from_model == [None] * 4
    assert found.from_emulator == []
    text = found.text()
    assert "it is what this model compiles to, bit for bit" in text
    assert "every bit of 4 layers is that of the integer reference" in text
    assert "no layer is under 30 dB" in text
    assert [layer.name for layer in found.layers] == [f"deconv{i}" for i in range(1, 5)]


@pytest.mark.parametrize("layer", range(4))
def test_the_first_layer_with_other_weights_is_named(digits, layer):
    graph, built = digits
    x = sample_inputs(graph.input, 1, 1)
    found = verify(spoilt(built.program, layer), graph, built.network, x)
    assert not found.same_program
    assert [bool(d) for d in found.from_model[:layer]] == [False] * layer
    assert found.from_model[layer]
    assert f"the first layer unlike the model compiled here is 'deconv{layer + 1}'" in found.text()


def test_a_device_that_computes_wrong_is_told_from_a_program_that_is_other(digits, monkeypatch):
    graph, built = digits

    class Faulty(Generator):
        """An emulator under another name, one bit of whose memory is stuck."""

        def __init__(self, program, device, **options):
            program = spoilt(program, 2) if device == "rtl" else program
            super().__init__(program, "emulator", **options)

    monkeypatch.setattr("winogen.quality.verify.Generator", Faulty)
    x = sample_inputs(graph.input, 2, 1)
    found = verify(built.program, graph, built.network, x, "rtl")
    assert found.same_program
    assert not found.passed
    assert [bool(d) for d in found.from_emulator[:3]] == [False, False, True]
    assert found.from_model == found.from_emulator
    assert "device: the first layer unlike the emulator is 'deconv3': " in found.text()
    # A program of unknown origin: the emulator still tells.
    other = spoilt(built.program, 0)
    found = verify(other, graph, built.network, x, "rtl")
    assert not found.same_program
    assert found.from_model[0]
    assert [bool(d) for d in found.from_emulator[:3]] == [False, False, True]
    assert not found.passed


def test_a_program_of_other_calibration_is_compared_with_the_float_network(digits):
    """Its scales are not known, and found by fitting."""
    graph, built = digits
    other = compile_graph(graph, load_board("pynq-z2"), batch=1, percentile=99.99, headroom=1.1)
    x = sample_inputs(graph.input, 4, 1)
    found = verify(other.program, graph, built.network, x)
    assert not found.same_program
    assert found.from_model[0]
    known = verify(other.program, graph, other.network, x)
    assert known.same_program
    for fitted, exact in zip(found.layers, known.layers):
        # The best scale is at least as near as the true one.
        assert exact.psnr - 1e-9 <= fitted.psnr < exact.psnr + 1
    assert found.layers[-1] == known.layers[-1]
    assert found.passed


def test_another_network_is_far_from_the_float_network(digits):
    graph, built = digits
    nodes = [replace(n, params={k: v[::-1] if k == "weight" else v for k, v in n.params.items()})
             for n in graph.nodes]  # fmt: skip
    other = replace(graph, nodes=nodes)
    x = sample_inputs(graph.input, 2, 1)
    found = verify(built.program, other, built.network, x)
    assert found.layers[0].psnr < 30
    assert "float: the first layer under 30 dB is 'deconv1'" in found.text()


def test_differences_are_counted_and_the_first_is_located():
    wanted = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    got = wanted.copy()
    assert difference(got, wanted) is None
    got[1, 2, 0, 4] += 7
    got[1, 0, 3, 1] -= 2
    found = difference(got, wanted)
    assert found is not None
    assert (found.count, found.values, found.largest) == (2, 120, 7)
    assert found.where == (1, 0, 3, 1)
    assert found.got == found.wanted - 2
    assert "2 of 120 values differ, by up to 7; the first is" in str(found)
    assert "image 1, channel 0, row 3, column 1" in str(found)


def test_models_with_other_layers_are_refused_by_name(digits):
    graph, built = digits
    x = sample_inputs(graph.input, 1, 0)
    with pytest.raises(InputError, match=r"program 'digits' takes inputs .* it is another network"):
        verify(built.program, random_graph(1), built.network, x)
    other = built.program.layers[1]
    layers = (built.program.layers[0], replace(other, output=(1, 8, 8)), *built.program.layers[2:])
    with pytest.raises(InputError, match=r"layer 'deconv2' of program 'digits' makes 1 x 8 x 8"):
        verify(replace(built.program, layers=layers), graph, built.network, x)
    with pytest.raises(InputError, match=r"has 3 layers, model 'digits' has 4"):
        verify(replace(built.program, layers=built.program.layers[:3]), graph, built.network, x)


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("verify") / "digits.wg"
    assert main(["compile", "digits", "-o", str(path), "--batch", "1"]) == 0
    return path


def test_the_command_passes_and_fails(capsys, file, tmp_path):
    assert main(["verify", str(file), "--model", "digits", "-n", "2"]) == 0
    assert "output: 3" in capsys.readouterr().out
    program = Program.load(file)
    params = spoilt(program, 3, Opcode.LOAD_PARAMS)  # the last layer's bias
    params.save(tmp_path / "bad.wg")
    assert main(["verify", str(tmp_path / "bad.wg"), "--model", "digits", "-n", "1"]) == 1
    text = capsys.readouterr().out
    assert "the first layer unlike the model compiled here is 'deconv4'" in text
    assert "broken" in text


def test_options_that_the_program_has_may_be_given(capsys, tmp_path):
    path = str(tmp_path / "x16.wg")
    own = ["--bits", "16", "--board", "pynq-z2"]
    assert main(["compile", "digits", "-o", path, "--batch", "2", *own]) == 0
    assert main(["verify", path, "--model", "digits", "-n", "1", "--batch", "2", *own]) == 0
    assert "bit for bit" in capsys.readouterr().out


def test_the_name_of_a_model_is_no_program(capsys):
    for command in (["verify", "digits", "--model", "digits"], ["disasm", "digits"]):
        assert main(command) == 2
        text = capsys.readouterr().err
        assert text == (
            "winogen: digits is a model and no program file: make one with 'winogen compile "
            "digits'\n"
        )


def test_the_command_takes_inputs(capsys, file, tmp_path):
    z = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    code = main(["verify", str(file), "--model", "digits", "--input", str(tmp_path / "z.npy")])
    assert code == 0
    assert "bit for bit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--bits", "16"], "--bits 16"),
        (["--board", "tiny"], "compiled for board pynq-z2"),
        (["--batch", "4"], "--batch cannot change a compiled program, which has batch 1;"),
        (["--window", "8x8"], "--window cannot change a compiled program, which has window 1x1;"),
        (["-n", "0"], "the number of inputs must be 1 to 256"),
        (["-n", "1000"], "the number of inputs must be 1 to 256"),
        (["--seed", "-1"], "a seed must not be negative"),
        (["--input", "none.npy"], "none.npy"),
        (["--input", "z.npy", "-n", "3"], "--input brings its own inputs"),
        (["--device", "board"], ""),
    ],
)
def test_wrong_arguments_get_a_sentence(capsys, file, options, reason):
    assert main(["verify", str(file), "--model", "digits", *options]) == 2
    text = capsys.readouterr().err
    assert text.startswith("winogen: ")
    assert text.count("\n") == 1
    assert reason in text


def test_the_model_must_be_named(capsys, file):
    with pytest.raises(SystemExit):
        main(["verify", str(file)])
    assert "--model" in capsys.readouterr().err
    assert main(["verify", str(file), "--model", "dcgan-4x4"]) == 2
    assert "it is another network" in capsys.readouterr().err


def test_other_pixels_are_another_program(digits):
    graph, built = digits
    other = replace(built.program, output_range=(0.0, 10.0))
    x = sample_inputs(graph.input, 1, 0)
    assert not verify(other, graph, built.network, x).same_program
