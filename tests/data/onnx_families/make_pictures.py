"""Write networks from pictures to pictures: translation, U-Nets, restoration; see README.md."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from support.exports import Exports

EXPORTS = Exports()
net = EXPORTS.net
INSTANCE = "instance norm, reflection"
UNET = "U-Nets and autoencoders"
RESIZE = "bilinear and bicubic"
SUPER = "super-resolution"


# Translation: instance norm and reflection padding


class ResnetBlock(nn.Module):
    def __init__(self, dim: int, norm: type[nn.Module] = nn.InstanceNorm2d, bias: bool = True):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(dim, dim, 3, bias=bias), norm(dim), nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(dim, dim, 3, bias=bias), norm(dim),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


@net(INSTANCE, (3, 16, 16), opset=11, batch=1)
def cyclegan_resnet() -> nn.Module:
    ngf = 3
    model = [nn.ReflectionPad2d(3), nn.Conv2d(3, ngf, 7), nn.InstanceNorm2d(ngf), nn.ReLU(True)]
    for mult in (1, 2):
        model += [nn.Conv2d(ngf * mult, ngf * mult * 2, 3, stride=2, padding=1),
                  nn.InstanceNorm2d(ngf * mult * 2), nn.ReLU(True)]  # fmt: skip
    model += [ResnetBlock(ngf * 4)]
    for mult in (4, 2):
        model += [nn.ConvTranspose2d(ngf * mult, ngf * mult // 2, 3, 2, 1, output_padding=1),
                  nn.InstanceNorm2d(ngf * mult // 2), nn.ReLU(True)]  # fmt: skip
    return nn.Sequential(*model, nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh())


@net(INSTANCE, (3, 16, 16), dynamo=True, opset=18)
def cyclegan_batchnorm() -> nn.Module:
    """The same generator with batch norm and upsampling instead of transposed convolutions."""
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, 6, 7, bias=False), nn.BatchNorm2d(6), nn.ReLU(True),
        nn.Conv2d(6, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(True),
        ResnetBlock(8, nn.BatchNorm2d, bias=False),
        nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), nn.Conv2d(8, 6, 3),
        nn.BatchNorm2d(6), nn.ReLU(True), nn.ReflectionPad2d(3), nn.Conv2d(6, 3, 7), nn.Tanh(),
    )  # fmt: skip


class ConvLayer(nn.Module):
    def __init__(self, cin: int, cout: int, kernel: int, stride: int, upsample: int = 0):
        super().__init__()
        self.upsample = upsample
        self.reflection_pad = nn.ReflectionPad2d(kernel // 2)
        self.conv2d = nn.Conv2d(cin, cout, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        if self.upsample:
            x = F.interpolate(x, mode="nearest", scale_factor=self.upsample)
        return self.conv2d(self.reflection_pad(x))


@net(INSTANCE, (3, 24, 24), opset=11)
class Fast_Neural_Style(nn.Module):
    """The PyTorch example's transformer network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.in1 = ConvLayer(3, 4, 9, 1), nn.InstanceNorm2d(4, affine=True)
        self.conv2, self.in2 = ConvLayer(4, 8, 3, 2), nn.InstanceNorm2d(8, affine=True)
        self.res1, self.in3 = ConvLayer(8, 8, 3, 1), nn.InstanceNorm2d(8, affine=True)
        self.res2, self.in4 = ConvLayer(8, 8, 3, 1), nn.InstanceNorm2d(8, affine=True)
        self.deconv1, self.in5 = ConvLayer(8, 4, 3, 1, 2), nn.InstanceNorm2d(4, affine=True)
        self.deconv3 = ConvLayer(4, 3, 9, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.in1(self.conv1(x)))
        y = F.relu(self.in2(self.conv2(y)))
        y = self.in4(self.res2(F.relu(self.in3(self.res1(y))))) + y
        return self.deconv3(F.relu(self.in5(self.deconv1(y))))


class UnetSkip(nn.Module):
    """pix2pix's UnetSkipConnectionBlock: each holds the next."""

    def __init__(
        self,
        outer: int,
        inner: int,
        norm: type[nn.Module],
        sub: nn.Module | None = None,
        cin: int = 0,
        dropout: bool = False,
    ):
        super().__init__()
        self.outermost = bool(cin)
        down = nn.Conv2d(cin or outer, inner, 4, 2, 1)
        if self.outermost:
            layers = [down, sub, nn.ReLU(), nn.ConvTranspose2d(inner * 2, outer, 4, 2, 1),
                      nn.Tanh()]  # fmt: skip
        elif sub is None:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(),
                      nn.ConvTranspose2d(inner, outer, 4, 2, 1), norm(outer)]  # fmt: skip
        else:
            layers = [nn.LeakyReLU(0.2), down, norm(inner), sub, nn.ReLU(),
                      nn.ConvTranspose2d(inner * 2, outer, 4, 2, 1), norm(outer)]  # fmt: skip
            layers += [nn.Dropout(0.5)] * dropout
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


@net(INSTANCE, (3, 32, 32), opset=13, batch=1)
def pix2pix_unet_instance() -> nn.Module:
    inner = UnetSkip(6, 6, nn.InstanceNorm2d, UnetSkip(6, 6, nn.InstanceNorm2d), dropout=True)
    return UnetSkip(3, 4, nn.InstanceNorm2d, UnetSkip(4, 6, nn.InstanceNorm2d, inner), cin=3)


@net(UNET, (3, 32, 32), opset=9)
def pix2pix_unet_batch() -> nn.Module:
    inner = UnetSkip(6, 6, nn.BatchNorm2d, UnetSkip(6, 6, nn.BatchNorm2d), dropout=True)
    return UnetSkip(3, 4, nn.BatchNorm2d, UnetSkip(4, 6, nn.BatchNorm2d, inner), cin=3)


class ConvNormLReLU(nn.Sequential):
    def __init__(self, cin: int, cout: int, k: int = 3, stride: int = 1, groups: int = 1):
        pad = nn.ReflectionPad2d((0, 1, 0, 1) if stride == 2 else k // 2)
        super().__init__(
            pad, nn.Conv2d(cin, cout, k, stride, 0, groups=groups, bias=False),
            nn.GroupNorm(1, cout, affine=True), nn.LeakyReLU(0.2, inplace=True),
        )  # fmt: skip


class InvertedResBlock(nn.Module):
    def __init__(self, cin: int, cout: int, expansion: int = 2):
        super().__init__()
        wide = cin * expansion
        self.use_res_connect = cin == cout
        self.layers = nn.Sequential(
            ConvNormLReLU(cin, wide, k=1), ConvNormLReLU(wide, wide, groups=wide),
            nn.Conv2d(wide, cout, 1, bias=False), nn.GroupNorm(1, cout, affine=True),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(x)
        return x + out if self.use_res_connect else out


class AnimeGAN(nn.Module):
    """AnimeGANv2 in PyTorch."""

    def __init__(self, align_corners: bool) -> None:
        super().__init__()
        self.align = align_corners
        self.block_a = nn.Sequential(ConvNormLReLU(3, 4, k=7), ConvNormLReLU(4, 6, stride=2))
        self.block_c = nn.Sequential(InvertedResBlock(6, 8), InvertedResBlock(8, 8))
        self.block_e = nn.Sequential(ConvNormLReLU(8, 6), ConvNormLReLU(6, 4, k=7))
        self.out_layer = nn.Sequential(nn.Conv2d(4, 3, 1, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        out = self.block_c(self.block_a(x))
        size = x.size()[-2:]
        if self.align:
            out = F.interpolate(out, size, mode="bilinear", align_corners=True)
        else:
            out = F.interpolate(out, scale_factor=2, mode="bilinear", align_corners=False)
        return self.out_layer(self.block_e(out))


@net(INSTANCE, (3, 16, 16), opset=11, batch=1)
def animegan2_align_corners() -> nn.Module:
    return AnimeGAN(True)


@net(INSTANCE, (3, 16, 16), dynamo=True, opset=20)
def animegan2_half_pixel() -> nn.Module:
    return AnimeGAN(False)


class MunitLayerNorm(nn.Module):
    """MUNIT's own: over the whole image, with the unbiased deviation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = [-1] + [1] * (x.dim() - 1)
        mean = x.view(x.size(0), -1).mean(1).view(*shape)
        std = x.view(x.size(0), -1).std(1).view(*shape)
        x = (x - mean) / (std + 1e-5)
        shape = [1, -1] + [1] * (x.dim() - 2)
        return x * self.gamma.view(*shape) + self.beta.view(*shape)


class AdaIN(nn.Module):
    """MUNIT's own: a batch norm of one image of many channels, with assigned weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.rand(channels) + 0.5)
        self.register_buffer("bias", torch.randn(channels) * 0.3)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        b, c = x.size(0), x.size(1)
        out = F.batch_norm(x.contiguous().view(1, b * c, *x.size()[2:]),
                           self.running_mean.repeat(b), self.running_var.repeat(b),
                           self.weight.repeat(b), self.bias.repeat(b), True, 0.1)  # fmt: skip
        return out.view(b, c, *x.size()[2:])


@net(INSTANCE, (3, 16, 16), opset=17, batch=1)
def munit_decoder() -> nn.Module:
    """Content to picture, for one style that was chosen at export."""
    return nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 4, 2), nn.ReLU(True),
        nn.ReflectionPad2d(1), nn.Conv2d(8, 8, 3), AdaIN(8), nn.ReLU(True),
        nn.Upsample(scale_factor=2), nn.ReflectionPad2d(2), nn.Conv2d(8, 4, 5),
        MunitLayerNorm(4), nn.ReLU(True), nn.ReflectionPad2d(3), nn.Conv2d(4, 3, 7), nn.Tanh(),
    )  # fmt: skip


class ILN(nn.Module):
    """U-GAT-IT's mix of instance and layer norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.eps = 1e-5
        self.rho = nn.Parameter(torch.rand(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.rand(1, channels, 1, 1) + 0.5)
        self.beta = nn.Parameter(torch.randn(1, channels, 1, 1) * 0.3)

    def forward(self, x: Tensor) -> Tensor:
        in_mean = torch.mean(x, dim=[2, 3], keepdim=True)
        in_var = torch.var(x, dim=[2, 3], keepdim=True)
        out_in = (x - in_mean) / torch.sqrt(in_var + self.eps)
        ln_mean = torch.mean(x, dim=[1, 2, 3], keepdim=True)
        ln_var = torch.var(x, dim=[1, 2, 3], keepdim=True)
        out_ln = (x - ln_mean) / torch.sqrt(ln_var + self.eps)
        rho = self.rho.expand(x.shape[0], -1, -1, -1)
        out = rho * out_in + (1 - rho) * out_ln
        return out * self.gamma.expand(x.shape[0], -1, -1, -1) + self.beta.expand(
            x.shape[0], -1, -1, -1
        )


@net(INSTANCE, (3, 16, 16), opset=16, batch=1)
def ugatit_decoder() -> nn.Module:
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, 6, 7, bias=False), ILN(6), nn.ReLU(True),
        nn.Upsample(scale_factor=2, mode="nearest"), nn.ReflectionPad2d(1),
        nn.Conv2d(6, 6, 3, bias=False), ILN(6), nn.ReLU(True),
        nn.ReflectionPad2d(3), nn.Conv2d(6, 3, 7, bias=False), nn.Tanh(),
    )  # fmt: skip


@net(INSTANCE, (3, 16, 16), opset=14)
class Attention_Mask(nn.Module):
    """GANimation's two heads: colours, and how much of them is put over the input."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(3, 6, 7, padding=3, bias=False), nn.InstanceNorm2d(6, affine=True),
            nn.ReLU(True), nn.Conv2d(6, 8, 4, 2, 1, bias=False),
            nn.InstanceNorm2d(8, affine=True), nn.ReLU(True),
            nn.ConvTranspose2d(8, 6, 4, 2, 1, bias=False), nn.InstanceNorm2d(6, affine=True),
            nn.ReLU(True),
        )  # fmt: skip
        self.img_reg = nn.Sequential(nn.Conv2d(6, 3, 7, padding=3, bias=False), nn.Tanh())
        self.attention_reg = nn.Sequential(nn.Conv2d(6, 1, 7, padding=3, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        features = self.main(x)
        mask = self.attention_reg(features)
        return mask * x + (1 - mask) * self.img_reg(features)


@net(INSTANCE, (3, 16, 16), (5,), names=("image", "label"), opset=11, batch=1)
class Stargan(nn.Module):
    """A label vector is repeated over the image and joined to its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(8, 4, 7, padding=3, bias=False),
            nn.InstanceNorm2d(4, affine=True, track_running_stats=True), nn.ReLU(True),
            nn.Conv2d(4, 8, 4, 2, 1, bias=False),
            nn.InstanceNorm2d(8, affine=True, track_running_stats=True), nn.ReLU(True),
            nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False),
            nn.InstanceNorm2d(4, affine=True, track_running_stats=True), nn.ReLU(True),
            nn.Conv2d(4, 3, 7, padding=3, bias=False), nn.Tanh(),
        )  # fmt: skip

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        c = c.view(c.size(0), c.size(1), 1, 1)
        c = c.repeat(1, 1, x.size(2), x.size(3))
        return self.main(torch.cat([x, c], dim=1))


@net(INSTANCE, (3, 16, 16), (4, 16, 16), names=("image", "segmentation"), opset=17)
class Spade(nn.Module):
    """Scale and shift of every pixel from a map."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.param_free_norm = nn.InstanceNorm2d(8, affine=False)
        self.mlp_shared = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(8, 8, 3, padding=1)
        self.mlp_beta = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x: Tensor, segmap: Tensor) -> Tensor:
        x = self.first(x)
        actv = self.mlp_shared(F.interpolate(segmap, size=x.size()[2:], mode="nearest"))
        out = self.param_free_norm(x) * (1 + self.mlp_gamma(actv)) + self.mlp_beta(actv)
        return torch.tanh(self.last(F.leaky_relu(out, 2e-1)))


# U-Nets and autoencoders


class DoubleConv(nn.Sequential):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(
            nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout),
            nn.ReLU(inplace=True), nn.Conv2d(cout, cout, 3, padding=1, bias=False),
            nn.BatchNorm2d(cout), nn.ReLU(inplace=True),
        )  # fmt: skip


class Milesial(nn.Module):
    """The U-Net most copied: max-pooling, and padding to the skip's size."""

    def __init__(self, bilinear: bool) -> None:
        super().__init__()
        self.inc = DoubleConv(3, 4)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4, 8))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(8, 8))
        if bilinear:
            self.up1 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.up2 = self.up1
        else:
            self.up1 = nn.ConvTranspose2d(8, 8, 2, stride=2)
            self.up2 = nn.ConvTranspose2d(6, 6, 2, stride=2)
        self.conv1, self.conv2 = DoubleConv(16, 6), DoubleConv(10, 4)
        self.outc = nn.Conv2d(4, 2, 1)

    @staticmethod
    def join(up: Tensor, skip: Tensor) -> Tensor:
        dy, dx = skip.size()[2] - up.size()[2], skip.size()[3] - up.size()[3]
        up = F.pad(up, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return torch.cat([skip, up], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.inc(x)
        x2 = self.down1(x1)
        y = self.conv1(self.join(self.up1(self.down2(x2)), x2))
        return self.outc(self.conv2(self.join(self.up2(y), x1)))


@net(UNET, (3, 16, 16), opset=11, batch=1)
def unet_maxpool_bilinear() -> nn.Module:
    return Milesial(True)


@net(UNET, (3, 18, 14), opset=17)
def unet_maxpool_deconv_odd() -> nn.Module:
    return Milesial(False)


@net(UNET, (3, 16, 16), opset=17)
class Vae_Picture(nn.Module):
    """A variational autoencoder in evaluation: the mean is decoded."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.LeakyReLU(),
            nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(),
        )  # fmt: skip
        self.fc_mu = nn.Linear(8 * 16, 6)
        self.decoder_input = nn.Linear(6, 8 * 16)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1), nn.BatchNorm2d(6),
            nn.LeakyReLU(), nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1),
            nn.BatchNorm2d(4), nn.LeakyReLU(), nn.Conv2d(4, 3, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        mu = self.fc_mu(torch.flatten(self.encoder(x), start_dim=1))
        return self.decoder(self.decoder_input(mu).view(-1, 8, 4, 4))


@net(UNET, (3, 16, 16), opset=13)
class Avgpool_Autoencoder(nn.Module):
    """Average pooling on the way down, adaptive pooling in the middle, nearest on the way up."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.c, self.d = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(F.relu(self.a(x)), 2)
        x = F.adaptive_avg_pool2d(F.relu(self.b(x)), (4, 4))
        x = F.interpolate(F.relu(self.c(x)), scale_factor=4, mode="nearest")
        return torch.sigmoid(self.d(x))


class REBNCONV(nn.Module):
    def __init__(self, cin: int, cout: int, dirate: int = 1) -> None:
        super().__init__()
        self.conv_s1 = nn.Conv2d(cin, cout, 3, padding=dirate, dilation=dirate)
        self.bn_s1 = nn.BatchNorm2d(cout)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn_s1(self.conv_s1(x)))


def _upsample_like(src: Tensor, tar: Tensor) -> Tensor:
    return F.interpolate(src, size=tar.shape[2:], mode="bilinear", align_corners=False)


@net(UNET, (3, 17, 17), opset=16, batch=1)
class U2net_Block(nn.Module):
    """U2-Net's RSU block: pooling of odd sizes, dilations, resizing to another value's size."""

    def __init__(self) -> None:
        super().__init__()
        self.rebnconvin = REBNCONV(3, 6)
        self.rebnconv1, self.rebnconv2 = REBNCONV(6, 4), REBNCONV(4, 4)
        self.rebnconv3, self.rebnconv4 = REBNCONV(4, 4), REBNCONV(4, 4, dirate=2)
        self.rebnconv3d, self.rebnconv2d = REBNCONV(8, 4), REBNCONV(8, 4)
        self.rebnconv1d, self.side = REBNCONV(8, 6), nn.Conv2d(6, 1, 3, padding=1)
        self.pool1 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.pool2 = nn.MaxPool2d(2, stride=2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        hxin = self.rebnconvin(x)
        hx1 = self.rebnconv1(hxin)
        hx2 = self.rebnconv2(self.pool1(hx1))
        hx3 = self.rebnconv3(self.pool2(hx2))
        hx3d = self.rebnconv3d(torch.cat((self.rebnconv4(hx3), hx3), 1))
        hx2d = self.rebnconv2d(torch.cat((_upsample_like(hx3d, hx2), hx2), 1))
        hx1d = self.rebnconv1d(torch.cat((_upsample_like(hx2d, hx1), hx1), 1))
        return torch.sigmoid(self.side(hx1d + hxin))


class BasicBlock(nn.Module):
    """torchvision's."""

    def __init__(self, cin: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(cin, planes, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(planes), nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(cin, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (self.downsample(x) if self.downsample else x))


@net(UNET, (3, 32, 32), dynamo=True, opset=18, batch=1)
class Linknet(nn.Module):
    """A ResNet's beginning (7 x 7, max-pooling 3 x 3), and sums on the way up."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4),
                                  nn.ReLU(True), nn.MaxPool2d(3, 2, 1))  # fmt: skip
        self.layer1, self.layer2 = BasicBlock(4, 4), BasicBlock(4, 8, 2)
        self.decoder2 = nn.Sequential(nn.Conv2d(8, 2, 1), nn.ReLU(True),
                                      nn.ConvTranspose2d(2, 4, 3, 2, 1, 1))  # fmt: skip
        self.finaldeconv = nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1)
        self.final = nn.ConvTranspose2d(4, 2, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.layer1(self.stem(x))
        d = F.relu(self.decoder2(self.layer2(e1))) + e1
        return self.final(F.relu(self.finaldeconv(d)))


# Bilinear and bicubic


class Bilinear(nn.Module):
    """Upsampling in the way named, between convolutions."""

    def __init__(self, last: type[nn.Module] = nn.Tanh, **how: object) -> None:
        super().__init__()
        self.how = how
        self.a, self.b = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1)
        self.last = last()

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(F.leaky_relu(self.a(x), 0.2), **self.how)
        return self.last(self.b(x))


@net(RESIZE, (8, 6, 6), opset=11)
def bilinear_2() -> nn.Module:
    return Bilinear(scale_factor=2, mode="bilinear", align_corners=False)


@net(RESIZE, (8, 5, 7), dynamo=True, opset=18)
def bilinear_4_align_corners() -> nn.Module:
    return Bilinear(scale_factor=4, mode="bilinear", align_corners=True)


@net(RESIZE, (8, 8, 8), opset=17, batch=1)
def bilinear_to_12() -> nn.Module:
    return Bilinear(size=(12, 12), mode="bilinear", align_corners=False)


@net(RESIZE, (8, 16, 16), opset=13)
def bilinear_down() -> nn.Module:
    return Bilinear(scale_factor=0.5, mode="bilinear", align_corners=False)


@net(RESIZE, (8, 6, 6), dynamo=True, opset=19, batch=1)
def bicubic_align_corners_to_15() -> nn.Module:
    return Bilinear(nn.Sigmoid, size=(15, 15), mode="bicubic", align_corners=True)


@net(RESIZE, (8, 8, 8), opset=11)
def nearest_to_12() -> nn.Module:
    return Bilinear(size=(12, 12), mode="nearest")


@net(RESIZE, (8, 6, 6), dynamo=True, opset=18)
def nearest_exact_2() -> nn.Module:
    return Bilinear(scale_factor=2, mode="nearest-exact")


@net(RESIZE, (8, 6, 6), opset=10)
def bilinear_2_before_opset_11() -> nn.Module:
    return Bilinear(scale_factor=2, mode="bilinear", align_corners=False)


@net(RESIZE, (1, 10, 10), opset=16, batch=1)
class Srcnn_Bicubic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 9, padding=2, padding_mode="replicate")
        self.conv2 = nn.Conv2d(8, 6, 1, padding=2, padding_mode="replicate")
        self.conv3 = nn.Conv2d(6, 1, 5, padding=2, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))


@net(RESIZE, (3, 16, 16), opset=14, batch=1)
class Zero_Dce(nn.Module):
    """Curves of light applied four times: squares of the picture times maps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 3, 1, 1), nn.Conv2d(6, 6, 3, 1, 1)
        self.conv3 = nn.Conv2d(12, 6, 3, 1, 1)
        self.upsample = nn.UpsamplingBilinear2d(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        down = F.interpolate(x, scale_factor=0.5, mode="bilinear")
        x1 = F.relu(self.conv1(down))
        x2 = F.relu(self.conv2(x1))
        curves = self.upsample(torch.tanh(self.conv3(torch.cat([x1, x2], 1))))
        for r in torch.split(curves, 3, dim=1):
            x = x + r * (torch.pow(x, 2) - x)
        return x


# Super-resolution


@net(SUPER, (1, 10, 12), opset=9)
class Espcn(nn.Module):
    """The PyTorch example's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 5, 1, 2), nn.Conv2d(8, 8, 3, 1, 1)
        self.conv3, self.conv4 = nn.Conv2d(8, 6, 3, 1, 1), nn.Conv2d(6, 9, 3, 1, 1)
        self.pixel_shuffle = nn.PixelShuffle(3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))))
        return self.pixel_shuffle(self.conv4(x))


class MeanShift(nn.Conv2d):
    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, 1)
        self.weight.data = torch.eye(3).view(3, 3, 1, 1)
        self.bias.data = sign * torch.tensor([0.4488, 0.4371, 0.4040])


class EdsrBlock(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(n, n, 3, padding=1), nn.ReLU(True),
                                  nn.Conv2d(n, n, 3, padding=1))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mul(0.1) + x


@net(SUPER, (3, 8, 8), dynamo=True, opset=18)
class Edsr(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.head = nn.Conv2d(3, 8, 3, padding=1)
        self.body = nn.Sequential(EdsrBlock(8), EdsrBlock(8), nn.Conv2d(8, 8, 3, padding=1))
        self.tail = nn.Sequential(nn.Conv2d(8, 32, 3, padding=1), nn.PixelShuffle(2),
                                  nn.Conv2d(8, 3, 3, padding=1))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(self.body(x) + x))


@net(SUPER, (3, 8, 8), opset=11)
class Srgan(nn.Module):
    """SRResNet: PReLU, batch norm, two shuffles, 9 x 9 at both ends, output moved to 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(3, 4, 9, padding=4), nn.PReLU())
        self.res = nn.Sequential(
            nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.PReLU(),
            nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4),
        )  # fmt: skip
        self.up = nn.Sequential(nn.Conv2d(4, 16, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())
        self.last = nn.Conv2d(4, 3, 9, padding=4)

    def forward(self, x: Tensor) -> Tensor:
        block1 = self.block1(x)
        return (torch.tanh(self.last(self.up(block1 + self.res(block1)))) + 1) / 2


class DenseBlock5C(nn.Module):
    def __init__(self, nf: int = 6, gc: int = 4) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(nf, gc, 3, 1, 1), nn.Conv2d(nf + gc, gc, 3, 1, 1)
        self.conv3 = nn.Conv2d(nf + 2 * gc, nf, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x1 = F.leaky_relu(self.conv1(x), 0.2)
        x2 = F.leaky_relu(self.conv2(torch.cat((x, x1), 1)), 0.2)
        return self.conv3(torch.cat((x, x1, x2), 1)) * 0.2 + x


@net(SUPER, (3, 6, 6), opset=15)
class Esrgan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(3, 6, 3, 1, 1)
        self.rdb1, self.rdb2 = DenseBlock5C(), DenseBlock5C()
        self.trunk_conv, self.upconv1 = nn.Conv2d(6, 6, 3, 1, 1), nn.Conv2d(6, 6, 3, 1, 1)
        self.hrconv, self.conv_last = nn.Conv2d(6, 6, 3, 1, 1), nn.Conv2d(6, 3, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        fea = self.conv_first(x)
        fea = fea + self.trunk_conv(self.rdb2(self.rdb1(fea)) * 0.2 + fea)
        fea = F.leaky_relu(self.upconv1(F.interpolate(fea, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.hrconv(fea), 0.2))


@net(SUPER, (3, 8, 8), dynamo=True, opset=22)
class Realesrgan_Compact(nn.Module):
    """SRVGGNetCompact: PReLU a channel, a shuffle, and the input enlarged by nearest."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleList([nn.Conv2d(3, 8, 3, 1, 1), nn.PReLU(8), nn.Conv2d(8, 8, 3, 1, 1),
                                   nn.PReLU(8), nn.Conv2d(8, 48, 3, 1, 1)])  # fmt: skip
        self.upsampler = nn.PixelShuffle(4)

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for layer in self.body:
            out = layer(out)
        return self.upsampler(out) + F.interpolate(x, scale_factor=4, mode="nearest")


@net(SUPER, (3, 10, 10), opset=13)
class Abpn(nn.Module):
    """An anchor: every colour is repeated for each pixel it becomes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(),
                                  nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(),
                                  nn.Conv2d(12, 12, 3, padding=1))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        anchor = torch.repeat_interleave(x, 4, dim=1)
        return torch.clamp(F.pixel_shuffle(self.body(x) + anchor, 2), 0, 1)


@net(SUPER, (3, 16, 16), opset=13, batch=1)
class Ffdnet(nn.Module):
    """Denoising at a quarter of the size; the level of noise was fixed at export."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(13, 8, 3, padding=1), nn.ReLU(),
                                   nn.Conv2d(8, 12, 3, padding=1))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.size()[-2:]
        y = F.pixel_unshuffle(x, 2)
        sigma = torch.full((1, 1, 1, 1), 0.1).repeat(1, 1, h // 2, w // 2)
        return F.pixel_shuffle(self.model(torch.cat((y, sigma), 1)), 2)


@net(SUPER, (3, 12, 12), opset=8)
class Dncnn(nn.Module):
    """Denoising: the noise is found, and taken off."""

    def __init__(self) -> None:
        super().__init__()
        self.dncnn = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8, eps=1e-4), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x - self.dncnn(x)


@net(SUPER, (3, 8, 8), opset=17, batch=1)
class Imdn(nn.Module):
    """Information distillation by splits, and attention to contrast."""

    def __init__(self) -> None:
        super().__init__()
        self.fea = nn.Conv2d(3, 8, 3, padding=1)
        self.c1, self.c2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.c3 = nn.Conv2d(6, 2, 3, padding=1)
        self.conv_du = nn.Sequential(nn.Conv2d(6, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(2, 6, 1),
                                     nn.Sigmoid())  # fmt: skip
        self.c5, self.up = nn.Conv2d(6, 8, 1), nn.Conv2d(8, 12, 3, padding=1)

    @staticmethod
    def contrast(x: Tensor) -> Tensor:
        mean = x.sum(3, keepdim=True).sum(2, keepdim=True) / (x.size(2) * x.size(3))
        var = (x - mean).pow(2).sum(3, keepdim=True).sum(2, keepdim=True)
        return (var / (x.size(2) * x.size(3))).pow(0.5) + mean

    def forward(self, x: Tensor) -> Tensor:
        x = self.fea(x)
        d1, r1 = torch.split(F.leaky_relu(self.c1(x), 0.05), (2, 6), dim=1)
        d2, r2 = torch.split(F.leaky_relu(self.c2(r1), 0.05), (2, 6), dim=1)
        out = torch.cat([d1, d2, self.c3(r2)], dim=1)
        out = self.c5(out * self.conv_du(self.contrast(out))) + x
        return F.pixel_shuffle(self.up(out), 2)


if __name__ == "__main__":
    EXPORTS.write(Path(__file__).parent)
