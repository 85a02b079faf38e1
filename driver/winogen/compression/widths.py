"""Students as fast as they are asked to be: how wide each layer may be is found by short trainings.

Layers mind very differently how many channels they have, and untrained errors do not tell which:
each group of channels is narrowed alone, the student is trained for some steps, and what is then
left of the error is its price. Groups are narrowed word by word of the accelerator's lanes where
that costs the least error for the cycles that it saves, until the cycle model is content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from winogen.common.errors import InputError
from winogen.compilation.job import Job
from winogen.compression import clock
from winogen.compression.budget import USED, Training, seconds_of
from winogen.compression.inputs import Source
from winogen.compression.merging import DENSE
from winogen.compression.narrow import LANES, Channels
from winogen.compression.options import FitOptions
from winogen.compression.pretrain import Pretrainer
from winogen.compression.students import begun, cycles
from winogen.compression.width import at_width, drawn, images_per_second, program_of
from winogen.network.graph import Graph

#: Channels that a layer makes at once: two words of lanes.
_PAIR = 2 * LANES
#: Steps of a trial at most, and how many of the whole training's steps there are for each of them.
_TRIAL, _OF = 60, 25
#: Shares of a group's channels that are tried; one word of lanes is the least.
_SHARES = (7 / 8, 3 / 4, 5 / 8, 1 / 2, 3 / 8, 1 / 4, 0)

Counts = dict[int, int]


@dataclass(frozen=True)
class Chosen:
    """A student to train, or the network itself.

    Attributes
    ----------
    graph : its layers, which begin with what can be taken from the teacher's
    width : the share of its teacher's cycles that narrower layers leave; 1 where none is narrower
    tried : steps of each of the trainings that the widths were found by; 0 where there were none
    """

    graph: Graph
    width: float = 1.0
    tried: int = 0


def chosen(
    job: Job,
    options: FitOptions,
    training: Training,
    source: Source,
    say: Callable[[str, int, int], None],
    until: float | None = None,
    tried: int | None = None,
) -> Chosen:
    """The student that the options ask for; the job's own graph where that does.

    Trials are as long as end by ``until`` (``clock.now``), or of ``tried`` steps: those of an
    earlier call find the same student again.

    Raises InputError where the network has no layer for ``blocks``, or cannot be as fast as
    ``fps``.
    """
    narrower = options.fps is not None or options.faster is not None or (options.width or 1) < 1
    if options.blocks is None and not narrower:
        return Chosen(job.graph)
    if options.blocks is None and options.fps is not None:
        say("predicting the whole network", 0, 0)
        if images_per_second(job, job.graph) >= options.fps:
            return Chosen(job.graph)
    student = replace(job, graph=begun(job, options.blocks))
    if not narrower:
        return Chosen(student.graph)
    graph, tried = _narrowed(student, job.graph, options, training, source, say, until, tried)
    return Chosen(graph, cycles(job, graph) / cycles(job, job.graph), tried)


def _narrowed(
    job: Job,
    teacher: Graph,
    options: FitOptions,
    training: Training,
    source: Source,
    say: Callable[[str, int, int], None],
    until: float | None,
    tried: int | None,
) -> tuple[Graph, int]:
    """The job's network, as narrow as its options ask for, and the steps of each trial."""
    if options.fps is not None:
        goal = options.fps

        def fits(graph: Graph) -> bool:
            return images_per_second(job, graph) >= goal

    else:
        if options.faster is not None:
            most = cycles(job, teacher) / options.faster
        else:
            most = cycles(job, at_width(job, options.width or 1.0))

        def fits(graph: Graph) -> bool:
            return cycles(job, graph) <= most

    if fits(job.graph):
        return job.graph, 0
    channels = Channels(job.graph, drawn(job))
    narrowest = channels.narrowed(dict.fromkeys(channels.widths, LANES))
    if not fits(narrowest):
        raise InputError(_too_much(job, options, narrowest))
    steps = min(_TRIAL, max(training.steps // _OF, 1))
    # On the CPU, since a training that goes on must find the same widths again.
    trial = replace(training, steps=tried or steps, until=None, device="cpu")
    levels = _levels(channels)
    if until is not None and not tried:
        say("timing a trial", 0, 0)
        trial = replace(
            trial, steps=min(steps, _in_time(job, teacher, trial, source, levels, until))
        )
    path = _path(job, channels, _prices(channels, levels, teacher, trial, source, say))
    say("predicting", 0, 0)
    low, high = -1, len(path) - 1  # too slow, fast enough: the narrowest is the last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(channels.narrowed(path[middle])) else (middle, high)
    return channels.narrowed(path[high]), trial.steps


def _too_much(job: Job, options: FitOptions, narrowest: Graph) -> str:
    if options.fps is not None:
        goal = f"{options.fps:g} images a second"
        found = f"{images_per_second(job, narrowest):,.1f} are"
    else:
        goal = f"as few cycles as --{'width' if options.faster is None else 'faster'} asks for"
        found = f"{cycles(job, narrowest):,.0f} an image are"
    return (
        f"{goal} cannot be reached on {job.options.target.name}: with the fewest channels, {LANES} "
        f"a layer, {found} predicted"
    )


def _levels(channels: Channels) -> dict[int, list[int]]:
    """For each group the numbers of channels that are tried, from many to few."""
    return {
        group: sorted(
            {max(round(share * width / LANES), 1) * LANES for share in _SHARES} - {width},
            reverse=True,
        )
        for group, width in channels.widths.items()
    }


def _in_time(
    job: Job,
    teacher: Graph,
    trial: Training,
    source: Source,
    levels: Mapping[int, list[int]],
    until: float,
) -> int:
    """Steps that each trial may have for all to end in time; one at least."""
    start = clock.now()
    pretrainer = Pretrainer(job.graph, teacher, replace(trial, steps=1), source)
    pretrainer.run()
    around = clock.now() - start  # what a trial takes beside its steps, and one of them
    step = seconds_of(pretrainer.step)
    count = sum(map(len, levels.values()))
    each = USED * (until - clock.now()) / max(count, 1)
    return max(int((each - around) / step) + 1, 1)


def _prices(
    channels: Channels,
    levels: Mapping[int, list[int]],
    teacher: Graph,
    trial: Training,
    source: Source,
    say: Callable[[str, int, int], None],
) -> dict[int, dict[int, float]]:
    """For each group and each number of its channels, the error that a trial leaves; 0 for all.

    An error is the mean square of what is given otherwise, of the range. Fewer channels are never
    said to be better than more.
    """
    count, done = sum(map(len, levels.values())), 0
    prices: dict[int, dict[int, float]] = {}
    for group, numbers in levels.items():
        prices[group] = {channels.widths[group]: 0.0}
        least = 0.0
        for number in numbers:
            say("trying widths", done, count)
            pretrainer = Pretrainer(channels.narrowed({group: number}), teacher, trial, source)
            curve = pretrainer.run()[2]
            least = max(least, 10 ** (-max(psnr for _, psnr in curve) / 10))
            prices[group][number] = least
            done += 1
    return prices


def _path(job: Job, channels: Channels, prices: Mapping[int, Mapping[int, float]]) -> list[Counts]:
    """Networks from wide to narrow, each by one step of one group narrower than the last."""
    program = program_of(job, job.graph)
    stream = program.streams[-1]
    taken = dict(zip((layer.name for layer in program.layers), stream.layer_cycles))
    nodes = [node for node in job.graph.nodes if node.name in taken]
    whole = {g: -(-n // _PAIR) * _PAIR for g, n in channels.widths.items()}

    def cost(counts: Counts) -> float:
        """About the cycles: they go with the channels that a layer reads and those it makes."""
        total = 0.0
        paired = {g: -(-n // _PAIR) * _PAIR for g, n in counts.items()}
        for node in nodes:
            share = channels.share(node.name, paired) / channels.share(node.name, whole)
            if node.op in DENSE:
                share *= channels.share(node.inputs[0], counts)
            total += share * taken[node.name]
        return total

    counts = dict(channels.widths)
    path: list[Counts] = []
    while True:
        before, best = cost(counts), None
        for group, errors in prices.items():
            fewer = [n for n in errors if n < counts[group]]
            for number in fewer:
                saved = before - cost({**counts, group: number})
                worse = errors[number] - errors[counts[group]]
                price = worse / max(saved, 1e-9)
                if best is None or price < best[0]:
                    best = price, group, number
        if best is None:
            return path
        counts = {**counts, best[1]: best[2]}
        path.append(counts)
