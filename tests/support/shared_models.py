"""Trained networks that lie beside the checkout; tests that need them are skipped elsewhere."""

from __future__ import annotations

import pytest

from support.places import SHARED_WEIGHTS
from winogen.network.graph import Graph
from winogen.network.zoo import load_model

FOLDERS = (
    "dcgan_mnist28_ganjax",
    "dcgan_faces32_fletcher",
    "dcgan_anime64_keras",
    "dcgan_mnist32_qdcgan_w4a4",
    "fsrcnn_x2_nhat",
)


def shared_model(folder: str) -> Graph:
    if not (SHARED_WEIGHTS / folder).is_dir():
        pytest.skip(f"trained weights for checking are not here: ../shared/weights/{folder}")
    return load_model(SHARED_WEIGHTS / folder)
