"""The arrays of a checkpoint: which of all that a training script has saved are the network's.

Checkpoints keep optimizers, discriminators, averages and settings beside the generator. What the
file's own names say without a doubt is taken, an average (EMA) before the weights that it is of;
otherwise the choice is the user's.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from winogen.common.errors import InputError, ModelError, one_line
from winogen.common.files import ARRAY_FILE_ERRORS
from winogen.common.text import few, printable
from winogen.network.definition import load_weights
from winogen.network.kinds import NETWORK, NUMPY, SAFETENSORS, foreign_kind, weights_kind
from winogen.network.notes import tell
from winogen.network.torch_file import Foreign, Tensor, TorchFile

#: How deep state dicts lie in dicts, and how many of them a message lists.
_MAX_DEPTH = 8
_MAX_LISTED = 12
#: Most modules of a pickled network, and how deep they may lie in each other.
_MAX_MODULES, _MAX_NESTED = 20_000, 60
#: Last parts of the names of a layer's parameters.
_ENTRIES = {"weight", "bias", "running_mean", "running_var", "weight_orig", "weight_g", "weight_v"}

_GENERATOR = {"g", "gen", "generator"}
_DISCRIMINATOR = {"d", "dis", "disc", "discriminator", "critic"}
_AVERAGE = {"ema", "avg", "average", "averaged", "shadow", "swa"}
_OTHER = {
    "optimizer", "optimizers", "optim", "opt", "scheduler", "schedulers", "sched", "lr", "loss",
    "losses", "criterion", "scaler", "amp", "vgg", "lpips", "perceptual", "inception", "fid",
}  # fmt: skip
#: Words that say nothing about which network it is.
_NEUTRAL = {
    "net",
    "network",
    "model",
    "module",
    "state",
    "dict",
    "params",
    "weights",
    "orig",
    "mod",
}

Arrays = dict[str, Any]


@dataclass(frozen=True)
class _State:
    """Some named tensors of a file; ``label`` is what --weights-key calls them."""

    label: str
    arrays: Arrays

    @property
    def words(self) -> set[str]:
        """The words of the label's parts."""
        return {w for part in self.label.split(".") for w in _words(part)}

    @property
    def has_layers(self) -> bool:
        """Whether the names are a network's, not those of noise or counters beside one."""
        return any(name.rpartition(".")[2] in _ENTRIES for name in self.arrays)

    @property
    def signature(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names without wrappers, and shapes."""
        return sorted((k.split("module.")[-1], v.shape) for k, v in self.arrays.items()
                      if len(v.shape) > 0)  # fmt: skip

    def __str__(self) -> str:
        return f"'{self.label[:60]}' ({len(self.arrays)} arrays)"


def _words(name: str) -> list[str]:
    """``netG_ema`` as net, g, ema."""
    return [w.lower() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name[:200])]


def read_parameters(
    path: str | Path, *, weights_key: str | None = None, notes: list[str] | None = None
) -> dict[str, NDArray[Any]]:
    """The arrays of a parameter file by name, in the order of its layers.

    Parameters
    ----------
    weights_key : which of several networks in the file, as a refusal lists them
    notes : gets what was chosen, left out and rounded; default: those are warnings

    Raises
    ------
    ModelError : the file is damaged, or holds no arrays, or several networks
    InputError : it is of another kind (says which, and what to do), or has no such key
    """
    path = Path(path)
    told: list[str] = []
    arrays = _read(path, weights_key, told)
    if not arrays:
        raise ModelError(f"weights file {path} holds no arrays")
    if any(array.dtype == "float64" for array in arrays.values()):
        told.append(f"weights of {path.name} are float64; they are read as float32")
    if notes is None:
        tell(told, stacklevel=2)
    else:
        notes += told
    return {printable(name): array for name, array in arrays.items()}


def _read(path: Path, key: str | None, notes: list[str]) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"weights file {path} {what}")
    kind = weights_kind(path)
    if kind == NETWORK:
        raise InputError(
            f"cannot read weights from {path}: it is a network with its layers; give it in the "
            "place of the model"
        )
    if kind is None and path.suffix.lower() not in (".npz", ".pt", ".pth", ".safetensors"):
        known = foreign_kind(path) or "of no kind that holds weights"
        raise InputError(
            f"cannot read weights from {path}: the file is {known}"
            + ("" if ";" in known else "; give .npz, .safetensors or what torch.save writes")
        )
    if kind is None and (known := foreign_kind(path)):
        raise ModelError(f"cannot read weights file {path}: it is {known}")
    try:
        if kind == NUMPY or (kind is None and path.suffix.lower() == ".npz"):
            return dict(_chosen(path, [_State("", load_weights(path))], key, notes).arrays)
        if kind == SAFETENSORS or (kind is None and path.suffix.lower() == ".safetensors"):
            state = _chosen(path, [_State("", _read_safetensors(path))], key, notes)
            return dict(state.arrays)
        file = TorchFile(path)
        states = list(_states(file.root, notes))
        if not states:
            raise ValueError(_nothing(file.root))
        chosen = _chosen(path, states, key, notes)
        return {name: file.read(tensor) for name, tensor in chosen.arrays.items()}
    except ModelError:
        raise
    except (*ARRAY_FILE_ERRORS, pickle.UnpicklingError, AttributeError, IndexError,
            RecursionError, AssertionError) as error:  # fmt: skip
        told = isinstance(error, (ValueError, OSError, pickle.UnpicklingError))
        reason = one_line(error) if told else "it is damaged"  # else Python's words
        raise ModelError(f"cannot read weights file {path}: {reason}") from None


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise InputError(
            "reading .safetensors needs the package safetensors: pip install 'winogen[onnx]'"
        ) from None
    try:
        with safe_open(path, framework="np") as file:
            # The format does not keep the order of layers: main.2 comes before main.10.
            return {name: file.get_tensor(name) for name in sorted(file.keys(), key=natural)}
    except (SafetensorError, AttributeError) as error:
        raise ValueError(f"{one_line(error)}; the file is damaged: save it again") from None


def natural(name: str) -> list[tuple[int, int | str]]:
    """A key that sorts the numbers in names as numbers."""
    return [(0, int(p)) if p.isdigit() else (1, p) for p in re.split(r"(\d+)", name[:200]) if p]


# The networks of a file


def _states(root: Any, notes: list[str]) -> Iterator[_State]:
    """Every dict of named tensors that looks like a network's, with the keys that lead to it."""
    found = list(_states_in(root, (), set(), notes))
    yield from [s for s in found if s.has_layers] or found


def _states_in(
    item: Any, keys: tuple[str, ...], seen: set[int], notes: list[str]
) -> Iterator[_State]:
    known = id(item) in seen  # files may hold one object several times, or themselves
    seen.add(id(item))
    if len(keys) > _MAX_DEPTH or (known and not isinstance(item, dict)):
        return
    if isinstance(item, Foreign):
        module = _module_arrays(item, "", [_MAX_MODULES])
        if module:
            notes.append(
                f"the file holds a whole object of the class {item.kind}: its arrays are read, "
                "its code is not run"
            )
            yield _State(".".join(keys), module)
            return
        item = item.entries or item.state
    if isinstance(item, (list, tuple)):
        item = {str(i): entry for i, entry in enumerate(item[:64])}
        if any(isinstance(v, Tensor) for v in item.values()):
            return  # tensors without names
    if not isinstance(item, Mapping):
        return
    named = {k: v for k, v in item.items() if isinstance(k, str)}
    own = {k: v for k, v in named.items() if isinstance(v, Tensor)}
    if any(len(v.shape) > 1 or name.rpartition(".")[2] in _ENTRIES for name, v in own.items()):
        yield _State(".".join(keys), own)
    for key, value in named.items() if not known else ():
        if isinstance(value, (Mapping, Foreign, list, tuple)):
            yield from _states_in(value, (*keys, key[:80]), seen, notes)


def _module_arrays(item: Foreign, prefix: str, left: list[int]) -> Arrays:
    """The parameters and buffers of a pickled ``torch.nn.Module``, as its state dict lists them.

    ``left`` is how many modules may still be looked at.
    """
    state = item.state[0] if isinstance(item.state, tuple) and item.state else item.state
    if not isinstance(state, Mapping) or "_modules" not in state:
        return {}
    left[0] -= 1
    if left[0] < 0 or prefix.count(".") > _MAX_NESTED:
        raise ValueError("its modules are nested without end; save model.state_dict() alone")
    left_out = state.get("_non_persistent_buffers_set")
    found: Arrays = {}
    for group in ("_parameters", "_buffers"):
        members = state.get(group)
        for name, value in members.items() if isinstance(members, Mapping) else ():
            dropped = isinstance(left_out, (set, list)) and name in left_out
            if isinstance(value, Tensor) and not dropped:
                found[f"{prefix}{name}"] = value
    modules = state["_modules"]
    for name, value in modules.items() if isinstance(modules, Mapping) else ():
        if isinstance(value, Foreign):
            found.update(_module_arrays(value, f"{prefix}{name}.", left))
    return found


def _nothing(root: Any) -> str:
    """Why an object without a state dict is none."""
    if isinstance(root, Foreign):
        return (
            f"it holds an object of the class {root.kind}, not tensors by name; save "
            "model.state_dict() alone"
        )
    if isinstance(root, (list, tuple)) and any(isinstance(v, Tensor) for v in root):
        return "it holds tensors without names; save model.state_dict()"
    if isinstance(root, Mapping) and any(value is root for value in root.values()):
        return "its checkpoint is nested without end; save model.state_dict() alone"
    if isinstance(root, Mapping):
        names = ", ".join(str(k)[:40] for k in list(root)[:8]) or "nothing"
        return f"it holds no tensors but {names}; save model.state_dict() alone"
    return "it holds no state dict; save model.state_dict()"


# Choosing


def _chosen(path: Path, states: list[_State], key: str | None, notes: list[str]) -> _State:
    """The network's own arrays among those of a file."""
    if key is not None:
        return _by_key(path, states, key)
    state = _by_role(states)
    if state is None:
        raise ModelError(
            f"{path.name} holds several networks, and does not say which is the generator: "
            f"{_listed(states)}; choose one with --weights-key"
        )
    if len(states) > 1:
        others = [s for s in states if s is not state and not s.words & _OTHER]
        if others:
            average = " averaged" if state.words & _AVERAGE else ""
            notes.append(
                f"{path.name}: the{average} weights {state} are read; it also holds "
                f"{_listed(others)} (--weights-key chooses)"
            )
    return _by_prefix(path, state, notes)


def _by_key(path: Path, states: list[_State], key: str) -> _State:
    """What the user has asked for: a dict, or the names with a common beginning."""
    for state in states:
        if state.label == key:
            return state
    for state in states:
        for begin in (key, key.removeprefix(f"{state.label}.")):
            inside = {
                name[len(begin) + 1 :]: v for name, v in state.arrays.items()
                if name.startswith(f"{begin}.")
            }  # fmt: skip
            if inside:
                return _State(key, inside)
    parts = [p for s in states for p in _parts(s) if len(_parts(s)) > 1]
    raise InputError(
        f"{path.name} has nothing under the key '{key[:80]}'; it holds {_listed([*states, *parts])}"
    )


def _listed(states: list[_State]) -> str:
    return few([str(s) for s in states if s.label], _MAX_LISTED) or "arrays without a key"


def _by_role(states: list[_State]) -> _State | None:
    """The state that its names say is the generator; None if they leave a doubt."""
    pool = [s for s in states if not s.words & _OTHER]
    pool = [s for s in pool if not s.words & _DISCRIMINATOR] or pool
    generators = [s for s in pool if s.words & _GENERATOR]
    if generators:
        alike = [s.signature for s in generators]
        pool = [s for s in pool
                if s in generators or (s.words & _AVERAGE and s.signature in alike)]  # fmt: skip
    averages = [s for s in pool if s.words & _AVERAGE]
    if averages and len(averages) < len(pool):
        pool = averages
    return pool[0] if len(pool) == 1 else None


def _parts(state: _State) -> list[_State]:
    """A state's arrays by the first part of their names that differs."""
    arrays = state.arrays
    label = f"{state.label}." if state.label else ""
    while True:
        layers = {k: v for k, v in arrays.items() if "." in k}
        heads = {k.partition(".")[0] for k in layers}
        if len(heads) != 1:
            break
        (head,) = heads
        if not set(_words(head)) <= _NEUTRAL:
            break
        label += f"{head}."
        arrays = {k.partition(".")[2]: v for k, v in layers.items()}
    groups: dict[str, Arrays] = {}
    for name, value in layers.items():
        head, _, rest = name.partition(".")
        groups.setdefault(head, {})[rest] = value
    return [_State(label + head, values) for head, values in groups.items()]


def _by_prefix(path: Path, state: _State, notes: list[str]) -> _State:
    """The generator's arrays where one dict has those of several networks, as Lightning saves."""
    parts = _parts(state)
    heads = [part.label.rpartition(".")[2] for part in parts]
    roles = [(part, _role(head, heads)) for part, head in zip(parts, heads)]
    kept = [part for part, role in roles if role not in ("discriminator", "other")]
    averages = [
        part for part in kept if set(_words(part.label.rpartition(".")[2])) & _AVERAGE
        and any(part is not p and part.signature == p.signature for p in kept)
    ]  # fmt: skip
    kept = averages or kept
    if len(kept) == len(parts) or not kept:
        return state
    dropped = [part for part in parts if part not in kept]
    average = " averaged" if averages else ""
    notes.append(
        f"{path.name}: the{average} weights {_listed(kept)} are read; it also holds "
        f"{_listed(dropped)} (--weights-key chooses)"
    )
    if len(kept) == 1:
        return kept[0]
    return _State(state.label, {
        f"{part.label.rpartition('.')[2]}.{k}": v for part in kept for k, v in part.arrays.items()
    })  # fmt: skip


def _role(head: str, heads: list[str]) -> str:
    """``discriminator`` or ``other`` if all of a name's first part says so, else nothing."""
    words = set(_words(head)) - _NEUTRAL - _AVERAGE
    if words and words <= _DISCRIMINATOR:
        # "d" alone is as often a part of a generator ("down"), unless there is a "g" too.
        pair = any(set(_words(h)) - _NEUTRAL - _AVERAGE == {"g"} for h in heads)
        return "discriminator" if words != {"d"} or pair else ""
    return "other" if words & _OTHER else ""
