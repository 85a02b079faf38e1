"""What the header of a program file says of streams and exits, and the sections that it names."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from winogen.program.exits import Exit
from winogen.program.host_file import steps_to_header
from winogen.program.layout import Unfold
from winogen.program.parts import StreamInfo

#: Of programs, and of those with exits, which older versions of winogen would not run to.
FORMAT_VERSION, FORMAT_WITH_EXITS = 5, 6
#: Of those whose streams of coded weights are made from the weights when they are read, with exits
#: or without.
FORMAT_WITH_STREAMS = 7
#: Of those whose input is seen in windows that leave pixels out, with any of these or without.
FORMAT_WITH_SPACING = 8


def unfold_to_header(unfold: Unfold | None) -> dict[str, Any] | None:
    """What a header says of an input's windows; the spacing where older versions must know it."""
    if unfold is None:
        return None
    said = asdict(unfold)
    if not unfold.is_spaced:
        del said["spacing"]
    return said


def streams_to_header(streams: Sequence[StreamInfo], sections: list[bytes]) -> list[dict[str, Any]]:
    """What a header says of streams, each of which becomes another section."""
    found = []
    for stream in streams:
        found.append(
            {
                "section": len(sections),
                "length": stream.length,
                "host": steps_to_header(stream.host),
                **{
                    name: getattr(stream, name)
                    for name in (
                        "batch", "input_bytes", "output_bytes", "scratch_bytes", "cycles",
                        "layer_cycles",
                    )
                },
            }
        )  # fmt: skip
        sections.append(zlib.compress(stream.stream, 6))
    return found


def exits_to_header(exits: Sequence[Exit], sections: list[bytes]) -> list[dict[str, Any]]:
    """What a header says of exits, each of whose streams becomes another section."""
    return [
        {
            "layers": own.layers,
            "streams": streams_to_header(own.streams, sections),
            "output_format": asdict(own.output_format),
            "shuffle": asdict(own.shuffle),
            "locality": None if own.locality is None else asdict(own.locality),
        }
        for own in exits
    ]
