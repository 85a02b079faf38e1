"""Exits of a network that is trained in integers: their heads are trained, and nothing else of it.

In floating point first, where a head finds what it is for, then in the accelerator's integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from winogen.compilation.job import Job
from winogen.compression import clock
from winogen.compression.budget import USED, Training, seconds_of
from winogen.compression.inputs import Source
from winogen.compression.limits import BITS
from winogen.compression.recipe import Recipe
from winogen.compression.self_distillation import HeadTrainer
from winogen.compression.train import Distiller
from winogen.network.graph import Graph

#: Steps of heads in floating point for each step in integers.
_FLOAT = 0.5


@dataclass(frozen=True)
class ExitTrainer:
    """What a network's exits are trained by.

    Attributes
    ----------
    job : with heads, whose weights are drawn, on a network that is trained in integers
    teacher : the float network
    source : of the inputs
    peak : the range that errors are of
    bits : of the heads' weights
    """

    job: Job
    teacher: Graph
    source: Source
    peak: float
    bits: int = BITS

    def train(
        self,
        training: Training,
        seconds: float | None,
        say: Callable[[str, int, int, str], None],
    ) -> Graph:
        """The network with trained exits; all else of it is as it was, bit for bit.

        ``seconds`` bound it, and decide on the steps where ``training`` has none.
        """
        if seconds is not None:
            until = clock.now() + seconds
            if not training.steps:
                steps = int(USED * seconds / self._seconds_a_step(training))
                training = replace(training, steps=max(steps, 1))
            training = replace(training, until=until)
        first = replace(training, steps=max(int(_FLOAT * training.steps), 1))
        graph = self._heads(first).run(lambda done, _: say("training heads", done, first.steps, ""))
        distiller = self._distiller(graph, training)
        trained = distiller.run(
            None, lambda done, note: say("training exits", done, training.steps, note)
        )
        found = {node.name: node for node in trained.graph.nodes}
        found |= {node.name: node for node in graph.without_exits().nodes}
        nodes = [found[node.name] for node in graph.nodes if node.name in found]
        return replace(trained.graph, nodes=nodes)

    def _heads(self, training: Training) -> HeadTrainer:
        return HeadTrainer(self.job.graph, self.source, training, self.peak, self.teacher)

    def _distiller(self, graph: Graph, training: Training) -> Distiller:
        observed = replace(self.job, graph=graph).observe()
        recipe = Recipe(self.bits)
        return Distiller(observed, recipe, training, self.teacher, self.source, exits_only=True)

    def _seconds_a_step(self, training: Training) -> float:
        """What a step takes, with its share of those in floating point before."""
        few = replace(training, steps=100)  # of which few are taken
        distiller, heads = self._distiller(self.job.graph, few), self._heads(few)
        return seconds_of(distiller.step) + _FLOAT * seconds_of(heads.step)
