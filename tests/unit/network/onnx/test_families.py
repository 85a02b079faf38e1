"""Generators of every family, as PyTorch's exporters and tf2onnx write them: import to emulator.

What is expected of each file is in tests/data/onnx_families/outcomes.yaml.
"""

from __future__ import annotations

from pathlib import Path

import pytest

REASON = "reading ONNX models needs the packages onnx and onnxruntime"
onnx = pytest.importorskip("onnx", reason=REASON)
pytest.importorskip("onnxruntime", reason=REASON)

from support.onnx_families import (  # noqa: E402
    FILES,
    FOLDER,
    decibels,
    example,
    family,
    outcomes,
    page,
    refusal,
)
from support.places import ROOT  # noqa: E402
from winogen.common.errors import UnsupportedLayerError  # noqa: E402
from winogen.network.onnx import import_onnx  # noqa: E402

OUTCOMES = outcomes()
UPDATE = "PYTHONPATH=driver:tests python tests/support/onnx_families.py"
#: No 8-bit network is worse than this.
FLOOR = 20
#: The real values of black and white, of outputs that are pictures, as far as a model says it.
RANGES = {
    "abpn-torchscript-13": (0, 1),
    "cyclegan_resnet-torchscript-11": (-1, 1),
    "dcgan_uint8-torchscript-15": (0, 255),
    "keras_srgan-tf2onnx-14": (0, 255),
    "keras_unet-tf2onnx-11": (0, 1),
    "srgan-torchscript-11": (0, 1),
    "stylegan2_scaled-torchscript-15": (0, 1),
}
RUNNING = [path for path in FILES if isinstance(OUTCOMES.get(path.stem), int)]
REFUSED = [path for path in FILES if isinstance(OUTCOMES.get(path.stem), str)]
#: The smallest file of each family, for the quick tier.
SMALLEST = [
    min((path for path in RUNNING if family(path) == name), key=lambda path: path.stat().st_size)
    for name in sorted({family(path) for path in RUNNING})
]
OTHERS = [path for path in RUNNING if path not in SMALLEST]
THIRD = [
    path
    for i, path in enumerate(RUNNING)
    if i % 3 == 0 or family(path) == "conditional generators" or "given" in path.stem
]


def runs(path: Path) -> None:
    if int(path.stem.rsplit("-", 1)[1]) > onnx.defs.onnx_opset_version():
        pytest.skip(f"onnx {onnx.__version__} does not know its opset yet")
    try:
        found = decibels(path)
    except UnsupportedLayerError as error:
        pytest.fail(f"{error}\nIf that is meant: {UPDATE} --measure {path.stem}")
    assert found > FLOOR
    # A calibration may differ in its last bit between machines.
    assert abs(found - OUTCOMES[path.stem]) < 1.5, f"{UPDATE} --measure {path.stem}"


@pytest.mark.parametrize("path", SMALLEST, ids=lambda path: path.stem)
def test_one_of_each_family(path):
    runs(path)


@pytest.mark.parametrize("path", OTHERS[::3], ids=lambda path: path.stem)
def test_what_runs(path):
    runs(path)


@pytest.mark.long
@pytest.mark.parametrize(
    "path", [p for i, p in enumerate(OTHERS) if i % 3], ids=lambda path: path.stem
)
def test_the_rest_of_what_runs(path):
    runs(path)


@pytest.mark.long
@pytest.mark.parametrize("path", THIRD, ids=lambda path: path.stem)
def test_16_bits(path):
    """A third of them, and all of several inputs."""
    assert decibels(path, 16) > max(50, OUTCOMES[path.stem] + 6)


@pytest.mark.parametrize("name", RANGES)
def test_the_range_of_a_picture(name):
    low, high = import_onnx(FOLDER / f"{name}.onnx").output_range
    assert (round(low, 3), round(high, 3)) == RANGES[name]


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_what_is_refused(path):
    """In one sentence for each thing that cannot run, which says what can."""
    assert example(path).output.size
    try:
        import_onnx(path)
    except UnsupportedLayerError as error:
        assert refusal(error) == OUTCOMES[path.stem], f"{UPDATE} --measure {path.stem}"
        for problem in error.problems or (str(error),):
            assert "\n" not in problem
            assert "; " in problem or ": " in problem.partition("not supported")[2]
    else:
        pytest.fail(f"it is imported now: {UPDATE} --measure {path.stem}")


def test_the_table_is_of_these_files():
    assert set(OUTCOMES) == {path.stem for path in FILES}
    assert len(FILES) >= 120


def test_the_page_is_that_of_the_table():
    kept = (ROOT / "docs" / "reference" / "onnx-families.md").read_text()
    assert page() == kept, f"{UPDATE} > docs/reference/onnx-families.md"
