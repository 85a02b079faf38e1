"""Judge the images of the ``digits`` generator with a classifier fitted on real digits.

The classifier is kernel logistic regression (an RBF feature map followed by a softmax) fitted on
the training part of scikit-learn's bundled digits. It shares nothing with the networks that took
part in training the generator. Its softmax is close to calibrated, and it falls back to an even
spread over the classes far away from real digits, so noise does not score.

Needs numpy, scikit-learn and pillow only. The images come either from the shipped weights, run in
float by the small forward pass below, or from a file written by any other backend::

    python training/evaluate_digits.py
    python training/evaluate_digits.py --images samples.npy --sheet sheet.png
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

DEFAULT_WEIGHTS = Path(__file__).resolve().parents[1] / "driver/winogen/network/zoo/digits.npz"

CLASSES = 10
IMAGE_SIZE = 32
BN_EPS = 1e-5

# Stride and padding of deconv1..deconv4; kernel size and channel counts come from the weights.
LAYERS: tuple[tuple[int, int], ...] = ((1, 0), (2, 1), (2, 1), (2, 1))

MIN_ACCURACY = 0.98
CONFIDENT = 0.90
MIN_CONFIDENT_SHARE = 0.80
MIN_CLASS_SHARE = 0.03


class Digits(NamedTuple):
    """Real digits at 32x32 in [-1, 1], split once and for all."""

    train_images: np.ndarray
    train_labels: np.ndarray
    held_out_images: np.ndarray
    held_out_labels: np.ndarray


def upsample(image: np.ndarray) -> np.ndarray:
    """Return an 8x8 digit with values 0..16 as a smooth 32x32 image in [-1, 1]."""
    big = Image.fromarray(image.astype(np.float32)).resize(
        (IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(big), 0.0, 16.0) / 8.0 - 1.0


def load_real() -> Digits:
    """Load the real digits; a quarter, stratified by class, is held out.

    The generator is trained on the training part only, so the held-out part is unseen by
    everything that is judged with it.
    """
    data = load_digits()
    images = np.stack([upsample(image) for image in data.images])
    train_x, held_x, train_y, held_y = train_test_split(
        images, data.target, test_size=0.25, random_state=0, stratify=data.target
    )
    return Digits(train_x, train_y, held_x, held_y)


def as_unit_range(images: np.ndarray) -> np.ndarray:
    """Return images as float32 (N, 32, 32) in [-1, 1].

    Integer images are read as 0..255, floating-point images as tanh outputs in -1..1.
    """
    images = np.asarray(images)
    if images.ndim == 4 and images.shape[1] == 1:
        images = images[:, 0]
    if images.ndim != 3 or images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE):
        raise ValueError(f"expected (N, 32, 32) or (N, 1, 32, 32) images, got {images.shape}")
    if len(images) == 0:
        raise ValueError("there are no images to judge")
    if images.dtype.kind in "iu":
        if images.dtype != np.uint8:
            raise ValueError(f"integer images must be uint8, got {images.dtype}")
        return images.astype(np.float32) / 127.5 - 1.0
    if images.dtype.kind != "f":
        raise ValueError(f"images must be uint8 or floating point, got {images.dtype}")
    if not np.isfinite(images).all():
        raise ValueError("images contain values that are not finite")
    if np.abs(images).max() > 1.0 + 1e-3:
        raise ValueError("floating-point images must lie in -1..1")
    return images.astype(np.float32)


def features(images: np.ndarray) -> np.ndarray:
    """Average 32x32 images over 4x4 blocks: the 64 inputs of the classifier."""
    blocks = images.reshape(len(images), 8, 4, 8, 4)
    return blocks.mean(axis=(2, 4)).reshape(len(images), 64)


def fit_classifier(real: Digits | None = None, components: int = 1200) -> tuple[Pipeline, float]:
    """Fit the judge on the real training digits; return it and its held-out accuracy.

    ``components`` are those of the kernel's approximation: fewer are fitted sooner.
    """
    real = load_real() if real is None else real
    clf = make_pipeline(
        Nystroem(kernel="rbf", gamma=0.05, n_components=components, random_state=0),
        LogisticRegression(C=100.0, max_iter=3000),
    )
    clf.fit(features(real.train_images), real.train_labels)
    accuracy = clf.score(features(real.held_out_images), real.held_out_labels)
    return clf, float(accuracy)


def judge(images: np.ndarray, clf: Pipeline) -> dict[str, Any]:
    """Return how confident the classifier is on the images and how the classes are spread."""
    images = as_unit_range(images)
    probability = clf.predict_proba(features(images))
    confidence = probability.max(axis=1)
    label = probability.argmax(axis=1)
    shares = np.bincount(label, minlength=CLASSES) / len(label)
    return {
        "images": len(images),
        "confident_share": float((confidence >= CONFIDENT).mean()),
        "mean_confidence": float(confidence.mean()),
        "class_shares": [float(share) for share in shares],
        "min_class_share": float(shares.min()),
        "labels": label,
    }


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the matrix of Euclidean distances between two sets of images."""
    flat_a = a.reshape(len(a), -1).astype(np.float64)
    flat_b = b.reshape(len(b), -1).astype(np.float64)
    square = (flat_a**2).sum(1)[:, None] + (flat_b**2).sum(1) - 2.0 * flat_a @ flat_b.T
    return np.sqrt(np.maximum(square, 0.0))


def spread(images: np.ndarray) -> float:
    """Return the mean distance over all pairs of different images (0 for fewer than two)."""
    count = len(images)
    if count < 2:
        return 0.0
    return float(distances(images, images).sum() / (count * (count - 1)))


def diversity(images: np.ndarray, labels: np.ndarray, real: Digits) -> dict[str, Any]:
    """Compare the spread within each class, and the distance to the training set, with real data.

    A spread ratio near 1 means the class is as varied as the real digits; near 0 is mode collapse.
    A nearest-training-image distance far below that of held-out digits would mean memorisation.
    """
    images = as_unit_range(images)
    ratios = [
        spread(images[labels == digit]) / spread(real.train_images[real.train_labels == digit])
        for digit in range(CLASSES)
    ]
    nearest = distances(images, real.train_images).min(axis=1)
    nearest_held_out = distances(real.held_out_images, real.train_images).min(axis=1)
    return {
        "spread_ratios": [float(ratio) for ratio in ratios],
        "mean_spread_ratio": float(np.mean(ratios)),
        "nearest_train_median": float(np.median(nearest)),
        "nearest_train_median_held_out": float(np.median(nearest_held_out)),
    }


def conv_transpose(x: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Transposed convolution in scatter form; ``weight`` is (cin, cout, kh, kw)."""
    count, _, height, width = x.shape
    _, cout, kh, kw = weight.shape
    full = np.zeros(
        (count, cout, (height - 1) * stride + kh, (width - 1) * stride + kw), dtype=np.float32
    )
    for i in range(kh):
        for j in range(kw):
            part = np.tensordot(x, weight[:, :, i, j], axes=([1], [0])).transpose(0, 3, 1, 2)
            rows = slice(i, i + height * stride, stride)
            columns = slice(j, j + width * stride, stride)
            full[:, :, rows, columns] += part
    end_y, end_x = full.shape[2] - padding, full.shape[3] - padding
    return full[:, :, padding:end_y, padding:end_x]


def generate(weights: dict[str, np.ndarray], latents: np.ndarray) -> np.ndarray:
    """Run the generator in float32; return images (N, 32, 32) in [-1, 1]."""
    x = latents.astype(np.float32)[:, :, None, None]
    for number, (stride, padding) in enumerate(LAYERS, start=1):
        name = f"deconv{number}"
        x = conv_transpose(x, weights[f"{name}.weight"], stride, padding)
        if number < len(LAYERS):
            scale = weights[f"{name}.bn_gamma"] / np.sqrt(weights[f"{name}.bn_var"] + BN_EPS)
            shift = weights[f"{name}.bn_beta"] - weights[f"{name}.bn_mean"] * scale
            x = np.maximum(x * scale[:, None, None] + shift[:, None, None], 0.0)
        else:
            x = np.tanh(x + weights[f"{name}.bias"][:, None, None])
    return x[:, 0]


def load_weights(path: Path) -> dict[str, np.ndarray]:
    """Load a weights file into a dictionary of float32 arrays."""
    with np.load(path) as stored:
        return {key: stored[key].astype(np.float32) for key in stored.files}


def sample(weights: dict[str, np.ndarray], count: int, seed: int) -> np.ndarray:
    """Generate ``count`` images from standard normal latents drawn with ``seed``."""
    channels = weights["deconv1.weight"].shape[0]
    latents = np.random.default_rng(seed).standard_normal((count, channels)).astype(np.float32)
    return np.concatenate([generate(weights, part) for part in np.array_split(latents, 8)])


def write_sheet(
    images: np.ndarray, path: Path, columns: int = 16, rows: int = 10, scale: int = 2
) -> None:
    """Write the first ``rows * columns`` images as a contact sheet, in the order given."""
    pixels = np.rint((as_unit_range(images[: rows * columns]) + 1.0) * 127.5)
    pad = rows * columns - len(pixels)
    pixels = np.pad(np.clip(pixels, 0, 255).astype(np.uint8), ((0, pad), (1, 1), (1, 1)))
    edge = IMAGE_SIZE + 2
    grid = pixels.reshape(rows, columns, edge, edge).transpose(0, 2, 1, 3)
    sheet = Image.fromarray(grid.reshape(rows * edge, columns * edge))
    sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST).save(path)


def evaluate(images: np.ndarray) -> dict[str, Any]:
    """Fit the classifier, judge the images and check the bars; return all figures."""
    real = load_real()
    clf, accuracy = fit_classifier(real)
    report = judge(images, clf)
    labels = report.pop("labels")
    report["held_out_accuracy"] = accuracy
    report["held_out_confident_share"] = judge(real.held_out_images, clf)["confident_share"]
    report.update(diversity(images, labels, real))
    report["bars"] = {
        "held_out_accuracy": accuracy >= MIN_ACCURACY,
        "confident_share": report["confident_share"] >= MIN_CONFIDENT_SHARE,
        "class_shares": report["min_class_share"] >= MIN_CLASS_SHARE,
    }
    report["passed"] = all(report["bars"].values())
    return report


def describe(report: dict[str, Any]) -> str:
    """Return the report as text for a person."""

    def verdict(name: str) -> str:
        return "ok" if report["bars"][name] else "MISSED"

    shares = " ".join(f"{d}:{share:.1%}" for d, share in enumerate(report["class_shares"]))
    ratios = " ".join(f"{d}:{ratio:.2f}" for d, ratio in enumerate(report["spread_ratios"]))
    return "\n".join(
        [
            f"classifier, held-out real digits  {report['held_out_accuracy']:.2%} right"
            f"  (at least {MIN_ACCURACY:.0%}: {verdict('held_out_accuracy')})",
            f"images at least {CONFIDENT:.0%} confident    {report['confident_share']:.1%}"
            f" of {report['images']}"
            f"  (at least {MIN_CONFIDENT_SHARE:.0%}: {verdict('confident_share')};"
            f" held-out real digits: {report['held_out_confident_share']:.1%})",
            f"smallest class share              {report['min_class_share']:.1%}"
            f"  (at least {MIN_CLASS_SHARE:.0%}: {verdict('class_shares')})",
            f"class shares                      {shares}",
            f"spread within class / real        {ratios}  mean {report['mean_spread_ratio']:.2f}",
            f"median distance to training set   {report['nearest_train_median']:.2f}"
            f"  (held-out real digits: {report['nearest_train_median_held_out']:.2f})",
            "passed" if report["passed"] else "FAILED",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """Evaluate weights or stored images; return 0 if every bar is met, else 1."""
    parser = argparse.ArgumentParser(description="Judge images of the digits generator.")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS, help="weights to run")
    source.add_argument(
        "--images", type=Path, help=".npy of (N, 32, 32) images, uint8 or float in -1..1"
    )
    parser.add_argument("--count", type=int, default=1000, help="samples to generate")
    parser.add_argument("--seed", type=int, default=0, help="seed of the latents")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet (PNG) here")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    args = parser.parse_args(argv)
    if args.count < 1:
        parser.error("--count must be at least 1")

    if args.images is not None:
        images = np.load(args.images, allow_pickle=False)
    else:
        images = sample(load_weights(args.weights), args.count, args.seed)
    report = evaluate(images)
    if args.sheet is not None:
        write_sheet(images, args.sheet)
    print(json.dumps(report, indent=2) if args.json else describe(report))
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
