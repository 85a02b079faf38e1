"""Self distillation: the exits of a network learn from its teacher and from its deepest layers.

Zhang et al., *Be your own teacher* (ICCV 2019), for images in the place of classes. The loss of an
exit is

    (1 - a) d(y, t) + a d(y, y') + b d(r(f), f') / d(f', 0)

with d the mean square of differences, y the exit's image, t the teacher's, y' that of the whole
network, f what the exit's last layer reads, f' what that of the whole network does, and r a 1 x 1
convolution that is learnt beside and thrown away. What the whole network does is given: an exit
changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from winogen.compiler.fold import fold
from winogen.compression.bridge import GraphModule
from winogen.compression.budget import Training
from winogen.compression.inputs import Source
from winogen.compression.trainer import Progress, Trainer
from winogen.network.graph import Graph

#: Of an exit's image, how much it is to be that of the whole network; what its features count.
_TO_WHOLE, _FEATURES = 0.3, 0.02
#: Steps of heads before they are quantised: rate of Adam, and seeds of what is drawn for them.
_RATE, _HEAD_SEED = 4e-3, 1 << 59


class ExitLoss(nn.Module):
    """The sum of all exits' losses; ``peak`` is the range that images' errors are of."""

    def __init__(self, graph: Graph, peak: float):
        super().__init__()
        self._peak = peak
        sources = {block.name: block.sources[0] for block in fold(graph)}
        shapes = graph.shapes
        #: The features of each exit, and the deepest.
        self.features = [sources[name] for name in graph.exits]
        self.deepest = sources[graph.output_name]
        self._size = shapes[self.deepest][1:]
        self.regressors = nn.ModuleList(
            nn.Conv2d(shapes[name][0], shapes[self.deepest][0], 1) for name in self.features
        )

    def forward(
        self, outputs: list[Tensor], features: Callable[[str], Tensor], wanted: Tensor
    ) -> Tensor:
        """The loss.

        Parameters
        ----------
        outputs : images (N, C, H, W) of every exit, the whole network's last
        features : real values (N, C', H', W') of a layer's output, by its name
        wanted : the teacher's images
        """
        whole, deepest = outputs[-1].detach(), features(self.deepest).detach()
        power = torch.mean(deepest**2) + 1e-12
        total = torch.zeros((), device=wanted.device)
        for made, name, regressor in zip(outputs, self.features, self.regressors):
            image = (1 - _TO_WHOLE) * torch.mean((made - wanted) ** 2)
            image = image + _TO_WHOLE * torch.mean((made - whole) ** 2)
            guessed = self._resized(regressor(features(name)))
            total = total + image / self._peak**2
            total = total + _FEATURES * torch.mean((guessed - deepest) ** 2) / power
        return total

    def _resized(self, x: Tensor) -> Tensor:
        if x.shape[2] < self._size[0] or x.shape[3] < self._size[1]:
            return functional.interpolate(x, self._size)
        return functional.adaptive_avg_pool2d(x, self._size)


class HeadTrainer(Trainer):
    """Training of an untrained network's heads in floating point, all other layers as they are.

    ``peak`` is the range that errors are of, ``teacher`` the network that images are to be of, if
    not this one's own.
    """

    def __init__(
        self,
        graph: Graph,
        source: Source,
        training: Training,
        peak: float,
        teacher: Graph | None = None,
    ):
        super().__init__(training, source, graph.name)
        self._graph = graph
        self._module = GraphModule(graph).to(self._device)
        self._teacher = None if teacher is None else GraphModule(teacher).to(self._device)
        self._loss = ExitLoss(graph, peak).to(self._device)
        whole = {node.name for node in graph.without_exits().nodes}
        heads = []
        for name, values in self._module.named_parameters():
            number = int(name.removeprefix("node").partition("_")[0])
            if graph.nodes[number].name in whole:
                values.requires_grad_(False)
            else:
                heads.append(values)
        parameters = [*heads, *self._loss.parameters()]
        self._optimiser = torch.optim.Adam(parameters, lr=_RATE, betas=(0.9, 0.99))

    def step(self) -> None:
        """Take one step."""
        share = self._step / self._training.steps
        for group in self._optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (self._step + 1) / 20) * (1 - 0.9 * share)
        x = self._drawn(self._step)
        values: dict[str, Tensor] = {}
        self._module(x, values.__setitem__)
        outputs = [values[name] for name in self._graph.outputs]
        with torch.no_grad():
            wanted = outputs[-1] if self._teacher is None else self._teacher(x)
        loss = self._loss(outputs, values.__getitem__, wanted)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._step += 1

    def _seed(self, step: int) -> int:
        return _HEAD_SEED + super()._seed(step)

    def run(self, progress: Progress | None = None) -> Graph:
        """Train to the end, or as long as there is time; gives the graph with trained heads."""
        self._take(progress)
        whole = {node.name: node for node in self._graph.without_exits().nodes}
        nodes = [whole.get(node.name, node) for node in self._module.graph().nodes]
        return replace(self._graph, nodes=nodes)
