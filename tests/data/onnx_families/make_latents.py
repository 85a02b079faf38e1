"""Write networks that draw from numbers: MLPs, conditional generators, StyleGANs; see README.md."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from support.exports import CLASSES, Exports

EXPORTS = Exports()
net = EXPORTS.net
MLP = "MLP generators"
CONDITIONAL = "conditional generators"
STYLE = "PixelNorm and StyleGAN"
DCGAN = "DCGAN and its kin"


def dcgan_layers(nz: int, ngf: int, nc: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False), nn.BatchNorm2d(ngf * 2),
        nn.ReLU(True), nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
        nn.BatchNorm2d(ngf), nn.ReLU(True),
        nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip


# MLPs


@net(MLP, (16,), opset=10)
class Mlp_Gan(nn.Module):
    """PyTorch-GAN's first; its BatchNorm1d(n, 0.8) sets eps, not momentum."""

    def __init__(self) -> None:
        super().__init__()

        def block(cin: int, cout: int, normalize: bool = True) -> list[nn.Module]:
            layers: list[nn.Module] = [nn.Linear(cin, cout)]
            layers += [nn.BatchNorm1d(cout, 0.8)] * normalize
            return [*layers, nn.LeakyReLU(0.2, inplace=True)]

        self.model = nn.Sequential(*block(16, 16, normalize=False), *block(16, 24), *block(24, 32),
                                   nn.Linear(32, 100), nn.Tanh())  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        img = self.model(z)
        return img.view(img.size(0), 1, 10, 10)


@net(MLP, (4,), dynamo=True, opset=18)
class Mlp_Vae(nn.Module):
    """The PyTorch example's decoder: its output is a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.fc3, self.fc4 = nn.Linear(4, 32), nn.Linear(32, 64)

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))


@net(MLP, (12,), opset=17)
class Mlp_Residual_Layernorm(nn.Module):
    """Blocks as of an MLP mixer, for vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.inp, self.out = nn.Linear(12, 16), nn.Linear(16, 3 * 6 * 6)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
            for _ in range(2)
        )

    def forward(self, z: Tensor) -> Tensor:
        x = self.inp(z)
        for block in self.blocks:
            x = x + block(x)
        return torch.sigmoid(self.out(x)).unflatten(1, (3, 6, 6))


@net(MLP, (6,), opset=14, batch=1)
class Cppn(nn.Module):
    """A network of coordinates, for a grid that is part of the model."""

    def __init__(self, size: int = 10) -> None:
        super().__init__()
        ys, xs = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size),
                                indexing="ij")  # fmt: skip
        self.register_buffer("grid", torch.stack([xs, ys, torch.sqrt(xs**2 + ys**2)]))
        self.z = nn.Linear(6, 16)
        self.xyr = nn.Conv2d(3, 16, 1, bias=False)
        self.rest = nn.Sequential(nn.Conv2d(16, 16, 1), nn.Tanh(), nn.Conv2d(16, 12, 1), nn.Tanh(),
                                  nn.Conv2d(12, 3, 1), nn.Sigmoid())  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        return self.rest(torch.tanh(self.xyr(self.grid[None]) + self.z(z)[:, :, None, None]))


@net(MLP, (8,), opset=17, batch=1)
class Siren(nn.Module):
    """Sines of coordinates, each point a row of a matrix."""

    def __init__(self) -> None:
        super().__init__()
        line = torch.linspace(-1, 1, 8)
        grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)
        self.register_buffer("coords", grid.reshape(1, 64, 2))
        self.first, self.hidden = nn.Linear(10, 24), nn.Linear(24, 24)
        self.last = nn.Linear(24, 3)

    def forward(self, z: Tensor) -> Tensor:
        code = z.unsqueeze(1).expand(-1, 64, -1)
        x = torch.cat([self.coords.expand(z.size(0), -1, -1), code], dim=-1)
        x = torch.sin(3.0 * self.first(x))
        x = self.last(torch.sin(3.0 * self.hidden(x)))
        return x.permute(0, 2, 1).view(-1, 3, 8, 8)


# DCGANs


@net(DCGAN, (16, 1, 1), opset=7)
def dcgan_opset_7() -> nn.Module:
    return dcgan_layers(16, 6)


@net(DCGAN, (16, 1, 1), opset=17, half=True)
def dcgan_fp16() -> nn.Module:
    return dcgan_layers(16, 6)


@net(DCGAN, (16, 1, 1), opset=15, raw=True)
class Dcgan_Uint8(nn.Module):
    """Pixels of 0 to 255, as deployed models give them; constants are not folded."""

    def __init__(self) -> None:
        super().__init__()
        self.main = dcgan_layers(16, 6)

    def forward(self, z: Tensor) -> Tensor:
        x = (self.main(z) * 0.5 + 0.5).clamp(0, 1) * 255.0
        return x.permute(0, 2, 3, 1)


class Dcgan_Upsample(nn.Module):
    """PyTorch-GAN's: a linear layer, norms, nearest upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.l1 = nn.Sequential(nn.Linear(12, 8 * 4 * 4))
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(8), nn.Upsample(scale_factor=2), nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8, 0.8), nn.LeakyReLU(0.2, inplace=True), nn.Upsample(scale_factor=2),
            nn.Conv2d(8, 6, 3, padding=1), nn.BatchNorm2d(6, 0.8), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(6, 1, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        out = self.l1(z)
        return self.conv_blocks(out.view(out.shape[0], 8, 4, 4))


@net(DCGAN, (12,), opset=9)
def dcgan_upsample() -> nn.Module:
    return Dcgan_Upsample()


@net(DCGAN, (12,), opset=17)
class Dcgan_Fp16_Inside(nn.Module):
    """16-bit floats between casts; input and output have 32 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Dcgan_Upsample().half()

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z.half()).float()


class SnBlock(nn.Module):
    """A residual block of SNGAN's generator."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.b1, self.b2 = nn.BatchNorm2d(cin), nn.BatchNorm2d(cout)
        self.c1 = spectral_norm(nn.Conv2d(cin, cout, 3, padding=1))
        self.c2 = spectral_norm(nn.Conv2d(cout, cout, 3, padding=1))
        self.c_sc = spectral_norm(nn.Conv2d(cin, cout, 1))

    @staticmethod
    def up(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.c1(self.up(F.relu(self.b1(x))))
        return self.c2(F.relu(self.b2(h))) + self.c_sc(self.up(x))


@net(DCGAN, (8,), opset=17, batch=1)
class Sngan_Resnet(nn.Module):
    """Spectral norm computes weights at every run, and export writes that out."""

    def __init__(self) -> None:
        super().__init__()
        self.l1 = spectral_norm(nn.Linear(8, 6 * 16))
        self.block2, self.b5 = SnBlock(6, 6), nn.BatchNorm2d(6)
        self.c5 = spectral_norm(nn.Conv2d(6, 3, 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        h = self.block2(self.l1(z).view(-1, 6, 4, 4))
        return torch.tanh(self.c5(F.relu(self.b5(h))))


# Conditional generators


@net(CONDITIONAL, (12,), "labels", names=("noise", "labels"), opset=11)
class Cgan_Mlp(nn.Module):
    """PyTorch-GAN's: an embedding as wide as there are classes is joined to the noise."""

    def __init__(self) -> None:
        super().__init__()
        self.label_emb = nn.Embedding(CLASSES, CLASSES)
        self.model = nn.Sequential(
            nn.Linear(12 + CLASSES, 24), nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(24, 32), nn.BatchNorm1d(32, 0.8), nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(32, 64), nn.Tanh(),
        )  # fmt: skip

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        gen_input = torch.cat((self.label_emb(labels), noise), -1)
        img = self.model(gen_input)
        return img.view(img.size(0), 1, 8, 8)


@net(CONDITIONAL, (12, 1, 1), (10, 1, 1), names=("input", "label"), opset=9)
class Cdcgan(nn.Module):
    """One-hot labels as an image of one pixel, and two first layers."""

    def __init__(self) -> None:
        super().__init__()
        self.deconv1_1, self.deconv1_1_bn = nn.ConvTranspose2d(12, 6, 4), nn.BatchNorm2d(6)
        self.deconv1_2, self.deconv1_2_bn = nn.ConvTranspose2d(10, 6, 4), nn.BatchNorm2d(6)
        self.deconv2, self.deconv2_bn = nn.ConvTranspose2d(12, 6, 4, 2, 1), nn.BatchNorm2d(6)
        self.deconv3 = nn.ConvTranspose2d(6, 1, 4, 2, 1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        x = F.relu(self.deconv1_1_bn(self.deconv1_1(z)))
        y = F.relu(self.deconv1_2_bn(self.deconv1_2(label)))
        x = F.relu(self.deconv2_bn(self.deconv2(torch.cat([x, y], 1))))
        return torch.tanh(self.deconv3(x))


@net(CONDITIONAL, (12,), "labels", names=("noise", "labels"), dynamo=True, opset=18)
class Acgan(nn.Module):
    """The noise is multiplied by the label's embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.label_emb = nn.Embedding(CLASSES, 12)
        self.l1 = nn.Sequential(nn.Linear(12, 8 * 16))
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(8), nn.Upsample(scale_factor=2), nn.Conv2d(8, 6, 3, padding=1),
            nn.BatchNorm2d(6, 0.8), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(6, 1, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        out = self.l1(torch.mul(self.label_emb(labels), noise))
        return self.conv_blocks(out.view(out.shape[0], 8, 4, 4))


@net(CONDITIONAL, (12, 1, 1), opset=13, raw=True)
class Fixed_Label(nn.Module):
    """The label was chosen at export: an embedding of a constant, repeated and joined."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(CLASSES, 4)
        self.register_buffer("label", torch.tensor([7]))
        self.main = dcgan_layers(16, 6, 1)

    def forward(self, z: Tensor) -> Tensor:
        emb = self.embed(self.label).unsqueeze(2).unsqueeze(3)
        return self.main(torch.cat([z, emb.expand(z.size(0), -1, -1, -1)], 1))


@net(CONDITIONAL, (12,), dynamo=True, opset=20)
class Fixed_Label_Planes(nn.Module):
    """A chosen label as planes of ones and zeros beside the picture's channels."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(12, 8 * 16)
        self.register_buffer("onehot", F.one_hot(torch.tensor([2]), 5).float())
        self.conv = nn.Sequential(
            nn.ConvTranspose2d(13, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 3, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        x = self.project(z).view(-1, 8, 4, 4)
        y = self.onehot.view(1, 5, 1, 1).expand(x.size(0), 5, 4, 4)
        return self.conv(torch.cat([x, y], 1))


@net(CONDITIONAL, (10,), (10,), (2,), names=("noise", "labels", "code"), opset=11)
class Infogan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.l1 = nn.Sequential(nn.Linear(22, 8 * 16))
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(8), nn.Upsample(scale_factor=2), nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8, 0.8), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(8, 1, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, noise: Tensor, labels: Tensor, code: Tensor) -> Tensor:
        out = self.l1(torch.cat((noise, labels, code), -1))
        return self.conv_blocks(out.view(out.shape[0], 8, 4, 4))


class ConditionalNorm(nn.Module):
    """BigGAN's ccbn: scale and shift are linear in the class."""

    def __init__(self, channels: int, cond: int) -> None:
        super().__init__()
        self.gain = nn.Linear(cond, channels, bias=False)
        self.bias = nn.Linear(cond, channels, bias=False)
        self.register_buffer("stored_mean", torch.randn(channels) * 0.3)
        self.register_buffer("stored_var", torch.rand(channels) + 0.5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        gain = (1 + self.gain(y)).view(y.size(0), -1, 1, 1)
        bias = self.bias(y).view(y.size(0), -1, 1, 1)
        out = F.batch_norm(x, self.stored_mean, self.stored_var, None, None, False, 0.1, 1e-5)
        return out * gain + bias


@net(CONDITIONAL, (12,), "labels", names=("z", "class"), dynamo=True, opset=18)
class Biggan(nn.Module):
    """The vector is split among the blocks, and each part joined to the class's embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Embedding(CLASSES, 4)
        self.linear = nn.Linear(4, 6 * 16)
        self.bn1, self.bn2 = ConditionalNorm(6, 8), ConditionalNorm(6, 8)
        self.conv1, self.conv2 = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.conv_sc = nn.Conv2d(6, 6, 1)
        self.output = nn.Sequential(nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 3, 3, padding=1))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        emb = self.shared(y)
        zs = torch.split(z, 4, 1)
        ys = [torch.cat([emb, item], 1) for item in zs[1:]]
        x = self.linear(zs[0]).view(-1, 6, 4, 4)
        h = F.interpolate(F.relu(self.bn1(x, ys[0])), scale_factor=2)
        h = self.conv2(F.relu(self.bn2(self.conv1(h), ys[1])))
        return torch.tanh(self.output(h + self.conv_sc(F.interpolate(x, scale_factor=2))))


@net(CONDITIONAL, (8,), "labels", names=("z", "label"), opset=12)
class Label_Plane(nn.Module):
    """The label's embedding is a picture of one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.label = nn.Sequential(nn.Embedding(CLASSES, 6), nn.Linear(6, 25))
        self.latent = nn.Sequential(nn.Linear(8, 7 * 25), nn.LeakyReLU(0.2))
        self.model = nn.Sequential(
            nn.ConvTranspose2d(8, 6, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(6, 4, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(4, 1, 5, padding=2), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        plane = self.label(label).view(-1, 1, 5, 5)
        return self.model(torch.cat((self.latent(z).view(-1, 7, 5, 5), plane), dim=1))


@net(CONDITIONAL, (8,), "labels", names=("z", "label"), opset=17)
class One_Hot_Inside(nn.Module):
    """The model makes the one-hot vector of an integer itself."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8 + CLASSES, 24), nn.ReLU(), nn.Linear(24, 48),
                                 nn.Sigmoid(), nn.Unflatten(1, (3, 4, 4)))  # fmt: skip

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        onehot = F.one_hot(label, num_classes=CLASSES).to(z.dtype)
        return self.net(torch.cat([z, onehot], dim=1))


@net(CONDITIONAL, (3, 8, 8), "labels", names=("sample", "timestep"), opset=17)
class Ddpm_Unet(nn.Module):
    """A denoising U-Net: sines of the step, group norms, SiLU, concatenated skips."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.exp(-math.log(10000) * torch.arange(4) / 4))
        self.time_mlp = nn.Sequential(nn.Linear(8, 12), nn.SiLU(), nn.Linear(12, 12))
        self.conv_in, self.down = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 1)
        self.norm1, self.norm2 = nn.GroupNorm(4, 8), nn.GroupNorm(4, 8)
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.emb = nn.Linear(12, 8)
        self.out = nn.Sequential(nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 3, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        args = t[:, None].float() * self.freqs[None]
        emb = self.time_mlp(torch.cat([torch.cos(args), torch.sin(args)], dim=-1))
        skip = self.conv_in(x)
        h = self.down(skip)
        r = self.conv1(F.silu(self.norm1(h))) + self.emb(F.silu(emb))[:, :, None, None]
        h = h + self.conv2(F.silu(self.norm2(r)))
        return self.out(torch.cat([F.interpolate(h, scale_factor=2.0), skip], dim=1))


@net(CONDITIONAL, (3, 8, 8), opset=17, batch=1)
class Ddpm_Unet_Fixed_Step(nn.Module):
    """The same for one step of a distilled model: all of the embedding is a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = Ddpm_Unet()

    def forward(self, x: Tensor) -> Tensor:
        return self.unet(x, torch.tensor([4]))


@net(CONDITIONAL, (3, 8, 8), (6,), names=("image", "condition"), dynamo=True, opset=18)
class Film(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)
        self.film = nn.Linear(6, 16)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        gamma, beta = self.film(c).chunk(2, dim=1)
        h = self.conv(x)
        h = h * (1 + gamma.unsqueeze(-1).unsqueeze(-1)) + beta.unsqueeze(-1).unsqueeze(-1)
        return torch.tanh(self.last(F.relu(h)))


# PixelNorm and StyleGAN


class PixelNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / torch.sqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)


class EqualConv(nn.Module):
    """Weights that are scaled at every run."""

    def __init__(self, cin: int, cout: int, kernel: int, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cout, cin, kernel, kernel))
        self.bias = nn.Parameter(torch.randn(cout) * 0.1)
        self.scale = math.sqrt(2 / (cin * kernel**2))
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


@net(STYLE, (12,), opset=11)
class Progressive_Gan(nn.Module):
    """The last block is blended with the picture of the block before, as when it grows."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.ConvTranspose2d(12, 8, 4)
        self.conv1, self.conv2 = EqualConv(8, 8, 3, 1), EqualConv(8, 8, 3, 1)
        self.conv3, self.pixel_norm = EqualConv(8, 8, 3, 1), PixelNorm()
        self.rgb1, self.rgb2 = EqualConv(8, 3, 1), EqualConv(8, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.first(self.pixel_norm(z).unsqueeze(2).unsqueeze(3))
        x = self.pixel_norm(F.leaky_relu(x, 0.2))
        x = self.pixel_norm(F.leaky_relu(self.conv1(x), 0.2))
        up = F.interpolate(x, scale_factor=2, mode="nearest")
        y = self.pixel_norm(F.leaky_relu(self.conv2(up), 0.2))
        y = self.pixel_norm(F.leaky_relu(self.conv3(y), 0.2))
        return (1 - 0.7) * self.rgb1(up) + 0.7 * self.rgb2(y)


class EqualLinear(nn.Module):
    def __init__(self, cin: int, cout: int, bias: float = 0, lr_mul: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cout, cin) / lr_mul)
        self.bias = nn.Parameter(torch.full((cout,), bias / lr_mul))
        self.scale, self.lr_mul = lr_mul / math.sqrt(cin), lr_mul

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.lr_mul)


def mapping(dim: int) -> nn.Sequential:
    layers: list[nn.Module] = [PixelNorm()]
    for _ in range(3):
        layers += [EqualLinear(dim, dim, 0.1, 0.01), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)


@net(STYLE, (16,), opset=13)
def stylegan_mapping() -> nn.Module:
    """Alone: z to w."""
    return nn.Sequential(mapping(16), EqualLinear(16, 16))


@net(STYLE, (8,), opset=11, batch=1)
class Stylegan1(nn.Module):
    """A learned constant, AdaIN, blur, and noise that was drawn at export."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = mapping(8)
        self.const = nn.Parameter(torch.randn(1, 8, 4, 4))
        self.conv1, self.conv2 = EqualConv(8, 8, 3, 1), EqualConv(8, 8, 3, 1)
        self.style1, self.style2 = EqualLinear(8, 16, 1), EqualLinear(8, 16, 1)
        self.noise_w = nn.Parameter(torch.randn(2, 1, 8, 1, 1) * 0.1)
        self.register_buffer("noise1", torch.randn(1, 1, 4, 4))
        self.register_buffer("noise2", torch.randn(1, 1, 8, 8))
        blur = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("blur", (blur[:, None] * blur[None] / 16).expand(8, 1, 3, 3).clone())
        self.norm, self.to_rgb = nn.InstanceNorm2d(8), EqualConv(8, 3, 1)

    def adain(self, x: Tensor, style: Tensor) -> Tensor:
        gamma, beta = style.unsqueeze(2).unsqueeze(3).chunk(2, 1)
        return gamma * self.norm(x) + beta

    def forward(self, z: Tensor) -> Tensor:
        w = self.mapping(z)
        x = self.const.repeat(z.shape[0], 1, 1, 1) + self.noise_w[0] * self.noise1
        x = self.adain(F.leaky_relu(self.conv1(x), 0.2), self.style1(w))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = F.conv2d(x, self.blur, padding=1, groups=8)
        x = F.leaky_relu(self.conv2(x) + self.noise_w[1] * self.noise2, 0.2)
        return self.to_rgb(self.adain(x, self.style2(w)))


class Modulated(nn.Module):
    """StyleGAN2's convolution, as weights for each sample in groups (rosinality's)."""

    def __init__(
        self, cin: int, cout: int, kernel: int, dim: int, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.scale = 1 / math.sqrt(cin * kernel**2)
        self.weight = nn.Parameter(torch.randn(1, cout, cin, kernel, kernel))
        self.modulation = EqualLinear(dim, cin, 1)
        self.demodulate, self.up = demodulate, up

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        batch, cin, height, width = x.shape
        _, cout, _, kernel, _ = self.weight.shape
        style = self.modulation(style).view(batch, 1, cin, 1, 1)
        weight = self.scale * self.weight * style
        if self.demodulate:
            demod = torch.rsqrt(weight.pow(2).sum([2, 3, 4]) + 1e-8)
            weight = weight * demod.view(batch, cout, 1, 1, 1)
        weight = weight.view(batch * cout, cin, kernel, kernel)
        if self.up:
            x = x.view(1, batch * cin, height, width)
            weight = weight.view(batch, cout, cin, kernel, kernel).transpose(1, 2)
            weight = weight.reshape(batch * cin, cout, kernel, kernel)
            out = F.conv_transpose2d(x, weight, padding=0, stride=2, groups=batch)
            return out.view(batch, cout, out.shape[2], out.shape[3])[:, :, :-1, :-1]
        x = x.view(1, batch * cin, height, width)
        out = F.conv2d(x, weight, padding=kernel // 2, groups=batch)
        return out.view(batch, cout, height, width)


class Styled(nn.Module):
    """Convolution, noise, bias and a leaky ReLU with its gain."""

    def __init__(self, conv: nn.Module, channels: int, size: int) -> None:
        super().__init__()
        self.conv = conv
        self.weight = nn.Parameter(torch.tensor([0.2]))
        self.bias = nn.Parameter(torch.randn(1, channels, 1, 1) * 0.1)
        self.register_buffer("noise", torch.randn(1, 1, size, size))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None = None) -> Tensor:
        out = self.conv(x, style) + self.weight * (self.noise if noise is None else noise)
        return F.leaky_relu(out + self.bias, 0.2) * 2**0.5


@net(STYLE, (8,), opset=17, batch=1)
class Stylegan2_Per_Sample(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.style = mapping(8)
        self.input = nn.Parameter(torch.randn(1, 6, 4, 4))
        self.conv1 = Styled(Modulated(6, 6, 3, 8), 6, 4)
        self.conv2 = Styled(Modulated(6, 6, 3, 8, up=True), 6, 8)
        self.to_rgb = Modulated(6, 3, 1, 8, demodulate=False)

    def forward(self, z: Tensor) -> Tensor:
        w = self.style(z)
        out = self.conv1(self.input.repeat(z.shape[0], 1, 1, 1), w)
        return self.to_rgb(self.conv2(out, w), w)


@net(STYLE, (8,), dynamo=True, opset=18, batch=1)
class Stylegan2_Truncation(Stylegan2_Per_Sample):
    """Only the layers before the upsampling, and the mean style mixed in (truncation)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.randn(1, 8) * 0.1)

    def forward(self, z: Tensor) -> Tensor:
        w = torch.lerp(self.mean, self.style(z), 0.7)
        out = self.conv1(self.input.repeat(z.shape[0], 1, 1, 1), w)
        return self.to_rgb(out, w)


class Scaled(nn.Module):
    """The same convolution as scales before and after one of fixed weights."""

    def __init__(self, cin: int, cout: int, kernel: int, dim: int, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cout, cin, kernel, kernel) / math.sqrt(cin * 9))
        self.affine, self.demodulate = nn.Linear(dim, cin), demodulate
        nn.init.ones_(self.affine.bias)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w)
        x = x * styles.reshape(x.shape[0], -1, 1, 1)
        x = F.conv2d(x, self.weight, padding=self.weight.shape[2] // 2)
        if self.demodulate:
            square = self.weight.square().sum(dim=[2, 3])
            dcoefs = (styles.square() @ square.t() + 1e-8).rsqrt()
            x = x * dcoefs.reshape(x.shape[0], -1, 1, 1)
        return x


class Scaled2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.style = mapping(8)
        self.input = nn.Parameter(torch.randn(1, 8, 4, 4))
        self.conv1, self.conv2 = Styled(Scaled(8, 8, 3, 8), 8, 4), Styled(Scaled(8, 8, 3, 8), 8, 8)
        self.rgb1, self.rgb2 = Scaled(8, 3, 1, 8, False), Scaled(8, 3, 1, 8, False)

    def forward(self, z: Tensor, noise: Tensor | None = None) -> Tensor:
        w = self.style(z)
        x = self.conv1(self.input.expand(z.shape[0], -1, -1, -1), w)
        rgb = F.interpolate(self.rgb1(x, w), scale_factor=2, mode="bilinear", align_corners=False)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = self.conv2(x, w, noise)
        return torch.clamp((rgb + self.rgb2(x, w)) * 0.5 + 0.5, 0, 1)


@net(STYLE, (8,), opset=15)
def stylegan2_scaled() -> nn.Module:
    return Scaled2()


@net(STYLE, (8,), (1, 8, 8), names=("z", "noise"), opset=17)
def stylegan2_noise_given() -> nn.Module:
    return Scaled2()


@net(STYLE, (8,), dynamo=True, opset=23)
class Stylegan2_Upfirdn(nn.Module):
    """Skips through a picture that is enlarged by zeros and a filter (upfirdn2d in plain ops)."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, 6, 4, 4))
        self.conv, self.rgb1 = Scaled(6, 6, 3, 8), Scaled(6, 3, 1, 8, False)
        self.rgb2 = Scaled(6, 3, 1, 8, False)
        f = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("filter", f[:, None] * f[None] / 16)

    def upfirdn(self, x: Tensor) -> Tensor:
        _, c, h, w = x.shape
        x = x.reshape(-1, c, h, 1, w, 1)
        x = F.pad(x, [0, 1, 0, 0, 0, 1]).reshape(-1, c, h * 2, w * 2)
        x = F.pad(x, [2, 1, 2, 1])
        return F.conv2d(x, self.filter[None, None].repeat(c, 1, 1, 1), groups=c)

    def forward(self, w: Tensor) -> Tensor:
        x = self.input.repeat(w.shape[0], 1, 1, 1)
        img = self.upfirdn(self.rgb1(x, w))
        x = F.leaky_relu(self.upfirdn(self.conv(x, w)), 0.2)
        return img + self.rgb2(x, w)


class Sle(nn.Module):
    """FastGAN's skip-layer excitation."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Conv2d(cin, cout, 4, bias=False), nn.SiLU(),
            nn.Conv2d(cout, cout, 1, bias=False), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, small: Tensor, big: Tensor) -> Tensor:
        return big * self.main(small)


@net(STYLE, (12,), opset=17)
class Fastgan(nn.Module):
    """Gated linear units after every norm, and the excitation of a late layer by an early one."""

    def __init__(self) -> None:
        super().__init__()
        self.init = nn.Sequential(
            nn.ConvTranspose2d(12, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16), nn.GLU(dim=1)
        )
        self.feat_8, self.feat_16 = self.up(8, 8), self.up(8, 6)
        self.se = Sle(8, 6)
        self.to_big = nn.Conv2d(6, 3, 3, 1, 1, bias=False)

    @staticmethod
    def up(cin: int, cout: int) -> nn.Module:
        return nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(cin, cout * 2, 3, 1, 1, bias=False), nn.BatchNorm2d(cout * 2), nn.GLU(dim=1),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        feat_4 = self.init(z.view(z.shape[0], -1, 1, 1))
        feat_16 = self.se(feat_4, self.feat_16(self.feat_8(feat_4)))
        return torch.tanh(self.to_big(feat_16))


@net(STYLE, (8,), opset=13, batch=1)
class Learned_Constant(nn.Module):
    """A constant picture, shifted by the vector in every block."""

    def __init__(self) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.randn(1, 8, 4, 4))
        self.bias1, self.bias2 = nn.Linear(8, 8), nn.Linear(8, 8)
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = F.leaky_relu(self.const + self.bias1(z)[..., None, None], 0.2)
        x = F.interpolate(self.conv1(x), scale_factor=2)
        return torch.tanh(self.conv2(F.leaky_relu(x + self.bias2(z)[..., None, None], 0.2)))


if __name__ == "__main__":
    EXPORTS.write(Path(__file__).parent)
