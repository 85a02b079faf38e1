"""Train the ``digits`` generator, the default model of winogen.

A DCGAN for 32x32 grey images on the training part of scikit-learn's bundled digits. The generator
sees nothing but a standard normal latent. To get clean digits out of a space without gaps, each
latent is given a class, the largest of its first ten coordinates, and the discriminator is told
that class: it judges (image, class) pairs, by projection. The rule cuts the latent space into ten
equal cones with as little boundary as ten cells can have, so few latents fall between two digits,
every digit comes up equally often, and a digit can be asked for by choosing the latent. Close to
a boundary either of the two digits will do. A small auxiliary classifier, trained on the same
real digits first, adds its cross-entropy to the loss of the generator.

The shipped weights come from::

    python training/train_digits.py --seed 1 --out driver/winogen/network/zoo/digits.npz
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from tqdm import tqdm

from evaluate_digits import CLASSES, DEFAULT_WEIGHTS, load_real

LATENT = 64
CHANNELS = (96, 64, 32)
BATCH = 64

# The coordinates that choose the digit start with larger weights than those that choose the style,
# for a sharp step from one digit to the next.
CLASS_GAIN = 4.0


class Generator(nn.Module):
    """Four transposed convolutions from a 64-vector to a 32x32 image."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = CHANNELS
        self.deconv1 = nn.ConvTranspose2d(LATENT, first, 4, 1, 0, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.deconv2 = nn.ConvTranspose2d(first, second, 4, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(second)
        self.deconv3 = nn.ConvTranspose2d(second, third, 4, 2, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(third)
        self.deconv4 = nn.ConvTranspose2d(third, 1, 4, 2, 1, bias=True)
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
        nn.init.zeros_(self.deconv4.bias)
        with torch.no_grad():
            self.deconv1.weight[:CLASSES] *= CLASS_GAIN

    def forward(self, z: Tensor) -> Tensor:
        """Map latents (N, 64) to images (N, 1, 32, 32) in [-1, 1]."""
        x = F.relu(self.bn1(self.deconv1(z[:, :, None, None])))
        x = F.relu(self.bn2(self.deconv2(x)))
        x = F.relu(self.bn3(self.deconv3(x)))
        return torch.tanh(self.deconv4(x))


class Discriminator(nn.Module):
    """Projection discriminator with spectral normalisation and minibatch deviation."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(1, width, 4, 2, 1))
        self.conv2 = spectral_norm(nn.Conv2d(width, 2 * width, 4, 2, 1))
        self.conv3 = spectral_norm(nn.Conv2d(2 * width, 4 * width, 4, 2, 1))
        self.linear = spectral_norm(nn.Linear(64 * width + 1, 4 * width))
        self.score = spectral_norm(nn.Linear(4 * width, 1))
        self.embed = spectral_norm(nn.Embedding(CLASSES, 4 * width))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Score images (N, 1, 32, 32) as members of their classes."""
        h = F.leaky_relu(self.conv1(x), 0.2)
        h = F.leaky_relu(self.conv2(h), 0.2)
        h = F.leaky_relu(self.conv3(h), 0.2)
        deviation = h.std(dim=0).mean().expand(len(h), 1)
        h = F.leaky_relu(self.linear(torch.cat([h.flatten(1), deviation], dim=1)), 0.2)
        return self.score(h)[:, 0] + (h * self.embed(label)).sum(dim=1)


class AuxiliaryClassifier(nn.Module):
    """Small CNN on the full-size images; takes part in training only, never in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(1024, CLASSES),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return class logits."""
        return self.body(x)


def target_class(z: Tensor, logits: Tensor, margin: float = 0.2) -> Tensor:
    """Return the class each image should have, from its latent and the auxiliary's logits.

    It is the largest of the latent's first ten coordinates. Where the runner-up is within
    ``margin``, the image may as well be that digit, and whichever of the two it already resembles
    more is asked for: what matters there is a sharp step, not its exact place.
    """
    values, classes = z[:, :CLASSES].topk(2, dim=1)
    best, second = logits.gather(1, classes).unbind(dim=1)
    swap = (values[:, 0] - values[:, 1] < margin) & (second > best)
    return torch.where(swap, classes[:, 1], classes[:, 0])


def augment(x: Tensor, shift: float = 1.5, degrees: float = 6.0) -> Tensor:
    """Shift (in pixels of 32) and rotate each image at random; the outside is background."""
    count = len(x)
    angle = (torch.rand(count) * 2 - 1) * math.radians(degrees)
    move = (torch.rand(count, 2) * 2 - 1) * (2 * shift / x.shape[-1])
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack([cos, -sin, move[:, 0], sin, cos, move[:, 1]], dim=1).view(count, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x + 1, grid, padding_mode="zeros", align_corners=False) - 1


def batches(images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled, augmented batches of real digits for ever."""
    while True:
        for index in torch.randperm(len(images)).split(BATCH):
            if len(index) == BATCH:
                yield augment(images[index]), labels[index]


def train_auxiliary(data: Iterator[tuple[Tensor, Tensor]], steps: int) -> AuxiliaryClassifier:
    """Fit the auxiliary classifier on augmented real digits and freeze it.

    Half of each batch is blends of two digits, labelled as blends, so that the classifier is not
    sure of a generated image that is partly one digit and partly another.
    """
    net = AuxiliaryClassifier()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in tqdm(range(steps), desc="auxiliary", unit="step"):
        x, label = next(data)
        target = F.one_hot(label, CLASSES).float()
        share = torch.rand(BATCH)
        share[: BATCH // 2] = 1.0
        mate = torch.randperm(BATCH)
        x = torch.lerp(x[mate], x, share[:, None, None, None])
        target = torch.lerp(target[mate], target, share[:, None])
        loss = F.cross_entropy(net(x + 0.1 * torch.randn_like(x)), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return net.eval().requires_grad_(False)


@torch.no_grad()
def update_average(average: Generator, model: Generator, decay: float) -> None:
    """Move the averaged generator towards the trained one."""
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1.0 - decay)


@torch.no_grad()
def estimate_statistics(generator: Generator, latents: int = 10_000) -> None:
    """Re-estimate the batch-norm statistics over many latents, layer after layer.

    Each layer is measured with the layers before it already in inference mode, so that the stored
    statistics are those of the very network that is shipped.
    """
    generator.eval()
    x = torch.randn(latents, LATENT, 1, 1)
    for number in (1, 2, 3):
        deconv = getattr(generator, f"deconv{number}")
        norm = getattr(generator, f"bn{number}")
        x = torch.cat([deconv(part) for part in x.split(500)])
        variance, mean = torch.var_mean(x, dim=(0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        x = F.relu(norm(x))


def train(steps: int, auxiliary_weight: float) -> Generator:
    """Train and return the averaged generator, ready for inference."""
    real = load_real()
    images = torch.from_numpy(real.train_images).float()[:, None]
    data = batches(images, torch.from_numpy(real.train_labels).long())
    auxiliary = train_auxiliary(data, steps=1500)

    generator, discriminator = Generator(), Discriminator()
    average = copy.deepcopy(generator).requires_grad_(False)
    g_optimiser = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.99))
    d_optimiser = torch.optim.Adam(discriminator.parameters(), lr=4e-4, betas=(0.0, 0.99))

    def schedule(step: int) -> float:
        return min(1.0, 2.0 * (1.0 - step / steps))

    g_schedule = torch.optim.lr_scheduler.LambdaLR(g_optimiser, schedule)
    d_schedule = torch.optim.lr_scheduler.LambdaLR(d_optimiser, schedule)

    progress = tqdm(range(steps), desc="gan", unit="step", mininterval=1.0)
    for step in progress:
        x, label = next(data)
        z = torch.randn(BATCH, LATENT)
        with torch.no_grad():
            fake = augment(generator(z))
            target = target_class(z, auxiliary(fake))
        d_real = discriminator(x, label)
        d_fake = discriminator(fake, target)
        d_loss = F.relu(1.0 - d_real).mean() + F.relu(1.0 + d_fake).mean()
        d_optimiser.zero_grad(set_to_none=True)
        d_loss.backward()
        d_optimiser.step()

        z = torch.randn(BATCH, LATENT)
        fake = augment(generator(z))
        logits = auxiliary(fake)
        target = target_class(z, logits.detach())
        discriminator.requires_grad_(False)
        adversarial = -discriminator(fake, target).mean()
        discriminator.requires_grad_(True)
        guide = F.cross_entropy(logits, target)
        g_optimiser.zero_grad(set_to_none=True)
        (adversarial + auxiliary_weight * guide).backward()
        g_optimiser.step()

        g_schedule.step()
        d_schedule.step()
        update_average(average, generator, decay=min(0.999, step / (step + 100)))
        if step % 20 == 0:
            progress.set_postfix(
                d=f"{d_loss.item():.3f}",
                g=f"{adversarial.item():+.3f}",
                aux=f"{guide.item():.3f}",
                refresh=False,
            )
    estimate_statistics(average)
    return average


def save(generator: Generator, path: Path) -> None:
    """Write the weights file read by the winogen zoo."""
    arrays: dict[str, Tensor] = {}
    for number in (1, 2, 3):
        norm: nn.BatchNorm2d = getattr(generator, f"bn{number}")
        arrays[f"deconv{number}.weight"] = getattr(generator, f"deconv{number}").weight
        arrays[f"deconv{number}.bn_gamma"] = norm.weight
        arrays[f"deconv{number}.bn_beta"] = norm.bias
        arrays[f"deconv{number}.bn_mean"] = norm.running_mean
        arrays[f"deconv{number}.bn_var"] = norm.running_var
    arrays["deconv4.weight"] = generator.deconv4.weight
    arrays["deconv4.bias"] = generator.deconv4.bias
    path.parent.mkdir(parents=True, exist_ok=True)
    numpy_arrays = {k: v.detach().numpy().astype(np.float32) for k, v in arrays.items()}
    np.savez_compressed(path, **numpy_arrays)


def main(argv: list[str] | None = None) -> None:
    """Train the generator and write its weights."""
    parser = argparse.ArgumentParser(description="Train the digits generator.")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random")
    parser.add_argument("--steps", type=int, default=12_000, help="generator updates")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument(
        "--auxiliary-weight", type=float, default=1.0, help="weight of the auxiliary classifier"
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_WEIGHTS, help="weights file to write")
    args = parser.parse_args(argv)

    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)
    save(train(args.steps, args.auxiliary_weight), args.out)


if __name__ == "__main__":
    main()
