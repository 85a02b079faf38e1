"""Train the ``fsrcnn-x2``, ``-x3`` and ``-x4`` networks: super-resolution of luma.

FSRCNN (Dong, Loy & Tang, ECCV 2016) on photographs that come with scikit-image and that anybody
may use (CC0 or public domain, see ``TRAINING``), so nothing is downloaded. A patch is cut out,
shrunk by Pillow's bicubic filter, rounded to 8 bits, and the network learns to undo that, the
zeros beyond the patch's border included. x2 is trained from scratch; x3 and x4 start from it and
get a transposed convolution of their own.

The shipped weights come from::

    python training/train_fsrcnn.py --scale 2 --out driver/winogen/network/zoo/fsrcnn-x2.npz
    python training/train_fsrcnn.py --scale 3 --start driver/winogen/network/zoo/fsrcnn-x2.npz \
        --steps 3000 --out driver/winogen/network/zoo/fsrcnn-x3.npz

and likewise for x4.
"""

from __future__ import annotations

import argparse
import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
import skimage
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

#: CC0: brick, camera, coffee, grass, gravel, retina. Public domain or no known restriction: coins,
#: hubble_deep_field, moon, rocket.
TRAINING = (
    "brick.png", "camera.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "moon.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip
#: Never trained on: a portrait (public domain, NASA) and a cat (CC0).
HELD_OUT = ("astronaut.png", "chelsea.png")
#: Each photograph is used at these sizes; smaller ones are sharper.
SIZES = (1.0, 0.8, 0.65, 0.5)

PATCH = 24  # pixels of a small patch
BATCH = 16
WIDTH, SHRUNK, MAPPINGS = 56, 12, 4


def network(scale: int) -> nn.Sequential:
    """FSRCNN for small luma images (N, 1, H, W) in [0, 1]."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    widths = [(1, WIDTH, 5), (WIDTH, SHRUNK, 1), *[(SHRUNK, SHRUNK, 3)] * MAPPINGS,
              (SHRUNK, WIDTH, 1)]  # fmt: skip
    for number, (cin, cout, kernel) in enumerate(widths, 1):
        layers[f"conv{number}"] = nn.Conv2d(cin, cout, kernel, padding=kernel // 2)
        layers[f"prelu{number}"] = nn.PReLU(cout)
    layers["deconv"] = nn.ConvTranspose2d(WIDTH, 1, 9, scale, 4, output_padding=scale - 1)
    nn.init.normal_(layers["deconv"].weight, 0, 0.01)  # type: ignore[arg-type]
    return nn.Sequential(layers)


def parameters(model: nn.Sequential) -> dict[str, NDArray[np.float32]]:
    """Weights by the names that winogen's definitions give them."""
    arrays = {}
    for name, value in model.state_dict().items():
        layer = name.split(".")[0]
        number = layer.removeprefix("prelu")
        key = f"conv{number}.alpha" if layer != number else name
        arrays[key] = value.detach().numpy().astype(np.float32)
    return arrays


def start_from(model: nn.Sequential, path: Path) -> None:
    """Take every layer but the transposed convolution from stored weights."""
    state = {}
    with np.load(path) as stored:
        for key in stored.files:
            name = f"prelu{key[4:-6]}.weight" if key.endswith(".alpha") else key
            if not key.startswith("deconv"):
                state[name] = torch.tensor(stored[key])
    model.load_state_dict(state, strict=False)


def luma(name: str) -> Image.Image:
    """The luma of one of scikit-image's photographs."""
    with Image.open(Path(skimage.__file__).parent / "data" / name) as picture:
        return picture.convert("RGB").convert("YCbCr").getchannel(0)


def shrink(image: Image.Image, scale: float) -> Image.Image:
    """The image made smaller by Pillow's bicubic filter."""
    size = (round(image.width / scale), round(image.height / scale))
    return image.resize(size, Image.Resampling.BICUBIC)


def pairs(names: tuple[str, ...], scale: int) -> list[tuple[Tensor, Tensor]]:
    """Small and large luma (H, W) in [0, 1] of every photograph at every size."""
    made = []
    for name in names:
        whole = luma(name)
        for size in SIZES:
            large = shrink(whole, 1 / size)
            large = large.crop((0, 0, large.width // scale * scale, large.height // scale * scale))
            both = (shrink(large, scale), large)
            made.append(tuple(torch.tensor(np.asarray(i, np.float32) / 255) for i in both))
    return made


def patches(
    images: list[tuple[Tensor, Tensor]], scale: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """A batch of random patches, turned and mirrored at random."""
    small, large = [], []
    areas = np.array([low.numel() for low, _ in images], float)
    for index in generator.choice(len(images), BATCH, p=areas / areas.sum()):
        low, high = images[index]
        y, x = (int(generator.integers(n - PATCH + 1)) for n in low.shape)
        turns, mirrored = int(generator.integers(4)), bool(generator.integers(2))
        for kept, image, factor in ((small, low, 1), (large, high, scale)):
            part = image[
                y * factor : (y + PATCH) * factor, x * factor : (x + PATCH) * factor
            ].rot90(turns)
            kept.append(part.flip(0) if mirrored else part)
    return torch.stack(small)[:, None], torch.stack(large)[:, None]


def psnr(a: NDArray, b: NDArray, border: int) -> float:
    """Peak signal-to-noise ratio in dB of 8-bit images, without ``border`` pixels at each edge."""
    inner = (slice(border, -border),) * 2
    error = np.mean((a[inner].astype(float) - b[inner].astype(float)) ** 2)
    return 10 * math.log10(255**2 / error)


@torch.no_grad()
def evaluate(model: nn.Sequential, scale: int) -> dict[str, tuple[float, float]]:
    """PSNR in dB of bicubic enlargement and of the network, for each held-out photograph."""
    figures = {}
    for name in HELD_OUT:
        large = luma(name)
        large = large.crop((0, 0, large.width // scale * scale, large.height // scale * scale))
        small = shrink(large, scale)
        out = model(torch.tensor(np.asarray(small, np.float32) / 255)[None, None])[0, 0]
        pixels = np.clip(np.floor(out.numpy() * 255 + 0.5), 0, 255)
        bicubic = small.resize(large.size, Image.Resampling.BICUBIC)
        wanted = np.asarray(large)
        figures[name] = tuple(psnr(np.asarray(i), wanted, scale) for i in (bicubic, pixels))
    return figures


def main() -> None:
    """Train, evaluate, and store the weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--scale", type=int, choices=(2, 3, 4), default=2)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--rate", type=float, default=2e-3, help="largest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start", type=Path, help="weights of another scale to start from")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    generator = np.random.default_rng(options.seed)
    scale = options.scale
    model = network(scale)
    if options.start:
        start_from(model, options.start)
    images = pairs(TRAINING, scale)
    optimiser = torch.optim.Adam(model.parameters(), options.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.rate, total_steps=options.steps, pct_start=0.05
    )
    for step in tqdm(range(options.steps), mininterval=10):
        low, high = patches(images, scale, generator)
        loss = torch.sqrt((model(low) - high) ** 2 + 1e-6).mean()  # Charbonnier
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 2000 == 1999:
            tqdm.write(f"step {step + 1}: loss {loss.item():.4f}, {evaluate(model, scale)}")
    for name, (bicubic, ours) in evaluate(model, scale).items():
        print(f"{name}: bicubic {bicubic:.2f} dB, network {ours:.2f} dB")
    np.savez(options.out, **parameters(model))


if __name__ == "__main__":
    main()
