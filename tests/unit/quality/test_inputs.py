"""Calibration inputs from files, and the commands that take ONNX models and weights."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.places import ONNX_FILES
from winogen.cli import main as cli
from winogen.common.errors import InputError, ModelError, WinogenWarning
from winogen.network.definition import RandomParameters, load_definition
from winogen.network.graph import Graph
from winogen.network.load import load_network
from winogen.program.file import Program
from winogen.quality.inputs import MAX_INPUTS, read_calibration


def latent(n: int = 4) -> Graph:
    text = f"input: {{latent: {n}}}\nlayers:\n- {{name: a, op: deconv, cout: 3, k: 4}}\n"
    return load_definition(text, RandomParameters(0))


def image(shape: str = "[3, 4, 6]", extra: str = "") -> Graph:
    text = f"input: {{image: {shape}{extra}}}\nlayers:\n- {{name: a, op: conv, cout: 3, k: 1}}\n"
    return load_definition(text, RandomParameters(0))


def refusal(path: Path, graph: Graph) -> str:
    with pytest.raises(InputError) as error:
        read_calibration(path, graph)
    text = str(error.value)
    assert "\n" not in text
    assert str(path.name) in text or str(path) in text
    return text


def saved(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_latents(shape, dtype, tmp_path):
    array = (np.arange(20) / 8).astype(dtype).reshape(shape)
    got = read_calibration(saved(tmp_path / "z.npy", array), latent())
    assert got.dtype == np.float32
    assert np.array_equal(got, array.reshape(5, 4, 1, 1))
    np.savez_compressed(tmp_path / "z.npz", z=array)
    assert np.array_equal(read_calibration(tmp_path / "z.npz", latent()), got)


def test_images_in_either_layout(tmp_path):
    array = np.random.default_rng(0).random((2, 3, 4, 6), np.float32)
    path = saved(tmp_path / "a.npy", array)
    assert np.array_equal(read_calibration(path, image()), array)
    path = saved(tmp_path / "b.npy", array.transpose(0, 2, 3, 1))
    with pytest.warns(WinogenWarning, match=r"b\.npy: their last dimension is the channel$"):
        assert np.array_equal(read_calibration(path, image()), array)


def test_pixels_take_the_range_of_the_input(tmp_path):
    path = saved(tmp_path / "a.npy", np.full((1, 3, 4, 6), 255, np.uint8))
    with pytest.warns(WinogenWarning, match=r"a\.npy: 0 is black and 255 is white$"):
        assert np.all(read_calibration(path, image()) == 1)
    path = saved(tmp_path / "b.npy", np.zeros((1, 3, 4, 6), np.uint8))
    assert np.all(read_calibration(path, image(extra=", range: [-1, 1]")) == -1)


def test_of_many_inputs_some_are_taken_evenly(tmp_path):
    array = np.repeat(np.linspace(-1, 1, 1000, dtype=np.float32)[:, None], 4, 1)
    said = r"z\.npy: 256 of 1,000 are taken, at even distances$"
    with pytest.warns(WinogenWarning, match=said) as told:
        got = read_calibration(saved(tmp_path / "z.npy", array), latent())
    assert [w.filename for w in told] == [__file__]
    assert len(got) == MAX_INPUTS
    assert (got.min(), got.max()) == (-1, 1)


def test_a_folder_of_pictures(tmp_path):
    for number, (mode, size) in enumerate((("RGB", (6, 4)), ("L", (60, 10)), ("RGBA", (7, 90)))):
        Image.new(mode, size, 255 if mode == "L" else (255,) * len(mode)).save(
            tmp_path / f"{number}.png"
        )
    with pytest.warns(WinogenWarning, match="2 of 3 are scaled and cropped to 6 x 4 pixels$"):
        read_calibration(tmp_path, image())
    (tmp_path / "notes.txt").write_text("no picture")
    said = "pixels; left out, as no pictures by their names: notes.txt$"
    with pytest.warns(WinogenWarning, match=said) as told:
        got = read_calibration(tmp_path, image())
    assert [w.filename for w in told] == [__file__]
    assert got.shape == (3, 3, 4, 6)
    assert np.all(got == 1)
    grey = read_calibration(tmp_path, image("[1, 5, 5]"))
    assert grey.shape == (3, 1, 5, 5)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 4, 1), (5, 1, 1, 4, 1), (0, 4), ()])
def test_latents_of_a_wrong_shape(shape, tmp_path):
    text = refusal(saved(tmp_path / "z.npy", np.zeros(shape, np.float32)), latent())
    assert "no inputs" in text or "the network takes (N, 4)" in text


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(value, tmp_path):
    array = np.zeros((3, 4), np.float32)
    array[1, 2] = value
    assert "NaN or infinity" in refusal(saved(tmp_path / "z.npy", array), latent())


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.complex64, "U3"])
def test_values_of_another_type(dtype, tmp_path):
    refusal(saved(tmp_path / "z.npy", np.zeros((3, 4), dtype)), latent())


def test_images_beyond_the_range_of_the_input(tmp_path):
    path = saved(tmp_path / "a.npy", np.full((1, 3, 4, 6), 200, np.float32))
    assert "--input-range" in refusal(path, image())


def test_latents_beyond_the_range_of_the_input(tmp_path):
    wide = np.random.default_rng(0).normal(0, 10, (50, 4)).astype(np.float32)
    assert "beyond the 4.5 that normal latents reach" in refusal(
        saved(tmp_path / "z.npy", wide), latent()
    )
    rare = np.zeros((500, 4), np.float32)
    rare[7, 1] = 5.5
    assert len(read_calibration(saved(tmp_path / "r.npy", rare), latent()))


def test_damaged_files(tmp_path):
    path = saved(tmp_path / "z.npy", np.zeros((3, 4), np.float32))
    data = path.read_bytes()
    for bad in (b"", data[:-1], data[:60], b"x" * 200, data.replace(b"(3, 4)", b"(3,4000000000)")):
        path.write_bytes(bad)
        refusal(path, latent())
    path = tmp_path / "z.npz"
    for bad in (b"", b"PK\3\4", data):
        path.write_bytes(bad)
        refusal(path, latent())
    np.savez(path, a=np.zeros((3, 4)), b=np.zeros((3, 4)))
    assert "2 arrays" in refusal(path, latent())
    refusal(tmp_path / "none.npy", latent())


def test_pickles_are_not_loaded(tmp_path):
    np.save(tmp_path / "z.npy", np.array([{}], object), allow_pickle=True)
    refusal(tmp_path / "z.npy", latent())


def test_folders_that_do_not_fit(tmp_path):
    assert "holds no picture" in refusal(tmp_path, image())
    assert "latent vectors" in refusal(tmp_path, latent())
    assert "channels" in refusal(tmp_path, image("[2, 4, 4]"))
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(InputError, match=r"bad\.png"):
        read_calibration(tmp_path, image())


def test_a_bad_picture_is_left_out_and_said(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    for name in ("a.png", "z.jfif"):
        Image.new("RGB", (6, 4), (255, 255, 255)).save(tmp_path / name)
    with pytest.warns(WinogenWarning, match=r"left out of the calibration: .*bad\.png"):
        assert len(read_calibration(tmp_path, image())) == 2


def test_what_fits_needs_no_word(tmp_path, recwarn):
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    read_calibration(tmp_path, image())
    read_calibration(np.zeros((MAX_INPUTS, 4), np.float32), latent())
    assert not recwarn.list


# The commands


def test_what_is_left_out_is_a_line_of_the_command(tmp_path, capsys):
    """Notes on the network, which are printed once, do not take these with them."""
    (tmp_path / "layers.yaml").write_text(
        "input: {image: [1, 4, 6]}\nlayers: [{name: t, op: tanh}]\n"
    )
    np.savez(tmp_path / "weights.npz", none=np.zeros(1, np.float32))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("L", (6, 4)).save(pictures / "a.png")
    (pictures / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (pictures / "notes.txt").touch()
    code, out, err = run(capsys, "compile", tmp_path, "--board", "tiny", "--batch", 1, "--calib",
                         pictures, "-o", tmp_path / "a.wg")  # fmt: skip
    assert code == 0
    assert "calibrating on 1 inputs" in out
    assert re.fullmatch(
        r"winogen: warning: left out of the calibration: .*bad\.png.*\n"
        r"winogen: warning: calibration pictures in .*: left out, as no pictures by their names: "
        r"notes\.txt\n",
        err,
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main([str(a) for a in arguments])
    return (code, *capsys.readouterr())


def test_an_onnx_model_from_file_to_picture(tmp_path, capsys):
    pytest.importorskip("onnx", reason="reading ONNX models needs the package onnx")
    z = saved(tmp_path / "z.npy", np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32))
    program = tmp_path / "generator.wg"
    code, out, err = run(capsys, "compile", ONNX_FILES / "dcgan-dynamo-25.onnx", "--calib", z,
                         "--board", "pynq-z2", "--batch", 2, "-o", program)  # fmt: skip
    assert (code, err) == (0, "")
    assert "ConvTranspose" in out or "convolution" in out
    picture = tmp_path / "out.png"
    code, _, err = run(capsys, "run", program, "-n", 2, "-o", picture)
    assert (code, err) == (0, "")
    with Image.open(picture) as image:
        assert (image.mode, image.size) == ("RGB", (34, 16))
    wanted = Program.load(program).output_range
    assert wanted == (-1.0, 1.0)


def test_an_onnx_model_is_run_at_once(tmp_path, capsys):
    pytest.importorskip("onnx", reason="reading ONNX models needs the package onnx")
    out = tmp_path / "out.npy"
    code, _, err = run(capsys, "run", ONNX_FILES / "linear-torchscript-11.onnx", "-n", 1, "-o", out)
    assert (code, err) == (0, "")
    assert np.load(out).shape == (1, 3, 8, 8)


def test_ranges_and_distribution_are_options(tmp_path):
    pytest.importorskip("onnx", reason="reading ONNX models needs the package onnx")
    graph = load_network(
        ONNX_FILES / "dcgan-dynamo-25.onnx", output_range=(-2, 2), latents="uniform"
    )
    assert graph.output_range == (-2, 2)
    assert graph.input.distribution == "uniform"
    graph = load_network(ONNX_FILES / "shuffle-torchscript-11.onnx", input_range=(0, 255))
    assert graph.input.range == (0, 255)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"input_range": (0, 1)}, "takes latents"),
        ({"image_size": (4, 4)}, "takes latents"),
        ({"output_range": (1, 0)}, "two ascending numbers"),
        ({"output_range": (float("nan"), 0)}, "two ascending numbers"),
        ({"weights": Path(__file__)}, "of no kind that holds weights"),
    ],
)
def test_options_that_do_not_apply(options, part):
    with pytest.raises(InputError, match=part):
        load_network("digits", **options)


def test_an_onnx_model_has_its_own_weights():
    with pytest.raises(InputError, match="leave --weights out"):
        load_network("x.onnx", weights=Path("w.npz"))


def test_an_onnx_model_that_is_not_there(capsys, tmp_path):
    pytest.importorskip("onnx", reason="reading ONNX models needs the package onnx")
    code, _, err = run(capsys, "compile", tmp_path / "none.onnx", "-o", tmp_path / "x.wg")
    assert code == 2
    assert "none.onnx: the file cannot be read" in err


def test_a_compiled_program_has_its_options_fixed(capsys, tmp_path):
    code, _, err = run(capsys, "run", "x.wg", "--output-range", 0, 1, "--weights", "w.npz",
                       "-o", tmp_path / "x.png")  # fmt: skip
    assert code == 2
    assert "--weights, --output-range cannot change a compiled program" in err


def test_calibration_is_drawn_or_given(capsys, tmp_path):
    code, _, err = run(capsys, "compile", "digits", "--calib", "z.npy", "--calib-seed", 1,
                       "-o", tmp_path / "x.wg")  # fmt: skip
    assert (code, "leave --calib-seed out" in err) == (2, True)


def test_the_sizes_of_an_image(capsys, tmp_path):
    for text in ("64", "0x4", "4x", "axb", "-1x4"):
        with pytest.raises(SystemExit):
            run(capsys, "compile", "digits", f"--image-size={text}", "-o", tmp_path / "x.wg")


def test_weights_of_another_network(capsys, tmp_path):
    with pytest.raises(ModelError, match=r"'0.weight' of dcgan.pth has shape"):
        load_network("dcgan-4x4", weights=ONNX_FILES / "dcgan.pth")
