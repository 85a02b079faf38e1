"""What the accelerator is doing, read from its registers: for messages, and for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from winogen.target import registers
from winogen.target.registers import Activity, Engine, Port

#: Engines that execute instructions.
_EXECUTING = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)


@dataclass(frozen=True)
class EngineState:
    """An engine, what it does, and its oldest instruction that has not ended (None: it has none).

    ``activity`` is ``idle``, ``busy``, ``waits for a token`` or ``error``.
    """

    engine: Engine
    activity: str
    instruction: int | None


@dataclass(frozen=True)
class DeviceState:
    """A look at the accelerator while a stream runs.

    Attributes
    ----------
    engines : what each engine does
    done, fetched, length : instructions that have ended, were fetched, and are in the stream
    owed : AXI bursts that memory has yet to answer, by port
    offered : ports whose address memory has not accepted
    """

    engines: tuple[EngineState, ...]
    done: int
    fetched: int
    length: int
    owed: dict[str, int]
    offered: tuple[str, ...]

    def __str__(self) -> str:
        engines = ", ".join(f"{e.engine.name.lower()} {e.activity}" for e in self.engines)
        return f"{engines}; {self.progress}"

    @property
    def progress(self) -> str:
        """How far the stream is, in words."""
        return f"{self.done} of {self.length} instructions done"

    def lines(self, describe: Callable[[int], str]) -> Iterator[str]:
        """A line for each engine and one for memory; ``describe`` names an instruction."""
        for state in self.engines:
            name = state.engine.name.lower()
            line = f"{name} {state.activity}"
            if state.instruction is not None:
                # An engine that has one and is idle was at it when another one failed.
                at = "was at" if state.activity == Activity.IDLE.text else f"{state.activity}:"
                line = f"{name} {at} {describe(state.instruction)}"
            elif state.engine is Engine.FETCH:
                line += f": {self.fetched} of {self.length} instructions fetched"
            yield line
        yield f"memory {self.memory}"

    @property
    def memory(self) -> str:
        """What memory has yet to do, in words."""
        owes = ", ".join(f"{n} burst{'s' * (n > 1)} of {port}" for port, n in self.owed.items())
        text = f"has yet to answer {owes}" if owes else "owes no answer"
        if self.offered:
            text += f", and has not accepted an address of {', '.join(self.offered)}"
        return text


def read_state(get: Callable[[str], int]) -> DeviceState:
    """The state that the registers show; ``get`` reads one by name."""
    status = registers.unpack("STATUS", get("STATUS"))
    bus = registers.unpack("BUS", get("BUS"))
    engines = []
    for engine in Engine:
        oldest = None
        if engine in _EXECUTING:
            name = f"{engine.name}_INSTRUCTION"
            fields = registers.unpack(name, get(name))
            oldest = fields["index"] if fields["valid"] else None
        activity = Activity(status[engine.name.lower()]).text
        engines.append(EngineState(engine, activity, oldest))
    fetched = registers.unpack("FETCH_INSTRUCTION", get("FETCH_INSTRUCTION"))["fetched"]
    ports = [port.name.lower() for port in Port]
    return DeviceState(
        tuple(engines),
        get("INSTRUCTIONS"),
        fetched,
        get("STREAM_LENGTH"),
        {port: bus[port] for port in ports if bus[port]},
        tuple(port for port in ports if bus[f"{port}_address"]),
    )
