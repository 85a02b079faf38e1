"""Writing ONNX files with PyTorch's two exporters, for the scripts of tests/data/onnx_families.

A script makes a list of networks with :class:`Exports` and writes them. Weights are seeded by a
network's name, and norms get scales, shifts and statistics that are not those of a new layer.
"""

from __future__ import annotations

import math
import sys
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

#: Integer inputs are labels below this.
CLASSES = 10
#: What a file may have; weights are stored as raw bytes.
_MAX_BYTES = 64_000


@dataclass(frozen=True)
class Export:
    """A network, its inputs and how it is exported."""

    name: str
    family: str
    make: Callable[[], Any]
    #: Shapes of float inputs without the batch; "labels" for one integer an image.
    inputs: tuple[tuple[int, ...] | str, ...]
    names: tuple[str, ...]
    exporter: str
    opset: int
    #: None if the batch is left open, else the number of images.
    batch: int | None
    half: bool
    #: Whether PyTorch's own folding of constants is left out, as in exports for training.
    raw: bool

    @property
    def file(self) -> str:
        return f"{self.name}-{self.exporter}-{self.opset}.onnx"


class Exports:
    """The networks of a script, in the order of its functions."""

    def __init__(self) -> None:
        self.nets: list[Export] = []

    def net(
        self,
        family: str,
        *inputs: tuple[int, ...] | str,
        names: Sequence[str] | None = None,
        opset: int = 17,
        dynamo: bool = False,
        batch: int | None = None,
        half: bool = False,
        raw: bool = False,
    ) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
        """A decorator of the function, or the module's class, that makes a network."""

        def add(make: Callable[[], Any]) -> Callable[[], Any]:
            name = make.__name__.strip("_").lower()
            given = tuple(names or ("input", "labels", "other")[: len(inputs)])
            self.nets.append(
                Export(name, family, make, inputs, given, "dynamo" if dynamo else "torchscript",
                       opset, batch, half, raw)
            )  # fmt: skip
            return make

        return add

    def write(self, folder: Path) -> None:
        """Write all files, or those whose names begin with one of the command's arguments."""
        assert len({net.name for net in self.nets}) == len(self.nets)
        for net in self.nets:
            if len(sys.argv) > 1 and not net.name.startswith(tuple(sys.argv[1:])):
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    _write(net, folder / net.file)
            except Exception as error:  # the others are to be written all the same
                sys.stderr.write(f"{net.file}: {type(error).__name__}: {error}\n")


def finish(path: Path, family: str) -> None:
    """Say what family a file is of, and take out what the exporter tells of the machine."""
    model = onnx.load(path)
    for nodes in (model.graph.node, *(f.node for f in model.functions)):
        for node in nodes:
            del node.metadata_props[:]
            node.doc_string = ""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    model.metadata_props.add(key="family", value=family)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    size = path.stat().st_size
    print(f"{path.name}: {size:,} bytes{' TOO LARGE' if size > _MAX_BYTES else ''}")


def _write(net: Export, path: Path) -> None:
    import torch
    from torch import nn

    torch.manual_seed(zlib.crc32(net.name.encode()))
    module = net.make().eval()
    for layer in module.modules():
        tensors = dict(layer.named_parameters(recurse=False)) | dict(
            layer.named_buffers(recurse=False)
        )
        if "norm" in type(layer).__name__.lower() and not isinstance(layer, nn.Sequential):
            for key in ("weight", "running_var", "gamma"):
                if tensors.get(key) is not None and tensors[key].ndim == 1:
                    tensors[key].data.uniform_(0.5, 1.5)
            for key in ("bias", "running_mean", "beta"):
                if tensors.get(key) is not None and tensors[key].ndim == 1:
                    tensors[key].data.normal_(0, 0.3)
    kind = torch.float16 if net.half else torch.float32
    if net.half:
        module = module.half()
    count = net.batch or 2
    values = tuple(
        torch.arange(count) % CLASSES if shape == "labels" else torch.randn(count, *shape).to(kind)
        for shape in net.inputs
    )
    weights = sum(math.prod(p.shape) for p in module.parameters())
    assert weights, net.name
    if net.exporter == "dynamo":
        batch = torch.export.Dim("batch")
        dynamic = None if net.batch else tuple({0: batch} for _ in values)
        torch.onnx.export(module, values, path, dynamo=True, opset_version=net.opset,
                          input_names=list(net.names), external_data=False, verbose=False,
                          dynamic_shapes=dynamic)  # fmt: skip
    else:
        axes = None if net.batch else {name: {0: "batch"} for name in (*net.names, "output")}
        torch.onnx.export(module, values, path, dynamo=False, opset_version=net.opset,
                          input_names=list(net.names), output_names=["output"],
                          do_constant_folding=not net.raw, dynamic_axes=axes)  # fmt: skip
    finish(path, net.family)
