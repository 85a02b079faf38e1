"""Accuracy that can be seen: SSIM, layer reports, the verdict and what it suggests."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from support.random_graphs import GraphBuilder, random_graph
from support.shared_models import shared_model
from winogen.cli.main import main
from winogen.common.images import to_pixels
from winogen.compiler import integers
from winogen.compiler import quantise as quantise_module
from winogen.compiler.calibrate import Calibration, observe
from winogen.compiler.compile import compile_graph
from winogen.compiler.integers import run_integer
from winogen.compiler.quantise import quantise, quantise_observed
from winogen.compiler.quantised import QuantNetwork
from winogen.network import reference, zoo
from winogen.program.formats import sample_inputs
from winogen.quality import verdict as av
from winogen.quality.measure import LayerReport, Quality, measure, measure_network, psnr
from winogen.quality.ssim import ssim
from winogen.reports.tables import quality_table
from winogen.target.board import load_board

# --- SSIM ----------------------------------------------------------------------------------------


def test_ssim_is_that_of_scikit_image():
    """The standard form of Wang et al., as another library computes it."""
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(0)
    for rows, columns, noise in ((11, 11, 0.3), (12, 31, 0.1), (40, 25, 0.01), (32, 32, 1.0)):
        a = rng.random((2, 3, rows, columns)).cumsum(axis=3)
        b = a + noise * rng.standard_normal(a.shape)
        peak = float(a.max() - a.min())
        wanted = [
            structural_similarity(
                x,
                y,
                data_range=peak,
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
            for x, y in zip(a, b)
        ]
        assert ssim(a, b, peak) == pytest.approx(np.mean(wanted), abs=1e-12)


def test_ssim_of_images_made_by_hand():
    """Constants: only the luminance term is left, (2ab + c1) / (a^2 + b^2 + c1)."""
    a, b = (np.full((1, 1, 11, 11), v) for v in (0.4, 0.6))
    c1 = 0.01**2
    wanted = (2 * 0.4 * 0.6 + c1) / (0.4**2 + 0.6**2 + c1)
    assert ssim(a, b, 1.0) == pytest.approx(wanted)
    assert ssim(a, a, 1.0) == pytest.approx(1)
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((1, 1, 20, 20))
    assert ssim(10 + noise, 10 - noise, 4.0) < -0.9  # the same brightness, structure turned around


def test_ssim_is_undefined_for_small_images_and_without_a_range():
    x = np.zeros((2, 3, 10, 40))
    assert ssim(x, x, 1.0) is None
    assert ssim(np.zeros((1, 1, 11, 11)), np.zeros((1, 1, 11, 11)), 0.0) is None


# --- layers --------------------------------------------------------------------------------------


def test_a_layer_is_measured_over_its_own_range_and_an_image_over_its_black_and_white():
    exact = np.linspace(0, 0.5, 2 * 16 * 16).reshape(2, 1, 16, 16)
    integers = np.rint(exact * 100).astype(np.int64)
    inner = measure("a", integers, integers / 100, exact, 0.01, (0, 40))
    image = measure("a", integers, integers / 100, exact, 0.01, (0, 40), (0.0, 1.0))
    assert image.psnr - inner.psnr == pytest.approx(20 * math.log10(2))
    assert inner.saturated == np.count_nonzero((integers == 0) | (integers == 40))
    assert (inner.low, inner.high, inner.values) == (0, 0.5, 512)
    assert inner.ssim is not None
    assert inner.ssim < image.ssim < 1


def test_the_table_shows_what_is_defined():
    rows = [
        LayerReport("small", 0, 1, 0.1, 3, 40, math.inf, None),
        LayerReport("flat", 0, 0, 0.1, 0, 40, -math.inf, None),
        LayerReport("image", -1, 1, 0.1, 0, 40, 31.26, 0.98765),
    ]
    small, flat, image = quality_table(Quality(tuple(rows), True)).splitlines()[2:]
    assert small.split()[-5:] == ["3", "of", "40", "exact", "-"]
    assert flat.split()[-2:] == ["-", "-"]
    assert image.split()[-2:] == ["31.3", "0.9877"]


def test_drawn_inputs_are_checked_on_others():
    graph = random_graph(2)
    drawn = observe(graph, samples=20, seed=4)
    assert drawn.held_out
    assert np.array_equal(drawn.checked, sample_inputs(graph.input, 16, 5))
    assert not np.array_equal(drawn.checked, drawn.values["input"][:16])
    given = observe(graph, drawn.checked)
    assert not given.held_out
    assert np.array_equal(given.checked, drawn.checked)
    for observed, words in ((drawn, "did not see"), (given, "on the calibration inputs")):
        network = quantise_observed(observed)
        quality = measure_network(network, observed)
        assert quality.held_out == observed.held_out
        assert words in av.verdict_text(network, quality)


@pytest.mark.parametrize(("gain", "flat"), [(0.01, True), (3.0, False)])
def test_flat_pictures_are_said_to_be(gain, flat):
    """58.8 dB of pictures that are all but grey say nothing of the network."""
    b = GraphBuilder(0, (3, 8, 8))
    b.conv(1, 3)
    b.nodes[-1].params["weight"] *= gain
    b.nodes[-1].params["bias"] *= 0
    b.add("tanh")
    observed = observe(b.graph("grey", (-1, 1)))
    network = quantise_observed(observed)
    text = av.verdict_text(network, measure_network(network, observed))
    assert ("\nnote: the output is nearly flat, " in text) == flat
    assert "of -1 to 1: such images are alike" in text or not flat


@pytest.mark.parametrize("period", [1, 2, 3, 8])
def test_bold_pictures_do_not_saturate_16_bits(period):
    """Nobody calibrates with chessboards: what is drawn must leave them room."""
    graph = zoo.load_model("fsrcnn-x2").resized((24, 24))
    network = quantise(graph, 16, samples=16)
    rows, columns = np.mgrid[:24, :24] // period
    x = ((rows + columns) % 2).astype(np.float32)[None, None]
    got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
    assert network.output_range is not None
    pixels = [to_pixels(v, *network.output_range) for v in (got, reference.run(graph, x))]
    assert np.abs(pixels[0].astype(int) - pixels[1]).max() <= 1


def test_a_headroom_that_is_asked_for_is_the_headroom():
    """So is that of calibration inputs of the user's own."""
    graph = zoo.load_model("fsrcnn-x2").resized((12, 12))
    x = sample_inputs(graph.input, 4, 0)
    scales = {}
    for name, options in {
        "default": {},
        "asked": {"headroom": 1.25},
        "given": {"inputs": x},
        "double": {"headroom": 8},
    }.items():
        program = compile_graph(graph, load_board("pynq-z2", 16), bits=16, batch=1, **options)
        scales[name] = program.network.layers[0].format.scale
    assert scales["default"] == pytest.approx(scales["asked"] * 4 / 1.25, rel=1e-3)
    assert scales["double"] == pytest.approx(scales["default"] * 2, rel=1e-3)
    assert scales["given"] < scales["default"] / 2


# --- biases --------------------------------------------------------------------------------------


def test_biases_give_back_what_rounding_takes_on_average():
    """A channel that is nearly always 0.3 steps above an integer, read by large weights."""
    b = GraphBuilder(0, (1, 12, 12))
    b.conv(1, 1, bias=False)
    b.nodes[0].params["weight"][:] = 1
    b.add("relu")
    b.conv(2, 3)
    graph = b.graph()
    step = 4.5 / 127  # of the input
    rng = np.random.default_rng(0)
    x = np.where(rng.random((8, 1, 12, 12)) < 0.95, 20.3 * step, 2.0).astype(np.float32)
    y = reference.run(graph, x)
    network = quantise(graph, inputs=x, calibration=Calibration(100))
    got = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
    error = (got - y).mean(axis=(0, 2, 3))
    assert np.abs(error).max() < 0.5 * network.output_format.scale
    without = quantise_without_correction(graph, x)
    got = without.output_format.dequantise(run_integer(without, without.quantise_input(x)))
    assert np.abs((got - y).mean(axis=(0, 2, 3))).max() > 2 * np.abs(error).max()


def quantise_without_correction(graph, x) -> QuantNetwork:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            quantise_module, "_mean_error", lambda observed, block, *_: np.zeros(block.channels)
        )
        return quantise(graph, inputs=x, calibration=Calibration(100))


def test_corrected_biases_make_the_hard_network_good():
    """BN after ReLU, heavy tails: 27.7 dB without the correction of biases."""
    graph = shared_model("dcgan_anime64_keras")
    observed = observe(graph)
    network = quantise_observed(observed)
    quality = measure_network(network, observed)
    assert quality.output.psnr > 31
    assert av.grade(quality.output) == "good"
    assert av.steepest_drop(network, quality).label == "deconv5"


# --- the verdict ---------------------------------------------------------------------------------


def result(psnr: float, ssim: float | None = None) -> LayerReport:
    return LayerReport("out", 0, 1, 0.1, 0, 1, psnr, ssim)


@pytest.mark.parametrize(
    ("psnr", "ssim", "word"),
    [
        (30.0, 0.95, "good"),
        (29.9, 0.99, "visible errors"),
        (50.0, 0.949, "visible errors"),
        (20.0, 0.8, "visible errors"),
        (19.9, 0.99, "broken"),
        (40.0, 0.79, "broken"),
        (30.0, None, "good"),
        (math.inf, None, "good"),
        (-math.inf, None, "broken"),
    ],
)
def test_grades(psnr, ssim, word):
    assert av.grade(result(psnr, ssim)) == word


@pytest.fixture(scope="module")
def digits():
    """The digits network observed, and quantised with far too low a percentile."""
    observed = observe(zoo.load_model("digits"), samples=32)
    network = quantise_observed(observed, calibration=Calibration(70))
    return observed, network, measure_network(network, observed)


def test_a_bad_calibration_is_named_and_a_better_one_suggested(digits):
    observed, network, quality = digits
    assert av.grade(quality.output) != "good"
    trials = av.improvements(observed, network, quality, Calibration(70))
    text = av.verdict_text(network, quality, trials)
    first, drop, *tried, last = text.splitlines()
    assert first.startswith(f"verdict: {av.grade(quality.output)}: ")
    assert drop == f"the quality drops most in layer '{av.steepest_drop(network, quality).label}'"
    assert len(tried) == len(trials) == 6  # four percentiles, a 16-bit input, 16 bits
    best = max(
        (t for t in trials if (t.option or "").startswith("--percentile")),
        key=lambda t: t.result.psnr,
    )
    assert last.startswith(f"suggestion: compile with {best.option}: ")
    # What is suggested is what the compiler then does.
    percentile = float(best.option.split()[1])
    again = quantise_observed(observed, calibration=Calibration(percentile))
    assert measure_network(again, observed).output == best.result


def test_what_no_option_betters_is_said(digits):
    *_, quality = digits
    psnr = quality.output.psnr
    worse = [av.Trial("--bits 16", result(psnr - 1), "--bits 16"), av.Trial("x", result(99))]
    assert "no option" in av.suggestion(quality, worse)
    better = [av.Trial("--bits 16", result(psnr + 1), "--bits 16")]
    assert "--bits 16 (the 16-bit build" in av.suggestion(quality, better)


def test_the_percentile_with_the_best_images_is_chosen(digits):
    observed, *_ = digits
    said: list[str] = []
    best, trials = av.search_percentile(observed, 8, Calibration(100), said.append)
    assert {t.option for t in trials} == {f"--percentile {p:g}" for p in av.PERCENTILES}
    assert len(said) == len(trials)
    top = max(trials, key=lambda t: t.result.psnr)
    assert top.option == f"--percentile {best.percentile:g}"
    again = quantise_observed(observed, calibration=best)
    assert measure_network(again, observed).output == top.result


def test_a_wide_input_is_what_a_finer_step_comes_to(digits):
    """Steps and ranges of the last input far finer and wider: the same integers, but for ties."""
    observed, network, _ = digits
    last = network.layers[-1]
    wide = av.run_with_wide_input(network, last.name, observed.checked)
    narrow = run_integer(network, network.quantise_input(observed.checked))
    exact = observed.expected[last.name]
    f = network.output_format
    assert psnr(f.dequantise(wide), exact, 2.0) > psnr(f.dequantise(narrow), exact, 2.0)
    # A 16-bit format of the producer, by hand: 1/256 of the step, no saturation.
    producer = network.layers[-2]
    r = producer.requantiser
    fine = replace(
        producer,
        requantiser=replace(r, shift=r.shift - 8, low=np.minimum(r.low, 0) * 256,
                            high=r.high * 0 + (1 << 20)),
    )  # fmt: skip
    values = {"input": network.quantise_input(observed.checked)}
    for layer in network.layers[:-2]:
        inputs = [values[s] for s in layer.sources]
        values[layer.name] = integers.run_layer(layer, inputs, 8)
    q = integers.run_layer(fine, [values[s] for s in fine.sources], 8)
    sums = integers.sums_of_products(last.shape, last.diagonal, [q / 256], last.weight)
    acc = np.rint(integers.with_bias(last, sums)).astype(np.int64)
    assert np.abs(integers.requantise(last, acc, 8) - wide).max() <= 1


# --- the command ---------------------------------------------------------------------------------


def test_compile_prints_the_verdict(capsys, tmp_path):
    assert main(["compile", "digits", "-o", str(tmp_path / "a.wg"), "--batch", "1"]) == 0
    text = capsys.readouterr().out
    assert "PSNR dB    SSIM" in text
    assert "verdict: good: 3" in text
    assert "suggestion" not in text


def test_compile_chooses_a_percentile(capsys, tmp_path):
    arguments = ["compile", "digits", "-o", str(tmp_path / "a.wg"), "--batch", "1"]
    assert main([*arguments, "--percentile", "auto"]) == 0
    lines = capsys.readouterr().out.splitlines()
    tried = [line for line in lines if line.startswith("--percentile")]
    assert len(tried) == len(av.PERCENTILES)
    assert sum(line.endswith("(chosen)") for line in tried) == 1


def test_a_percentile_is_a_number_or_auto(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["compile", "digits", "-o", str(tmp_path / "a.wg"), "--percentile", "most"])
    assert "'most' is no number and not 'auto'" in capsys.readouterr().err


def test_a_bad_calibration_gets_a_suggestion(capsys, tmp_path):
    arguments = ["compile", "digits", "-o", str(tmp_path / "a.wg"), "--batch", "1"]
    assert main([*arguments, "--percentile", "70"]) == 0
    text = capsys.readouterr().out
    assert "the quality drops most in layer 'deconv" in text
    assert "suggestion: compile with --percentile" in text
