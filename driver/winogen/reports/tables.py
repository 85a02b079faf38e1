"""Tables for people: aligned columns of text."""

from __future__ import annotations

from winogen.common.text import decibels, table
from winogen.profiling.limits import LIMITS_LEGEND, layer_limits, limits_table
from winogen.program.coded_weights import loaded_weights
from winogen.program.file import Program
from winogen.program.parts import HOST, LayerInfo, StreamInfo
from winogen.program.speed import Speed, layer_seconds, speed
from winogen.quality.measure import Quality


def cost_table(program: Program, stream: StreamInfo) -> str:
    """Layers with their multiplies and predicted cycles, for one image.

    Where the board's processor computes a layer (mode ``host``), the accelerator waits for it, for
    as many milliseconds as are predicted.
    """
    rows = []
    seconds = layer_seconds(program, stream)
    for number, (layer, cycles) in enumerate(zip(program.layers, stream.layer_cycles)):
        taken = f"{cycles / stream.batch:,.0f}"
        if layer.mode == HOST:
            taken = f"{1e3 * seconds[number] / stream.batch:,.3g} ms" if seconds else "-"
        rows.append(
            [
                layer.name,
                layer.kind,
                layer.mode,
                "x".join(map(str, layer.output)),
                *_multiplies(layer),
                taken,
            ]
        )
    total = LayerInfo(
        "", "", "", (0, 0, 0),
        *(sum(getattr(x, n) for x in program.layers)
          for n in ("multiplies", "useful", "zero_padded")),
    )  # fmt: skip
    rows.append(
        ["all layers", "", "", "", *_multiplies(total), f"{stream.cycles / stream.batch:,.0f}"]
    )
    header = ["layer", "kind", "mode", "output", "multiplies", "useful", "zero-padded", "cycles"]
    return table(header, rows, left=3)


def cost_summary(program: Program, stream: StreamInfo) -> str:
    """What the schedule saves, and the predicted speed: accelerator, host, both overlapped."""
    done = max(sum(x.multiplies for x in program.layers), 1)
    useful = max(sum(x.useful for x in program.layers), 1)
    padded = sum(x.zero_padded for x in program.layers)
    return (
        f"{done / useful:.2f} multiplies for each useful one, {padded / done:.2f}x fewer than "
        f"zero-padded\n{speed_summary(program, stream)}"
    )


def weights_summary(program: Program) -> str:
    """What weights take in memory and in the program file, with parameters and tables."""
    stored = f"{len(program.weights):,} bytes in memory, {program.stored.nbytes:,} in the file"
    lies, plain = loaded_weights(program.streams[0], program.core)
    if lies < plain:
        stored += f" (coded: an image's weights are {lies:,} bytes on the bus, plain {plain:,})"
    bits = program.bits_a_weight
    return stored if bits is None else f"{stored}, {bits:.2f} bits a weight"


def weights_table(program: Program, stream: StreamInfo) -> str:
    """What a stream's layers take of memory, decoder and transform; empty if no weight is coded."""
    instructions = stream.instructions()
    found = limits_table(
        [layer.name for layer in program.layers],
        [layer.mode for layer in program.layers],
        stream.layer_cycles,
        layer_limits(instructions, len(program.layers), program.board),
    )
    if not found:
        return ""
    images = "one image" if stream.batch == 1 else f"{stream.batch} images"
    return "\n".join([f"{images} at a time, predicted:", found, *LIMITS_LEGEND])


def speed_summary(program: Program, stream: StreamInfo) -> str:
    """The predicted speed of a stream, in a line or two."""
    predicted = speed(program, stream)
    board = program.board
    cycles = (
        f"{stream.cycles / stream.batch:,.0f} cycles an image in batches of {stream.batch} at "
        f"{board.clock_mhz:g} MHz"
    )
    if not predicted.host_s:
        return (
            f"predicted: {rate(predicted.accelerator)} images/s on {board.name}, {cycles}; the "
            "processor's part is not known"
        )
    costs = "measured" if predicted.measured else "estimated"
    return (
        f"predicted: {rate(predicted.overlapped)} images/s on {board.name} while batches follow "
        f"each other, {rate(predicted.alone)} for one batch\n"
        f"a batch:   {1e3 * predicted.accelerator_s:,.2f} ms accelerator ({cycles}; "
        f"{rate(predicted.accelerator)} images/s), {1e3 * predicted.host_s:,.2f} ms processor "
        f"({costs}{_of_layers(program, predicted)})"
    )


def _of_layers(program: Program, predicted: Speed) -> str:
    """What of the processor's part is for layers."""
    if not program.host:
        return ""
    return (
        f"; {1e3 * predicted.layers_s:,.2f} ms of it for {len(program.host)} layers between runs "
        "of the accelerator, which waits for them"
    )


def rate(images_per_second: float) -> str:
    """Images a second; those of slow networks with two digits behind the point."""
    return f"{images_per_second:,.{0 if images_per_second >= 20 else 2}f}"


def quality_table(quality: Quality) -> str:
    """Ranges, scales, saturation, PSNR and SSIM of every layer against the float network."""
    rows = [
        [
            r.name,
            f"{r.low:.3g}",
            f"{r.high:.3g}",
            f"{r.scale:.3g}",
            f"{r.saturated} of {r.values}",
            decibels(r.psnr),
            "-" if r.ssim is None else f"{r.ssim:.4f}",
        ]
        for r in quality.layers
    ]
    return table(["layer", "lowest", "highest", "step", "saturated", "PSNR dB", "SSIM"], rows)


def _multiplies(layer: LayerInfo) -> list[str]:
    return [f"{n / 1e6:,.2f} M" for n in (layer.multiplies, layer.useful, layer.zero_padded)]
