"""Write the files of PyTorch's two exporters, and state dicts; see README.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent


def dcgan() -> nn.Module:
    """The PyTorch example's layers."""
    layers: list[nn.Module] = []
    for cin, cout, stride, pad in ((8, 12, 1, 0), (12, 6, 2, 1)):
        layers += [nn.ConvTranspose2d(cin, cout, 4, stride, pad, bias=False)]
        layers += [nn.BatchNorm2d(cout), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(6, 3, 4, 2, 1, bias=False), nn.Tanh())


class Linear(nn.Module):
    """A linear layer, a norm of its features, and deconvolutions with output padding."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(6, 4 * 4 * 5)
        self.norm = nn.BatchNorm1d(80)
        self.up = nn.ConvTranspose2d(5, 3, 5, 2, 2, output_padding=1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.project(z)))
        return torch.sigmoid(self.up(x.view(x.shape[0], 5, 4, 4)))


class Shuffle(nn.Module):
    """ESPCN's layers: convolutions and a pixel shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.PReLU(6))
        self.last = nn.Conv2d(6, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(nn.functional.pixel_shuffle(self.last(self.body(x)), 2), 0, 1)


class Skip(nn.Module):
    """Down and up with a skip connection, upsampling, padding, and an output moved to 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 6, 4, 2, 1)
        self.inner = nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Conv2d(12, 3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = nn.functional.leaky_relu(self.down(x), 0.2)
        both = torch.cat([nn.functional.relu6(self.inner(a)), a], 1)
        y = nn.functional.pad(nn.functional.interpolate(both, scale_factor=2), (1, 1, 1, 1))
        return (torch.tanh(self.last(y)) + 1) / 2


NETS = {
    "dcgan": (dcgan, (8, 1, 1)),
    "linear": (Linear, (6,)),
    "shuffle": (Shuffle, (1, 7, 6)),
    "skip": (Skip, (3, 8, 8)),
}


def _drop_traces(path: Path) -> None:
    """Take the stack traces out, which hold paths of the machine."""
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
    onnx.save(model, path)


def main() -> None:
    torch.manual_seed(0)
    for name, (make, shape) in NETS.items():
        net = make().eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for tensor in (module.weight.data, module.running_var):
                    tensor.uniform_(0.5, 1.5)
                for tensor in (module.bias.data, module.running_mean):
                    tensor.normal_(0, 0.3)
        x = torch.randn(2, *shape)
        np.savez_compressed(HERE / f"{name}.npz", x=x.numpy(), y=net(x).detach().numpy())
        for opset in (11, 18):
            torch.onnx.export(net, (x,), HERE / f"{name}-torchscript-{opset}.onnx", dynamo=False,
                              opset_version=opset, input_names=["z"],
                              dynamic_axes={"z": {0: "n"}})  # fmt: skip
        torch.onnx.export(net, (x,), HERE / f"{name}-dynamo-25.onnx", dynamo=True,
                          opset_version=25, external_data=False,
                          dynamic_shapes=({0: torch.export.Dim("n")},))  # fmt: skip
        _drop_traces(HERE / f"{name}-dynamo-25.onnx")
    net = dcgan()
    torch.save(net.state_dict(), HERE / "dcgan.pth")
    torch.save({"epoch": 3, "netG": net.half().state_dict()}, HERE / "dcgan-wrapped.pt")
    save_file(net.float().state_dict(), HERE / "dcgan.safetensors")


if __name__ == "__main__":
    main()
