"""The shipped digits model makes digits, also after quantisation and on the emulated device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from winogen import compile_model
from winogen.network import zoo
from winogen.runtime.generator import Generator


@pytest.fixture(scope="module")
def judge() -> Callable[[NDArray[np.uint8]], dict[str, float]]:
    """Judges images; what it is made with is not imported before."""
    pytest.importorskip("sklearn", reason="the judge is fitted with scikit-learn")
    reason = "needs the repository's training/"
    evaluate_digits = pytest.importorskip("evaluate_digits", reason=reason)
    clf, accuracy = evaluate_digits.fit_classifier(components=300)
    assert accuracy >= 0.98
    return lambda images: evaluate_digits.judge(images, clf)


@pytest.mark.parametrize("bits", [8, 16])
def test_quantised_digits_are_confident_and_balanced(judge, bits):
    with Generator(compile_model("digits", bits=bits)) as generator:
        z = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
        images = generator.generate(z)[..., 0]
    verdict = judge(images)
    assert verdict["confident_share"] >= 0.80
    assert verdict["min_class_share"] >= 0.03


def test_noise_is_not_taken_for_digits(judge):
    noise = np.random.default_rng(0).integers(0, 256, (200, 32, 32), dtype=np.uint8)
    assert judge(noise)["confident_share"] < 0.1


def test_weights_are_small_and_in_the_package():
    weights = Path(zoo.__file__).with_name("digits.npz")
    assert weights.stat().st_size < 2_000_000
