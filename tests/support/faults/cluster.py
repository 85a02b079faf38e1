"""Several boards as one: workers that end, hang, are wrong or foreign, and schedulers that go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from support.bench import small
from support.cluster import Farm, Fault, farm, free_port
from support.faults.kinds import SAME, Expected, fault, refused, told
from winogen.cluster.cluster import Cluster

#: A worker that can be caught at work.
_BUSY = Fault("slow", seconds=0.02)
_IMAGES = 200


class OnCluster:
    """Images by three emulated workers, each in a process of its own.

    Attributes
    ----------
    faults : of the workers, by their numbers
    options : of the cluster
    meanwhile : done while the images are made
    """

    count = 3

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.faults: dict[int, Fault] = {}
        self.options: dict[str, Any] = {"patience": 5.0}
        self.meanwhile: Callable[[Farm], object] | None = None
        self.farm: Farm | None = None
        self.struck, self.left = 0, list[str]()

    @property
    def cluster(self) -> Cluster:
        if self.farm is None:
            program = small(batch=4).program
            self.farm = self.stack.enter_context(farm(self.count, faults=self.faults))
            self._cluster = self.stack.enter_context(
                Cluster(self.farm.address, program, **self.options)
            )
            self._cluster.wait_for(self.count, 60)
        return self._cluster

    def run(self) -> bytes:
        cluster = self.cluster
        assert self.farm
        thread = None
        if self.meanwhile:
            thread = threading.Timer(0.1, self.meanwhile, [self.farm])
            thread.start()
        try:
            return cluster.generate(cluster.latents(_IMAGES, seed=3)).tobytes()
        finally:
            if thread is not None:
                thread.join()
                self.meanwhile = None


@contextmanager
def on_cluster(folder: Path, device: str) -> Iterator[OnCluster]:
    """Two hundred images by three workers of one scheduler."""
    with ExitStack() as stack:
        yield OnCluster(stack)


def _worker(name: str, what: str, wrong: Fault, *words: str, long: bool = True) -> None:
    """One worker has a fault, and the others make its images again."""

    def inject(stage: OnCluster) -> None:
        stage.faults = {1: wrong}
        stage.options["timeout"] = 1.5 if wrong.kind == "hang" else 60.0

    fault(name, on_cluster, told("worker w-1 ", *words), what=what, long=long)(inject)


_worker(
    "a worker's device has a soft error",
    "A bit of the weights flips in one board's memory.",
    Fault("device", after=1, times=1),
    "have changed in the device's memory",
    long=False,
)
_worker(
    "an answer is damaged on its way",
    "A bit of the images flips after they were sealed.",
    Fault("transfer", after=1, times=2),
    "are not what its device had made",
)
_worker(
    "a question is damaged on its way",
    "A bit of the latents flips before the device.",
    Fault("inputs", after=1, times=2),
    "are not what the client had sealed",
)
_worker(
    "a worker has a bug",
    "It raises what nobody expects.",
    Fault("error", after=1, times=2),
    "failed (RuntimeError: something that nobody expects",
)
_worker(
    "a worker gives rubbish",
    "What it gives is no answer.",
    Fault("rubbish", after=1, times=2),
    "is no answer",
)
_worker(
    "a worker hangs",
    "It answers nothing any more.",
    Fault("hang", after=1),
    "gave no answer within 1.5 s",
)


def _ends(name: str, what: str, end: Callable[[Farm], object], expected: Expected) -> None:
    """Something ends while all are at work."""

    def inject(stage: OnCluster) -> None:
        stage.faults = dict.fromkeys(range(stage.count), _BUSY)

        def meanwhile(made: Farm) -> None:
            end(made)
            stage.struck += 1

        stage.meanwhile = meanwhile

    fault(name, on_cluster, expected, what=what, long=name != "kill -9 of a worker")(inject)


_ends(
    "kill -9 of a worker",
    "One is killed while it has work.",
    lambda f: f.kill(0),
    told("worker w-0 ", " ended"),
)
_ends("SIGTERM of a worker", "One is told to end while it has work.", lambda f: f.stop(0), SAME)


@fault("a slow worker", on_cluster, SAME, long=True)
def _(stage: OnCluster) -> None:
    """One takes twenty times as long: it is given less."""
    stage.faults = {2: Fault("slow", seconds=0.2)}
    stage.struck = 1


@fault("a worker makes wrong images", on_cluster, told("worker w-1 ", "wrong images"), long=True)
def _(stage: OnCluster) -> None:
    """A bit is wrong before anybody can look: samples are made by another worker too."""
    stage.faults = {1: Fault("image")}
    stage.options["verify"] = 0.25


@fault("all workers die", on_cluster, refused("ClusterError", "w-", "ended"), long=True)
def _(stage: OnCluster) -> None:
    """Whoever is given the work is killed by it: it is given to nobody a third time."""
    stage.faults = dict.fromkeys(range(stage.count), Fault("die"))
    stage.options["patience"] = 1.0


@fault(
    "a scheduler goes",
    on_cluster,
    refused("ClusterError", "the scheduler at", "has gone"),
    long=True,
)
def _(stage: OnCluster) -> Any:
    """Its process is killed, and started again at the same address."""
    stage.options["patience"] = 1.0
    cluster = stage.cluster
    assert stage.farm
    stage.farm.scheduler.kill()
    yield
    stage.farm.restart()
    cluster.wait_for(stage.count, 60)


@fault("no scheduler", on_cluster, refused("ClusterError", "no scheduler at", "answers"))
def _(stage: OnCluster) -> None:
    """Nobody listens at the address that is given."""
    address, program = f"tcp://127.0.0.1:{free_port()}", small(batch=4).program

    def run() -> bytes:
        with Cluster(address, program, patience=0.5):
            return b""

    stage.run = run  # type: ignore[method-assign]


@fault("an address that is none", on_cluster, refused("InputError", "is no address of a scheduler"))
def _(stage: OnCluster) -> None:
    """A name without a port."""
    program = small(batch=4).program
    stage.run = lambda: Cluster("lab", program).__class__.__name__.encode()  # type: ignore
