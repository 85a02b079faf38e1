"""A verdict on a quantised network's images, and what was tried to better them.

An image is *good* from 30 dB and an SSIM of 0.95 on: side by side with the float network's, the
difference is hard to find. Under 20 dB or 0.80 it is *broken*. Between, there are *visible errors*.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from winogen.common.text import decibels
from winogen.compiler.calibrate import DEFAULT_CALIBRATION, Calibration, Observed
from winogen.compiler.integers import accumulate, requantise, run_layer, sums_of_products, with_bias
from winogen.compiler.quantise import quantise_observed
from winogen.compiler.quantised import QuantLayer, QuantNetwork
from winogen.network.graph import Graph
from winogen.quality.measure import LayerReport, Quality, measure_layer, measure_network
from winogen.target import numerics
from winogen.target.numerics import int_range

#: Least PSNR (dB) and SSIM of a good image, and of one that is not broken.
GOOD = (30.0, 0.95)
USABLE = (20.0, 0.80)
#: Part of the range from black to white that an output must cover, or it is called flat.
FLAT = 0.1
#: Percentiles that ``--percentile auto`` tries.
PERCENTILES = (99.9, 99.99, 99.999, 100.0)


@dataclass(frozen=True)
class Trial:
    """A change, and the quality of the images with it.

    ``option`` is what ``winogen compile`` takes for it, or None where no option does it.
    """

    change: str
    result: LayerReport
    option: str | None = None


def grade(result: LayerReport) -> str:
    """``good``, ``visible errors`` or ``broken``."""

    def reaches(bar: tuple[float, float]) -> bool:
        return result.psnr >= bar[0] and (result.ssim is None or result.ssim >= bar[1])

    return "good" if reaches(GOOD) else "visible errors" if reaches(USABLE) else "broken"


def in_words(result: LayerReport) -> str:
    """PSNR and SSIM of an output in words."""
    similar = "" if result.ssim is None else f", SSIM {result.ssim:.3f}"
    if result.psnr == math.inf:
        return "exact"
    return f"{decibels(result.psnr)} dB{similar}"


def steepest_drop(network: QuantNetwork, quality: Quality) -> QuantLayer:
    """The layer whose PSNR is the furthest below that of what it reads."""
    psnr = {layer.name: row.psnr for layer, row in zip(network.layers, quality.layers)}

    def drop(layer: QuantLayer) -> float:
        before = [psnr[s] for s in layer.sources if s != Graph.INPUT_NAME]
        if not before or psnr[layer.name] == math.inf:
            return -math.inf
        return min(before) - psnr[layer.name]

    return max(network.layers, key=drop)


def search_percentile(
    observed: Observed, data_width: int, calibration: Calibration, say: Callable[[str], None]
) -> tuple[Calibration, list[Trial]]:
    """The calibration whose images are nearest to the float network's, and all that were tried.

    The default is tried first and wins a tie.
    """
    default = DEFAULT_CALIBRATION[data_width].percentile
    percentiles = (default, *(p for p in PERCENTILES if p != default))
    trials = list(_percentiles(observed, data_width, calibration, say, percentiles))
    best = max(trials, key=lambda t: t[1].result.psnr)
    return best[0], [trial for _, trial in trials]


def _percentiles(
    observed: Observed,
    data_width: int,
    calibration: Calibration,
    say: Callable[[str], None],
    percentiles: Iterable[float],
) -> Iterable[tuple[Calibration, Trial]]:
    for percentile in percentiles:
        say(f"trying percentile {percentile:g}")
        changed = replace(calibration, percentile=percentile)
        network = quantise_observed(observed, data_width, calibration=changed)
        option = f"--percentile {percentile:g}"
        yield changed, Trial(option, measure_network(network, observed).output, option)


def improvements(
    observed: Observed,
    network: QuantNetwork,
    quality: Quality,
    calibration: Calibration,
    say: Callable[[str], None] = lambda _: None,
) -> list[Trial]:
    """What other calibration, 16 bits, or a 16-bit input to the steepest drop's layer would give.

    Every figure is measured with integers on the inputs that ``quality`` was measured on.
    """
    trials = [
        trial
        for _, trial in _percentiles(
            observed,
            network.data_width,
            calibration,
            say,
            [p for p in PERCENTILES if p != calibration.percentile],
        )
    ]
    layer = steepest_drop(network, quality)
    say(f"trying a 16-bit input to {layer.label}")
    q = run_with_wide_input(network, layer.name, observed.checked)
    last = network.layers[-1]
    result = measure_layer(network, last, q, observed.expected[last.name])
    trials.append(Trial(f"a 16-bit input to '{layer.label}' alone", result))
    if network.data_width == 8:
        say("trying 16 bits")
        wide = measure_network(quantise_observed(observed, 16), observed)
        trials.append(Trial("--bits 16", wide.output, "--bits 16"))
    return trials


def suggestion(quality: Quality, trials: list[Trial]) -> str:
    """The cheapest change that makes the images good, or the best one, in a sentence."""
    options = [t for t in trials if t.option and t.result.psnr > quality.output.psnr]
    if not options:
        return "no option of the compiler does better; the network itself is hard to quantise"
    good = [t for t in options if grade(t.result) == "good"]
    same_build = [t for t in good if t.option != "--bits 16"]
    best = max(same_build or good or options, key=lambda t: t.result.psnr)
    other = " (the 16-bit build of the accelerator)" if best.option == "--bits 16" else ""
    return f"compile with {best.option}{other}: {in_words(best.result)}, {grade(best.result)}"


def verdict_text(network: QuantNetwork, quality: Quality, trials: list[Trial] | None = None) -> str:
    """The verdict in words; with what was tried and a suggestion, unless the images are good."""
    result = quality.output
    inputs = "inputs that calibration did not see" if quality.held_out else "the calibration inputs"
    lines = [f"verdict: {grade(result)}: {in_words(result)} against the float network, on {inputs}"]
    lines += flatness(network.output_range, result)
    if grade(result) == "good":
        return "\n".join(lines)
    lines.append(f"the quality drops most in layer '{steepest_drop(network, quality).label}'")
    for trial in trials or ():
        lines.append(f"  {trial.change}: {in_words(trial.result)}")
    if trials is not None:
        lines.append(f"suggestion: {suggestion(quality, trials)}")
    return "\n".join(lines)


def flatness(output_range: tuple[float, float] | None, result: LayerReport) -> list[str]:
    """A sentence on images that are all but grey, for which a high PSNR says little; or none."""
    if output_range is None:
        return []
    black, white = output_range
    if result.high - result.low >= FLAT * (white - black):
        return []
    return [
        f"note: the output is nearly flat, {result.low:.3g} to {result.high:.3g} of {black:g} to "
        f"{white:g}: such images are alike whatever goes wrong, so the figures say little; are "
        "these the trained weights, and is this the output's range?"
    ]


def run_with_wide_input(network: QuantNetwork, name: str, x: NDArray) -> NDArray[np.int64]:
    """Output integers if layer ``name`` read its inputs without rounding or saturation.

    That is what a 16-bit input to that layer would come to; ``x`` are real inputs (N, C, H, W).
    """
    bits = network.data_width
    q = network.quantise_input(x)
    values = {Graph.INPUT_NAME: q}
    wide: dict[str, NDArray] = {
        Graph.INPUT_NAME: np.asarray(x, np.float64).reshape(q.shape) / network.input_format.scale
    }
    target = next(layer for layer in network.layers if layer.name == name)
    for layer in network.layers:
        inputs = [values[s] for s in layer.sources]
        if layer is target:
            sums = sums_of_products(
                layer.shape, layer.diagonal, [wide[s] for s in layer.sources], layer.weight
            )
            acc = np.rint(with_bias(layer, sums)).astype(np.int64)
            values[layer.name] = requantise(layer, acc, bits)
            continue
        values[layer.name] = run_layer(layer, inputs, bits)
        if layer.name in target.sources:
            wide[layer.name] = _unrounded(layer, inputs, bits)
    return values[network.layers[-1].name]


def _unrounded(layer: QuantLayer, inputs: list[NDArray[np.int64]], bits: int) -> NDArray:
    """A layer's output in steps of its format, with fractions and beyond the integer range."""
    if layer.table is not None:
        return run_layer(layer, inputs, bits)
    low, high = int_range(bits)
    r = layer.requantiser
    acc = np.moveaxis(with_bias(layer, accumulate(layer, inputs)), 1, -1)
    acc = numerics.wrap(acc, numerics.accumulator_bits(bits))
    exact = acc.astype(np.float64) * np.where(acc < 0, r.negative, r.positive)
    exact *= numerics.powers_of_two(-r.shift)
    # A clamp at the end of the integer range is the format's, any other the activation's.
    bounds = (np.where(r.low > low, r.low, -np.inf), np.where(r.high < high, r.high, np.inf))
    return np.moveaxis(np.clip(exact, *bounds), -1, 1)
