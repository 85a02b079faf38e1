# ruff: noqa: D102 - forward is what torch calls
"""The networks of real_networks.py in PyTorch, as published, with seeded weights.

    python benchmarks/real_network_models.py FOLDER [NAME..]  # writes FOLDER/NAME.onnx

Each follows the repository that it names, layer by layer and with its own hyper-parameters; no
trained weights are needed. They are drawn so that activations keep their size, and norms get
scales, shifts and statistics that are not those of a new layer. They are exported by PyTorch's
TorchScript exporter (``dynamo=False``) at opset 17, but StyleGAN2, whose shapes that one loses. It
needs ``pip install -e '.[train,onnx]'``.
"""

from __future__ import annotations

import argparse
import math
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 10


# CycleGAN and pix2pix (1703.10593, 1611.07004): junyanz/pytorch-CycleGAN-and-pix2pix, networks.py


class ResnetBlock(nn.Module):
    """Two convolutions on mirrored edges, and the input added."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(dim, dim, 3), nn.InstanceNorm2d(dim), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(dim, dim, 3), nn.InstanceNorm2d(dim),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


def cyclegan(ngf: int = 64, blocks: int = 9) -> nn.Module:
    """``resnet_9blocks``: ngf 64, instance norm without weights, no dropout."""
    layers: list[nn.Module] = [
        nn.ReflectionPad2d(3), nn.Conv2d(3, ngf, 7), nn.InstanceNorm2d(ngf), nn.ReLU()
    ]  # fmt: skip
    for n in (ngf, ngf * 2):
        layers += [nn.Conv2d(n, n * 2, 3, 2, 1), nn.InstanceNorm2d(n * 2), nn.ReLU()]
    layers += [ResnetBlock(ngf * 4) for _ in range(blocks)]
    for n in (ngf * 4, ngf * 2):
        layers += [
            nn.ConvTranspose2d(n, n // 2, 3, 2, 1, 1), nn.InstanceNorm2d(n // 2), nn.ReLU()
        ]  # fmt: skip
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh())


class UnetBlock(nn.Module):
    """A level of the U-Net: down, what is inside, up, and the input beside that."""

    def __init__(self, outer: int, inner: int, inside: nn.Module | None, last: bool) -> None:
        super().__init__()
        channels = 3 if last else outer
        down = nn.Conv2d(channels, inner, 4, 2, 1, bias=False)
        # What is inside gives its own input beside its output.
        up = nn.ConvTranspose2d(inner * 2 if inside else inner, outer, 4, 2, 1, bias=last)
        self.last = last
        if last:
            assert inside
            layers: list[nn.Module] = [down, inside, nn.ReLU(), up, nn.Tanh()]
        elif inside is None:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, nn.BatchNorm2d(outer)]
        else:
            layers = [nn.LeakyReLU(0.2), down, nn.BatchNorm2d(inner), inside, nn.ReLU(), up,
                      nn.BatchNorm2d(outer)]  # fmt: skip
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.last else torch.cat([x, self.model(x)], 1)


def pix2pix(ngf: int = 64, levels: int = 8) -> nn.Module:
    """``unet_256``: ngf 64, 8 levels, batch norm (dropout does nothing in evaluation mode)."""
    inside = UnetBlock(ngf * 8, ngf * 8, None, False)
    for _ in range(levels - 5):
        inside = UnetBlock(ngf * 8, ngf * 8, inside, False)
    for n in (ngf * 4, ngf * 2, ngf):
        inside = UnetBlock(n, n * 2, inside, False)
    return UnetBlock(3, ngf, inside, True)


# Fast style transfer (1603.08155): pytorch/examples, fast_neural_style/transformer_net.py


def _mirrored(cin: int, cout: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(cin, cout, kernel, stride)]


class StyleResidual(nn.Module):
    """Two convolutions with affine instance norms, and the input added."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            *_mirrored(n, n, 3), nn.InstanceNorm2d(n, affine=True), nn.ReLU(),
            *_mirrored(n, n, 3), nn.InstanceNorm2d(n, affine=True),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) + x


def fast_style(width: int = 32, blocks: int = 5) -> nn.Module:
    """``TransformerNet``: 32, 64 and 128 channels, 5 residual blocks, nearest upsampling."""

    def block(layers: list[nn.Module], n: int) -> list[nn.Module]:
        return [*layers, nn.InstanceNorm2d(n, affine=True), nn.ReLU()]

    def up(n: int) -> list[nn.Module]:
        return [nn.Upsample(scale_factor=2, mode="nearest"), *_mirrored(n * 2, n, 3)]

    return nn.Sequential(
        *block(_mirrored(3, width, 9), width),
        *block(_mirrored(width, width * 2, 3, 2), width * 2),
        *block(_mirrored(width * 2, width * 4, 3, 2), width * 4),
        *(StyleResidual(width * 4) for _ in range(blocks)),
        *block(up(width * 2), width * 2),
        *block(up(width), width),
        *_mirrored(width, 3, 9),
    )


# StyleGAN2 (1912.04958): NVlabs/stylegan2-ada-pytorch, training/networks.py


class FullyConnected(nn.Module):
    """A linear layer whose weights are scaled as it runs, and a leaky ReLU with its gain."""

    def __init__(self, cin: int, cout: int, bias: float = 0, lr: float = 1, act: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cout, cin) / lr)
        self.bias = nn.Parameter(torch.full((cout,), bias / lr))
        self.gain, self.lr, self.act = lr / math.sqrt(cin), lr, act

    def forward(self, x: Tensor) -> Tensor:
        out = torch.addmm(self.bias.mul(self.lr)[None], x, self.weight.mul(self.gain).t())
        return F.leaky_relu(out, 0.2) * math.sqrt(2) if self.act else out


def upfirdn(x: Tensor, f: Tensor, up: int, pad: tuple[int, int], gain: float = 1) -> Tensor:
    """``_upfirdn2d_ref``: zeros between pixels and around them, then the filter."""
    _, c, h, w = x.shape
    if up > 1:
        x = F.pad(x.reshape(-1, c, h, 1, w, 1), [0, up - 1, 0, 0, 0, up - 1])
        x = x.reshape(-1, c, h * up, w * up)
    x = F.pad(x, [*pad, *pad])
    weight = (f * gain).flip([0, 1])[None, None].repeat(c, 1, 1, 1)
    return F.conv2d(x, weight, groups=c)


def modulated_conv(
    x: Tensor, weight: Tensor, styles: Tensor, f: Tensor, up: int, pad: int, demodulate: bool
) -> Tensor:
    """``modulated_conv2d`` with ``fused_modconv``, as in evaluation: weights for each sample."""
    batch = x.shape[0]
    cout, cin, kernel, _ = weight.shape
    w = weight[None] * styles.reshape(batch, 1, -1, 1, 1)
    if demodulate:
        w = w * (w.square().sum(dim=[2, 3, 4]) + 1e-8).rsqrt().reshape(batch, -1, 1, 1, 1)
    x = x.reshape(1, -1, *x.shape[2:])
    if up == 1:
        w = w.reshape(-1, cin, kernel, kernel)
        x = F.conv2d(x, w, padding=pad, groups=batch)
    else:
        w = w.transpose(1, 2).reshape(batch * cin, cout, kernel, kernel)
        x = F.conv_transpose2d(x, w, stride=2, groups=batch)
        x = upfirdn(x, f, 1, (1, 1), gain=up**2)
    return x.reshape(batch, -1, *x.shape[2:])


class SynthesisLayer(nn.Module):
    """A modulated convolution, constant noise, a bias and a leaky ReLU; clamped as trained."""

    def __init__(self, cin: int, cout: int, w_dim: int, size: int, up: int = 1) -> None:
        super().__init__()
        self.affine = FullyConnected(w_dim, cin, bias=1)
        self.weight = nn.Parameter(torch.randn(cout, cin, 3, 3))
        self.bias = nn.Parameter(torch.randn(cout) * 0.1)
        self.noise_strength = nn.Parameter(torch.tensor(0.2))
        self.register_buffer("noise_const", torch.randn(size, size))
        self.register_buffer("filter", low_pass())
        self.up = up

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        out = modulated_conv(x, self.weight, self.affine(w), self.filter, self.up, 1, True)
        out = out + self.noise_const * self.noise_strength
        out = F.leaky_relu(out + self.bias.reshape(1, -1, 1, 1), 0.2) * math.sqrt(2)
        return out.clamp(-256, 256)


class ToRgb(nn.Module):
    """A modulated 1 x 1 convolution to a picture."""

    def __init__(self, cin: int, w_dim: int) -> None:
        super().__init__()
        self.affine = FullyConnected(w_dim, cin, bias=1)
        self.weight = nn.Parameter(torch.randn(3, cin, 1, 1))
        self.bias = nn.Parameter(torch.randn(3) * 0.1)
        self.register_buffer("filter", low_pass())
        self.gain = 1 / math.sqrt(cin)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.gain
        out = modulated_conv(x, self.weight, styles, self.filter, 1, 0, False)
        return (out + self.bias.reshape(1, -1, 1, 1)).clamp(-256, 256)


def low_pass() -> Tensor:
    """The filter [1, 3, 3, 1] in two dimensions, of sum 1."""
    f = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return f[:, None] * f[None] / f.sum() ** 2


class StyleGan2(nn.Module):
    """``Generator``, architecture ``skip``: z and w of 512, 8 mapping layers, 512 channels."""

    def __init__(self, size: int = 64, dim: int = 512, mapping: int = 8) -> None:
        super().__init__()
        self.mapping = nn.Sequential(
            *(FullyConnected(dim, dim, lr=0.01, act=True) for _ in range(mapping))
        )
        self.const = nn.Parameter(torch.randn(dim, 4, 4))
        self.register_buffer("filter", low_pass())
        self.first = SynthesisLayer(dim, dim, dim, 4)
        sizes = [8 << i for i in range(int(math.log2(size)) - 2)]
        self.ups = nn.ModuleList(SynthesisLayer(dim, dim, dim, n, up=2) for n in sizes)
        self.convs = nn.ModuleList(SynthesisLayer(dim, dim, dim, n) for n in sizes)
        self.to_rgb = nn.ModuleList(ToRgb(dim, dim) for _ in (4, *sizes))

    def forward(self, z: Tensor) -> Tensor:
        w = self.mapping(z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt())
        x = self.first(self.const[None].repeat(w.shape[0], 1, 1, 1), w)
        image = self.to_rgb[0](x, w)
        for up, conv, rgb in zip(self.ups, self.convs, list(self.to_rgb)[1:]):
            x = conv(up(x, w), w)
            image = upfirdn(image, self.filter, 2, (2, 1), gain=4) + rgb(x, w)
        return image


# Conditional DCGAN (1411.1784, 1511.06434): znxlwm/pytorch-MNIST-CelebA-cGAN-cDCGAN


class ConditionalDcgan(nn.Module):
    """``generator(d=128)`` of MNIST_cDCGAN: latents and a label each through a layer of its own."""

    def __init__(self, d: int = 128) -> None:
        super().__init__()
        self.z = nn.Sequential(
            nn.ConvTranspose2d(100, d * 2, 4, 1, 0), nn.BatchNorm2d(d * 2), nn.ReLU()
        )
        self.label = nn.Sequential(
            nn.ConvTranspose2d(CLASSES, d * 2, 4, 1, 0), nn.BatchNorm2d(d * 2), nn.ReLU()
        )
        self.rest = nn.Sequential(
            nn.ConvTranspose2d(d * 4, d * 2, 4, 2, 1), nn.BatchNorm2d(d * 2), nn.ReLU(),
            nn.ConvTranspose2d(d * 2, d, 4, 2, 1), nn.BatchNorm2d(d), nn.ReLU(),
            nn.ConvTranspose2d(d, 1, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        given = F.one_hot(label, CLASSES).to(z.dtype)
        parts = [self.z(z[:, :, None, None]), self.label(given[:, :, None, None])]
        return self.rest(torch.cat(parts, 1))


# ESPCN (1609.05158)


def espcn(scale: int = 3) -> nn.Module:
    """The paper's network on luminance: 5 x 5 to 64, 3 x 3 to 32, 3 x 3 to 9, shuffled; tanh."""
    return nn.Sequential(
        nn.Conv2d(1, 64, 5, padding=2), nn.Tanh(), nn.Conv2d(64, 32, 3, padding=1), nn.Tanh(),
        nn.Conv2d(32, scale**2, 3, padding=1), nn.PixelShuffle(scale),
    )  # fmt: skip


# EDSR (1707.02921): sanghyun-son/EDSR-PyTorch, model/edsr.py


class MeanShift(nn.Conv2d):
    """Takes DIV2K's mean colour away, or adds it; pixels are 0 to 255."""

    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, 1)
        self.weight.data = torch.eye(3)[:, :, None, None]
        self.bias.data = sign * 255 * torch.tensor([0.4488, 0.4371, 0.4040])


class EdsrBlock(nn.Module):
    """Two convolutions, and the input added."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n, n, 3, padding=1), nn.ReLU(), nn.Conv2d(n, n, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Edsr(nn.Module):
    """``EDSR_baseline_x2``: 16 blocks of 64 channels, no scale on the residuals."""

    def __init__(self, blocks: int = 16, n: int = 64) -> None:
        super().__init__()
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.head = nn.Conv2d(3, n, 3, padding=1)
        self.body = nn.Sequential(
            *(EdsrBlock(n) for _ in range(blocks)), nn.Conv2d(n, n, 3, padding=1)
        )
        self.tail = nn.Sequential(
            nn.Conv2d(n, n * 4, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(n, 3, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(x + self.body(x)))


# HiFi-GAN (2010.05646): jik876/hifi-gan, models.py and config_v3.json


class ResBlock2(nn.Module):
    """Two dilated convolutions, each with its input added."""

    def __init__(self, n: int, kernel: int, dilations: tuple[int, int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(n, n, kernel, dilation=d, padding=d * (kernel - 1) // 2) for d in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(F.leaky_relu(x, 0.1)) + x
        return x


class HifiGan(nn.Module):
    """V3: rates 8, 8, 4, kernels 16, 16, 8, 256 channels, ``resblock`` 2 of 3, 5, 7."""

    def __init__(self, channels: int = 256) -> None:
        super().__init__()
        self.pre = nn.Conv1d(80, channels, 7, padding=3)
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        n = channels
        for rate, kernel in ((8, 16), (8, 16), (4, 8)):
            self.ups.append(nn.ConvTranspose1d(n, n // 2, kernel, rate, (kernel - rate) // 2))
            n //= 2
            for kernel, dilations in ((3, (1, 2)), (5, (2, 6)), (7, (3, 12))):
                self.blocks.append(ResBlock2(n, kernel, dilations))
        self.post = nn.Conv1d(n, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pre(x)
        for i, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, 0.1))
            outs = [block(x) for block in list(self.blocks)[i * 3 : i * 3 + 3]]
            x = (outs[0] + outs[1] + outs[2]) / 3
        return torch.tanh(self.post(F.leaky_relu(x)))


# Weights and files


@dataclass(frozen=True)
class Model:
    """How a network is made, at full size or small, and what it takes.

    ``inputs`` are shapes of (full, small) float inputs without the batch, None for a label;
    ``gain`` is the variance of a layer's output for inputs of variance 1. What is ``fixed`` is
    exported for a batch of 1, by the newer exporter (``dynamo=True``, opset 18).
    """

    make: Callable[[], nn.Module]
    small: Callable[[], nn.Module]
    inputs: tuple[tuple[tuple[int, ...], tuple[int, ...]] | None, ...]
    names: tuple[str, ...] = ("input",)
    gain: float = 2.0
    fixed: bool = False


def _picture(rows: int, columns: int, small: int, channels: int = 3) -> tuple:
    return (((channels, rows, columns), (channels, small, small)),)


MODELS = {
    "cyclegan": Model(cyclegan, lambda: cyclegan(16, 2), _picture(256, 256, 32)),
    "pix2pix": Model(pix2pix, lambda: pix2pix(8, 6), _picture(256, 256, 64)),
    "fast-style": Model(fast_style, lambda: fast_style(16, 2), _picture(256, 256, 32)),
    "stylegan2": Model(
        StyleGan2, lambda: StyleGan2(16, 32, 2), (((512,), (32,)),), ("z",), fixed=True
    ),
    "cdcgan": Model(ConditionalDcgan, ConditionalDcgan, (((100,), (100,)), None), ("z", "label")),
    "espcn": Model(espcn, espcn, _picture(300, 451, 48, 1), gain=1.0),
    "edsr": Model(Edsr, lambda: Edsr(4, 32), _picture(128, 128, 32), gain=1 / 3),
    "hifigan": Model(HifiGan, lambda: HifiGan(64), (((80, 86), (80, 8)),), ("mel",), gain=1.0),
}  # fmt: skip


def write(name: str, path: Path, small: bool = False) -> None:
    """Export a network of :data:`MODELS`; the same seed gives the same file."""
    torch.manual_seed(zlib.crc32(name.encode()))
    model = MODELS[name]
    module = (model.small if small else model.make)()
    _draw(module, model.gain)
    if name == "fast-style":  # which ends in a convolution: pictures of 0 to 255, as trained
        module[-1].weight.data *= 40
        module[-1].bias.data += 127.5
    labels = torch.arange(8) % CLASSES
    inputs = [labels if shape is None else _input(shape[small]) for shape in model.inputs]
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the mean of all batches
    with torch.no_grad():
        module.train()(*(x[:1] if model.fixed else x for x in inputs))
    module.eval()
    given = tuple(x[:1] for x in inputs)
    names: dict[str, Any] = {"input_names": list(model.names), "output_names": ["output"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if model.fixed:
            torch.onnx.export(
                module, given, path, **names, dynamo=True, opset_version=18,
                external_data=False, verbose=False,
            )  # fmt: skip
        else:
            axes = {key: {0: "batch"} for key in (*model.names, "output")}
            torch.onnx.export(
                module, given, path, **names, dynamo=False, opset_version=17, dynamic_axes=axes
            )


def _draw(module: nn.Module, gain: float) -> None:
    """Weights by the fan-in of each layer; norms that are not new."""
    for layer in module.modules():
        if isinstance(layer, MeanShift):
            continue
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)):
            weight = layer.weight.data
            fan = math.prod(layer.kernel_size) * layer.in_channels
            if isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d)) and layer.padding != (
                0,
                0,
            ):
                fan /= math.prod(layer.stride)
            nn.init.normal_(weight, 0, math.sqrt(gain / fan))
            if layer.bias is not None:
                nn.init.normal_(layer.bias, 0, 0.05)
        elif isinstance(layer, (nn.BatchNorm2d, nn.InstanceNorm2d)) and layer.affine:
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.3)


def _input(shape: tuple[int, ...]) -> Tensor:
    """Eight inputs: latents, or smooth pictures and spectra."""
    if len(shape) == 1:
        return torch.randn(8, *shape)
    coarse = torch.rand(8, shape[0], *(8 for _ in shape[1:]))
    return F.interpolate(coarse, size=shape[1:], mode="nearest")


def main() -> None:
    """Write files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(MODELS)} (default: all)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.name or MODELS:
        for small in (False, True):
            write(name, options.folder / f"{name}{'-small' * small}.onnx", small)


if __name__ == "__main__":
    main()
