"""Write networks around one kind of block: norms, gates, groups, sounds, activations."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import weight_norm
from torch.nn.utils.parametrizations import weight_norm as parametrized_weight_norm

from support.exports import Exports

EXPORTS = Exports()
net = EXPORTS.net
GROUP = "group and layer norm, SiLU, GELU"
GATE = "products of activations"
CHANNELS = "split, shuffle, groups, dilation"
SOUND = "sound (one dimension)"
ACTIVATION = "activations"
REDUCE = "pooling and averages"


# Group and layer norm


class KlResnetBlock(nn.Module):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(2, cin, eps=1e-6), nn.GroupNorm(2, cout, eps=1e-6)
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm1(x)
        h = self.conv1(h * torch.sigmoid(h))
        h = self.norm2(h)
        h = self.conv2(h * torch.sigmoid(h))
        return self.nin_shortcut(x) + h


class KlDecoder(nn.Module):
    """Latent diffusion's decoder without its attention."""

    def __init__(self, attention: bool = False) -> None:
        super().__init__()
        self.post_quant_conv, self.conv_in = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 8, 3, padding=1)
        self.mid = KlResnetBlock(8, 8)
        self.attn = KlAttention(8) if attention else nn.Identity()
        self.up, self.last = nn.Conv2d(8, 8, 3, padding=1), KlResnetBlock(8, 4)
        self.norm_out, self.conv_out = nn.GroupNorm(2, 4, eps=1e-6), nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.attn(self.mid(self.conv_in(self.post_quant_conv(z / 0.18215))))
        h = self.last(self.up(F.interpolate(h, scale_factor=2.0, mode="nearest")))
        return self.conv_out(F.silu(self.norm_out(h)))


class KlAttention(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(2, c)
        self.q, self.k, self.v, self.proj = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        y = self.norm(x)
        q = self.q(y).reshape(b, c, h * w).permute(0, 2, 1)
        w_ = torch.bmm(q, self.k(y).reshape(b, c, h * w)) * c**-0.5
        w_ = F.softmax(w_, dim=2).permute(0, 2, 1)
        out = torch.bmm(self.v(y).reshape(b, c, h * w), w_).reshape(b, c, h, w)
        return x + self.proj(out)


@net(GROUP, (4, 6, 6), opset=17)
def vae_kl_decoder() -> nn.Module:
    return KlDecoder()


@net(GROUP, (4, 6, 6), dynamo=True, opset=21)
def vae_kl_decoder_opset_21() -> nn.Module:
    """GroupNormalization is an operator of its own since."""
    return nn.Sequential(KlDecoder(), nn.Hardtanh())


@net(GROUP, (4, 6, 6), opset=14, batch=1)
def vae_kl_attention() -> nn.Module:
    return KlDecoder(attention=True)


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1, self.pwconv2 = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


def convnext() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), ConvNeXtBlock(8), ConvNeXtBlock(8),
        nn.ConvTranspose2d(8, 3, 4, 4), nn.Sigmoid(),
    )  # fmt: skip


@net(GROUP, (3, 16, 16), opset=13)
def convnext_written_out() -> nn.Module:
    """LayerNorm in nodes, before opset 17."""
    return convnext()


@net(GROUP, (3, 16, 16), dynamo=True, opset=20)
def convnext_operators() -> nn.Module:
    """LayerNormalization and Gelu as operators."""
    return convnext()


class MixerBlock(nn.Module):
    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.t1, self.t2 = nn.Linear(tokens, 12), nn.Linear(12, tokens)
        self.c1, self.c2 = nn.Linear(dim, 16), nn.Linear(16, dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x).transpose(1, 2)
        x = x + self.t2(F.gelu(self.t1(y))).transpose(1, 2)
        return x + self.c2(F.gelu(self.c1(self.norm2(x))))


@net(GROUP, (3, 16, 16), opset=17)
class Mlp_Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch, self.block = nn.Conv2d(3, 8, 4, 4), MixerBlock(16, 8)
        self.head = nn.ConvTranspose2d(8, 3, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patch(x).flatten(2).transpose(1, 2)
        y = self.block(y).transpose(1, 2).unflatten(2, (4, 4))
        return torch.tanh(self.head(y))


class LayerNorm2d(nn.Module):
    """NAFNet's: over the channels of every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        mu = x.mean(1, keepdim=True)
        var = (x - mu).pow(2).mean(1, keepdim=True)
        y = (x - mu) / (var + 1e-6).sqrt()
        return self.weight.view(1, -1, 1, 1) * y + self.bias.view(1, -1, 1, 1)


class NafBlock(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm2d(c), LayerNorm2d(c)
        self.conv1, self.conv3 = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(c, c, 1)
        self.conv2 = nn.Conv2d(2 * c, 2 * c, 3, padding=1, groups=2 * c)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, c, 1))
        self.conv4, self.conv5 = nn.Conv2d(c, 2 * c, 1), nn.Conv2d(c, c, 1)
        self.beta = nn.Parameter(torch.rand(1, c, 1, 1))
        self.gamma = nn.Parameter(torch.rand(1, c, 1, 1))

    @staticmethod
    def gate(x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, dim=1)
        return x1 * x2

    def forward(self, inp: Tensor) -> Tensor:
        x = self.gate(self.conv2(self.conv1(self.norm1(inp))))
        y = inp + self.conv3(x * self.sca(x)) * self.beta
        return y + self.conv5(self.gate(self.conv4(self.norm2(y)))) * self.gamma


@net(GATE, (3, 12, 12), opset=11)
class Nafnet(nn.Module):
    """No activation but products of halves."""

    def __init__(self) -> None:
        super().__init__()
        self.intro, self.ending = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1)
        self.encoder, self.down, self.middle = NafBlock(6), nn.Conv2d(6, 12, 2, 2), NafBlock(12)
        self.up = nn.Sequential(nn.Conv2d(12, 24, 1, bias=False), nn.PixelShuffle(2))

    def forward(self, inp: Tensor) -> Tensor:
        enc = self.encoder(self.intro(inp))
        return self.ending(self.up(self.middle(self.down(enc))) + enc) + inp


class RmsNorm(nn.Module):
    """lucidrains' denoising diffusion: over the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.rand(1, dim, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1) * self.g * (x.shape[1] ** 0.5)


@net(GROUP, (3, 10, 10), dynamo=True, opset=18)
def rms_norm_unet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 7, padding=3), RmsNorm(8), nn.SiLU(), nn.Conv2d(8, 8, 3, padding=1),
        RmsNorm(8), nn.SiLU(), nn.Conv2d(8, 3, 1),
    )  # fmt: skip


class WeightStandardizedConv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        mean = self.weight.mean(dim=(1, 2, 3), keepdim=True)
        var = self.weight.var(dim=(1, 2, 3), keepdim=True, unbiased=False)
        weight = (self.weight - mean) * (var + 1e-5).rsqrt()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


@net(GROUP, (3, 10, 10), opset=12, batch=1)
def weight_standardised() -> nn.Module:
    return nn.Sequential(
        WeightStandardizedConv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.SiLU(),
        WeightStandardizedConv2d(8, 3, 3, padding=1), nn.Tanh(),
    )  # fmt: skip


class Attention2d(nn.Module):
    """SAGAN's."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(c, n, 1) for n in (2, 2, c))
        self.gamma = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.size()
        query = self.query(x).view(n, -1, w * h).permute(0, 2, 1)
        attention = torch.softmax(torch.bmm(query, self.key(x).view(n, -1, w * h)), dim=-1)
        out = torch.bmm(self.value(x).view(n, -1, w * h), attention.permute(0, 2, 1))
        return self.gamma * out.view(n, c, h, w) + x


@net(GATE, (12, 1, 1), opset=11)
def sagan() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(12, 8, 4), nn.BatchNorm2d(8), nn.ReLU(), Attention2d(8),
        nn.ConvTranspose2d(8, 3, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


# Gates and excitation


class SELayer(nn.Module):
    def __init__(self, channel: int, reduction: int = 4, gate: type[nn.Module] = nn.Sigmoid):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channel, channel // reduction, bias=False), nn.ReLU(inplace=True),
            nn.Linear(channel // reduction, channel, bias=False), gate(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.size()
        y = self.avg_pool(x).view(b, c)
        return x * self.fc(y).view(b, c, 1, 1).expand_as(x)


class SeBlock(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.se = SELayer(c)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(self.se(out) + x)


@net(GATE, (3, 12, 12), opset=11)
def se_resnet() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), SeBlock(8), SeBlock(8),
                         nn.Conv2d(8, 3, 3, padding=1), nn.Tanh())  # fmt: skip


class ChannelGate(nn.Module):
    """RCAN's channel attention, and CBAM's if asked for both kinds of pooling."""

    def __init__(self, c: int, both: bool = False) -> None:
        super().__init__()
        self.conv_du = nn.Sequential(nn.Conv2d(c, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, c, 1))
        self.both = both

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_du(F.adaptive_avg_pool2d(x, 1))
        if self.both:
            y = y + self.conv_du(F.adaptive_max_pool2d(x, 1))
        return x * torch.sigmoid(y)


class SpatialGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat([torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)], dim=1)
        return x * torch.sigmoid(self.conv(pooled))


@net(GATE, (3, 12, 12), opset=16)
def cbam() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), ChannelGate(8, both=True),
                         SpatialGate(), nn.Conv2d(8, 3, 3, padding=1), nn.Sigmoid())  # fmt: skip


@net(GATE, (12,), opset=13)
class Attngan_Stage(nn.Module):
    """StackGAN's GLU: half of the channels by the sigmoid of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.bn = nn.Linear(12, 16 * 16, bias=False), nn.BatchNorm1d(256)
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(8, 16, 3, 1, 1, bias=False),
            nn.BatchNorm2d(16),
        )
        self.img = nn.Sequential(nn.Conv2d(8, 3, 3, 1, 1, bias=False), nn.Tanh())

    @staticmethod
    def glu(x: Tensor) -> Tensor:
        nc = x.size(1) // 2
        return x[:, :nc] * torch.sigmoid(x[:, nc:])

    def forward(self, z: Tensor) -> Tensor:
        h = self.glu(self.bn(self.fc(z))).view(-1, 8, 4, 4)
        return self.img(self.glu(self.up(h)))


class GatedConv(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(cin, 2 * cout, 3, stride, dilation, dilation)

    def forward(self, x: Tensor) -> Tensor:
        features, gate = torch.chunk(self.conv(x), 2, dim=1)
        return F.elu(features) * torch.sigmoid(gate)


@net(GATE, (4, 16, 16), dynamo=True, opset=18)
def deepfill_gated() -> nn.Module:
    """Free-form inpainting: a picture and its mask, dilated in the middle."""
    return nn.Sequential(
        GatedConv(4, 6), GatedConv(6, 8, stride=2), GatedConv(8, 8, dilation=2),
        nn.Upsample(scale_factor=2), GatedConv(8, 6), nn.Conv2d(6, 3, 3, padding=1), nn.Tanh(),
    )  # fmt: skip


# Split, shuffle, groups, dilation


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    batchsize, num_channels, height, width = x.size()
    x = x.view(batchsize, groups, num_channels // groups, height, width)
    return torch.transpose(x, 1, 2).contiguous().view(batchsize, num_channels, height, width)


class ShuffleBlock(nn.Module):
    """ShuffleNetV2's."""

    def __init__(self, c: int, stride: int = 1) -> None:
        super().__init__()
        n = c // 2 if stride == 1 else c
        self.stride = stride
        self.branch1 = nn.Sequential(
            nn.Conv2d(n, n, 3, stride, 1, groups=n, bias=False), nn.BatchNorm2d(n),
            nn.Conv2d(n, n, 1, bias=False), nn.BatchNorm2d(n), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.branch2 = nn.Sequential(
            nn.Conv2d(n, n, 1, bias=False), nn.BatchNorm2d(n), nn.ReLU(inplace=True),
            nn.Conv2d(n, n, 3, stride, 1, groups=n, bias=False), nn.BatchNorm2d(n),
            nn.Conv2d(n, n, 1, bias=False), nn.BatchNorm2d(n), nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            x1, x2 = x.chunk(2, dim=1)
            out = torch.cat((x1, self.branch2(x2)), dim=1)
        else:
            out = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        return channel_shuffle(out, 2)


@net(CHANNELS, (3, 16, 16), opset=11)
def shufflenet_v2() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), ShuffleBlock(6, 2), ShuffleBlock(12),
                         nn.ConvTranspose2d(12, 3, 4, 2, 1), nn.Tanh())  # fmt: skip


class InvertedResidual(nn.Module):
    def __init__(self, inp: int, oup: int, stride: int, act: type[nn.Module] = nn.ReLU6):
        super().__init__()
        hidden = inp * 3
        self.use_res_connect = stride == 1 and inp == oup
        self.conv = nn.Sequential(
            nn.Conv2d(inp, hidden, 1, bias=False), nn.BatchNorm2d(hidden), act(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden), act(),
            nn.Conv2d(hidden, oup, 1, bias=False), nn.BatchNorm2d(oup),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


@net(CHANNELS, (3, 16, 16), dynamo=True, opset=18)
def mobilenet_v2_portrait() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU6(), InvertedResidual(4, 6, 2),
        InvertedResidual(6, 6, 1), nn.Upsample(scale_factor=4, mode="nearest"),
        nn.Conv2d(6, 1, 3, padding=1), nn.Sigmoid(),
    )  # fmt: skip


class MobileV3(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(c, 12, 1, bias=False), nn.BatchNorm2d(12),
                                    nn.Hardswish())  # fmt: skip
        self.depth = nn.Sequential(nn.Conv2d(12, 12, 5, 1, 2, groups=12, bias=False),
                                   nn.BatchNorm2d(12), nn.Hardswish())  # fmt: skip
        self.se = SELayer(12, gate=nn.Hardsigmoid)
        self.project = nn.Sequential(nn.Conv2d(12, c, 1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.project(self.se(self.depth(self.expand(x))))


@net(CHANNELS, (3, 12, 12), opset=14)
def mobilenet_v3() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Hardswish(), MobileV3(6),
                         nn.Conv2d(6, 3, 1), nn.Hardtanh())  # fmt: skip


@net(CHANNELS, (4, 16, 16), opset=7)
def completion_dilated() -> nn.Module:
    """GLCIC's middle."""
    layers: list[nn.Module] = [nn.Conv2d(4, 6, 5, padding=2), nn.BatchNorm2d(6), nn.ReLU()]
    for dilation in (2, 4):
        layers += [nn.Conv2d(6, 6, 3, padding=dilation, dilation=dilation), nn.BatchNorm2d(6),
                   nn.ReLU()]  # fmt: skip
    return nn.Sequential(*layers, nn.Conv2d(6, 3, 3, padding=1), nn.Sigmoid())


@net(CHANNELS, (8, 8, 8), opset=10)
def resnext_grouped() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(8, 12, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        nn.Conv2d(12, 12, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        nn.ConvTranspose2d(12, 6, 4, 2, 1, groups=3), nn.ReLU(), nn.Conv2d(6, 3, 1), nn.Tanh(),
    )  # fmt: skip


@net(CHANNELS, (3, 12, 12), opset=11)
class Aspp(nn.Module):
    """DeepLab's: dilations side by side, and the average of the whole picture."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.branches = nn.ModuleList(
            [nn.Conv2d(6, 4, 1), *(nn.Conv2d(6, 4, 3, padding=d, dilation=d) for d in (2, 3))]
        )
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 4, 1), nn.ReLU())
        self.project = nn.Conv2d(16, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        parts = [F.relu(branch(x)) for branch in self.branches]
        pooled = F.interpolate(self.pool(x), size=x.shape[-2:], mode="bilinear",
                               align_corners=False)  # fmt: skip
        return self.project(torch.cat([*parts, pooled], dim=1))


@net(CHANNELS, (3, 10, 10), opset=13)
class Coordconv(nn.Module):
    """Planes of coordinates beside the picture, made for its size while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(5, 8, 3, padding=1), nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, _, h, w = x.size()
        xs = torch.arange(w).float().view(1, 1, 1, w).expand(b, 1, h, w) / (w - 1) * 2 - 1
        ys = torch.arange(h).float().view(1, 1, h, 1).expand(b, 1, h, w) / (h - 1) * 2 - 1
        return torch.tanh(self.last(F.relu(self.conv(torch.cat([x, xs, ys], 1)))))


# Sound


class HifiResBlock(nn.Module):
    def __init__(self, c: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            weight_norm(nn.Conv1d(c, c, 3, dilation=d, padding=d)) for d in dilations
        )
        self.convs2 = nn.ModuleList(weight_norm(nn.Conv1d(c, c, 3, padding=1)) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for c1, c2 in zip(self.convs1, self.convs2):
            x = x + c2(F.leaky_relu(c1(F.leaky_relu(x, 0.1)), 0.1))
        return x


class Hifigan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_pre = weight_norm(nn.Conv1d(10, 12, 7, padding=3))
        self.ups = weight_norm(nn.ConvTranspose1d(12, 6, 8, 4, padding=2))
        self.res = nn.ModuleList([HifiResBlock(6, (1, 3)), HifiResBlock(6, (1,))])
        self.conv_post = weight_norm(nn.Conv1d(6, 1, 7, padding=3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.ups(F.leaky_relu(self.conv_pre(x), 0.1))
        x = (self.res[0](x) + self.res[1](x)) / 2
        return torch.tanh(self.conv_post(F.leaky_relu(x)))


@net(SOUND, (10, 12), opset=17)
def hifigan() -> nn.Module:
    return Hifigan()


@net(SOUND, (10, 12), dynamo=True, opset=18)
def melgan() -> nn.Module:
    """Reflection padding at the ends; weight norm as a parametrisation."""
    norm = parametrized_weight_norm
    return nn.Sequential(
        nn.ReflectionPad1d(3), norm(nn.Conv1d(10, 8, 7)), nn.LeakyReLU(0.2),
        norm(nn.ConvTranspose1d(8, 6, 8, 4, padding=2)), nn.LeakyReLU(0.2),
        nn.ReflectionPad1d(3), norm(nn.Conv1d(6, 6, 3, dilation=3)), nn.LeakyReLU(0.2),
        nn.ReflectionPad1d(3), norm(nn.Conv1d(6, 1, 7)), nn.Tanh(),
    )  # fmt: skip


@net(SOUND, (8,), opset=11)
class Wavegan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8 * 4)
        self.up1 = nn.ConvTranspose1d(8, 6, 25, stride=4, padding=11, output_padding=1)
        self.up2 = nn.ConvTranspose1d(6, 1, 25, stride=4, padding=11, output_padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = F.relu(self.fc(z).view(-1, 8, 4))
        return torch.tanh(self.up2(F.relu(self.up1(x))))


@net(SOUND, (6, 32), dynamo=True, opset=24)
class Wavenet(nn.Module):
    """Gated by tanh and sigmoid, with sums of what every layer skips."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv1d(6, 8, 1)
        self.filters = nn.ModuleList(nn.Conv1d(8, 8, 2, dilation=2**i) for i in range(3))
        self.gates = nn.ModuleList(nn.Conv1d(8, 8, 2, dilation=2**i) for i in range(3))
        self.residuals = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(3))
        self.skips = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(3))
        self.end = nn.Sequential(nn.ReLU(), nn.Conv1d(8, 8, 1), nn.ReLU(), nn.Conv1d(8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.start(x), None
        for i, (f, g, r, s) in enumerate(zip(self.filters, self.gates, self.residuals, self.skips)):
            y = F.pad(x, (2**i, 0))
            y = torch.tanh(f(y)) * torch.sigmoid(g(y))
            total = s(y) if total is None else total + s(y)
            x = x + r(y)
        return self.end(total)


@net(SOUND, (1, 64), opset=17, batch=1)
class Demucs(nn.Module):
    """A U-Net of sound: GLUs, sums of skips."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.ModuleList(
            nn.Sequential(nn.Conv1d(c, h, 8, 4, 2), nn.ReLU(), nn.Conv1d(h, h * 2, 1), nn.GLU(1))
            for c, h in ((1, 4), (4, 6))
        )
        self.dec = nn.ModuleList(
            nn.Sequential(nn.Conv1d(h, h * 2, 1), nn.GLU(1), nn.ConvTranspose1d(h, c, 8, 4, 2))
            for h, c in ((6, 4), (4, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for layer in self.enc:
            x = layer(x)
            skips.append(x)
        x = F.relu(self.dec[0](x + skips.pop()))
        return self.dec[1](x + skips.pop())


class Snake(nn.Module):
    """BigVGAN's periodic activation."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.rand(c) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.alpha.unsqueeze(0).unsqueeze(-1)
        return x + (1.0 / (alpha + 1e-9)) * torch.pow(torch.sin(x * alpha), 2)


@net(SOUND, (8, 16), opset=15)
def bigvgan_snake() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(8, 8, 7, padding=3), Snake(8), nn.ConvTranspose1d(8, 4, 4, 2, 1), Snake(4),
        nn.Conv1d(4, 1, 7, padding=3), nn.Tanh(),
    )  # fmt: skip


@net(SOUND, (1, 32), opset=14)
def sound_autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(1, 6, 9, padding=4), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(6, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.AvgPool1d(2),
        nn.Upsample(scale_factor=4, mode="linear"), nn.Conv1d(8, 1, 9, padding=4), nn.Tanh(),
    )  # fmt: skip


# Activations


def activated(*layers: nn.Module, last: nn.Module | None = None) -> nn.Module:
    """A small decoder with these activations."""
    body: list[nn.Module] = [nn.ConvTranspose2d(8, 8, 4), layers[0]]
    for layer in layers[1:]:
        body += [nn.Conv2d(8, 8, 3, padding=1), layer]
    return nn.Sequential(*body, nn.ConvTranspose2d(8, 3, 4, 2, 1), last or nn.Tanh())


@net(ACTIVATION, (8, 1, 1), opset=11)
def silu_mish() -> nn.Module:
    return activated(nn.SiLU(), nn.Mish())


@net(ACTIVATION, (8, 1, 1), dynamo=True, opset=25)
def silu_mish_newest() -> nn.Module:
    return activated(nn.Mish(), nn.SiLU())


@net(ACTIVATION, (8, 1, 1), opset=14)
def gelu_twice() -> nn.Module:
    return activated(nn.GELU(), nn.GELU(approximate="tanh"))


@net(ACTIVATION, (8, 1, 1), opset=12)
def elu_selu_celu() -> nn.Module:
    return activated(nn.ELU(), nn.SELU(), nn.CELU(1.3))


@net(ACTIVATION, (8, 1, 1), dynamo=True, opset=18)
def hard_ones() -> nn.Module:
    return activated(nn.Hardswish(), nn.Hardsigmoid(), nn.Hardtanh(), nn.Hardshrink())


@net(ACTIVATION, (8, 1, 1), opset=9)
def softplus_softsign() -> nn.Module:
    return activated(nn.Softplus(), nn.Softsign(), nn.LogSigmoid(), nn.Tanhshrink())


@net(ACTIVATION, (8, 1, 1), opset=17, half=True)
def prelu_fp16() -> nn.Module:
    return activated(nn.PReLU(8), nn.PReLU(), nn.LeakyReLU(0.1), last=nn.Sigmoid())


# Pooling and averages


@net(REDUCE, (3, 16, 16), opset=12)
class Global_Pool_Bias(nn.Module):
    """A picture's averages are what every pixel is shifted by."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.fc = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 6)
        self.b = nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(x))
        context = self.fc(x.mean(dim=(2, 3)))
        return torch.sigmoid(self.b(x + context[:, :, None, None]))


if __name__ == "__main__":
    EXPORTS.write(Path(__file__).parent)
