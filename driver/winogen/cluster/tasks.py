"""What Dask calls on a worker; everything else there is the station's."""

from __future__ import annotations

import asyncio
from typing import Any

from distributed import WorkerPlugin, get_worker

from winogen.cluster.pieces import About, Answer, Failure, Piece
from winogen.cluster.station import Station

#: Name of the plugin that has the station.
PLUGIN = "winogen"
#: Of which a worker has one: one piece runs at a time, and on no other workers.
RESOURCE = "winogen-device"
#: Topic of events that workers tell clients.
TOPIC = "winogen"


class StationPlugin(WorkerPlugin):
    """Holds a worker's station, which outlives the worker where that has to connect again."""

    name = PLUGIN

    def __init__(self, station: Station):
        self.station = station


def run_piece(piece: Piece) -> Answer | Failure:
    """Run a piece, in the worker's one thread."""
    return _station(get_worker()).run(piece)


async def about(dask_worker: Any) -> About:
    """What the worker is; KeyError where it is none of winogen's."""
    return _station(dask_worker).about()


async def take(name: str, data: bytes, dask_worker: Any) -> Failure | None:
    """Give it a program; its event loop goes on meanwhile."""
    return await asyncio.to_thread(_station(dask_worker).take, name, data)


async def check(name: str, dask_worker: Any) -> Failure | None:
    """Have it look for soft errors."""
    return await asyncio.to_thread(_station(dask_worker).check, name)


def _station(worker: Any) -> Station:
    plugin: StationPlugin = worker.plugins[PLUGIN]
    return plugin.station
