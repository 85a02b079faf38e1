"""What looking for soft errors costs (``check_every`` of Generator, ``--check``).

A check reads weights and instructions back and takes their CRC-32s. This is timed here, in seconds
of the processor, which does it on a board too; the time of a run is the prediction:

    python benchmarks/check_cost.py [MODEL or PROGRAM.wg ...] [--device emulator] [--rounds 20]
"""

from __future__ import annotations

import argparse
import statistics
import time

import winogen
from winogen.common.script import run_script
from winogen.program.file import Program


def main() -> int:
    """Print a line for each network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("models", nargs="*", default=["digits", "dcgan-4x4"])
    parser.add_argument("--device", default="emulator")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    for model in options.models:
        compiled = model.endswith(".wg")
        program = Program.load(model) if compiled else winogen.compile_model(model)
        print(line(program, options.device, options.rounds))
    return 0


def line(program: Program, device: str, rounds: int) -> str:
    """What a check reads and how long it takes, beside a run and one of a known input."""
    times = []
    one, stream = program.streams[0], program.streams[-1]
    with winogen.Generator(program, device) as generator:
        generator.generate(generator.latents(stream.batch))  # which loads its instructions
        for _ in range(rounds):
            begin = time.process_time()
            generator.check()
            times.append(time.process_time() - begin)
    look = statistics.median(times)
    nbytes = len(program.weights) + len(stream.stream)
    run, known = (s.cycles / (program.board.clock_mhz * 1e3) for s in (stream, one))
    return (
        f"{program.name}: a check reads {nbytes / 1e6:.2f} MB in {look * 1e3:.2f} ms "
        f"({nbytes / look / 1e6:.0f} MB/s) here; on {program.board.name} a run of {stream.batch} "
        f"is predicted to take {run:.2f} ms, check_repeat to add as much, and check_answer "
        f"{known:.2f} ms"
    )


if __name__ == "__main__":
    raise SystemExit(run_script(main))
