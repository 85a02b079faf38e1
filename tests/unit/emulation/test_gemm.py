"""Products of bytes: exact on this processor, or not used."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from winogen.emulation.emulator import gemm


@pytest.fixture(autouse=True)
def _asked_anew():
    gemm._exact_weights.cache_clear()
    yield
    gemm._exact_weights.cache_clear()


def random_product(rows: int, terms: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(terms)
    codes = rng.choice(np.array([0, 1, 128, 254, 255], np.uint8), (rows, terms))
    return codes, rng.choice(np.array([-128, -1, 0, 3, 127], np.int8), (terms, columns))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 17, 5), (16, 130, 64), (300, 576, 32)])
@pytest.mark.parametrize("expected_rows", [1, 1 << 20])
def test_products_are_those_of_integers(shape, expected_rows):
    """By floats where it is short, by onnxruntime where it is long."""
    if not gemm.available():
        pytest.skip("no exact products of bytes here")
    codes, matrix = random_product(*shape)
    product = gemm.Product(matrix, expected_rows)
    wanted = (codes.astype(np.int64) - gemm.ZERO) @ matrix.astype(np.int64)
    got = product(codes)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, wanted)
    assert np.abs(wanted).max() <= product.largest


def test_short_products_whose_sums_float32_does_not_hold():
    """At 2**24 an odd sum is lost."""
    pytest.importorskip("onnxruntime")
    terms = (1 << 24) // (128 * 127) + 2
    matrix = np.full((terms, 1), 127, np.int8)
    codes = np.zeros((1, terms), np.uint8)  # -128
    codes[0, 0] = 127  # -1
    wanted = -128 * 127 * (terms - 1) - 127
    assert wanted < -(1 << 24) and wanted % 2
    assert gemm.Product(matrix, 1)(codes)[0, 0] == wanted


def test_onnxruntime_is_exact_here_or_not_used():
    pytest.importorskip("onnxruntime")
    assert gemm.available() in (True, False)


class Saturating:
    """What kernels without VNNI do: pairs of products are added in 16 bits."""

    def __init__(self, matrix, threads, weights):
        self.matrix = matrix.astype(np.int64)

    def run(self, _, feeds):
        a, b = feeds["a"].astype(np.int64), self.matrix
        a = np.pad(a, ((0, 0), (0, a.shape[1] % 2)))
        b = np.pad(b, ((0, b.shape[0] % 2), (0, 0)))
        pairs = a[:, ::2, None] * b[None, ::2] + a[:, 1::2, None] * b[None, 1::2]
        out = np.clip(pairs, -(1 << 15), (1 << 15) - 1).sum(axis=1) - gemm.ZERO * b.sum(axis=0)
        return [out.astype(np.int32)]


def test_kernels_that_saturate_are_found_out(monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(gemm, "_session", Saturating)
    assert not gemm.available()
    with pytest.raises(gemm.NoProduct):
        gemm.Product(np.ones((1024, 1024), np.int8), 1024)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 17, 5), (16, 130, 64), (300, 576, 32)])
def test_weights_without_a_sign_where_those_with_one_saturate(monkeypatch, shape):
    """As for every processor that has AVX2 and no VNNI; exact on each that has AVX2."""
    pytest.importorskip("onnxruntime")
    real = gemm._session

    def session(matrix, threads, weights):
        signed = weights == gemm._INT8
        return (Saturating if signed else real)(matrix, threads, weights)

    monkeypatch.setattr(gemm, "_session", session)
    if not gemm.available():
        pytest.skip("no exact products of bytes without a sign here")
    codes, matrix = random_product(*shape)
    wanted = (codes.astype(np.int64) - gemm.ZERO) @ matrix.astype(np.int64)
    np.testing.assert_array_equal(gemm.Product(matrix, 1 << 20)(codes), wanted)


def test_a_build_that_cannot_is_not_used(monkeypatch):
    pytest.importorskip("onnxruntime")

    def broken(matrix, threads, weights):
        raise RuntimeError("MatMulInteger is not implemented")

    monkeypatch.setattr(gemm, "_session", broken)
    assert not gemm.available()


@pytest.mark.parametrize("weights", gemm._WEIGHTS)
def test_the_model_is_what_onnx_takes_it_for(weights):
    onnx = pytest.importorskip("onnx")
    matrix = np.arange(-128, 112, 2, dtype=np.int8).reshape(8, 15)
    model = onnx.load_from_string(gemm._model(matrix, weights))
    onnx.checker.check_model(model, full_check=True)
    held = {x.name: onnx.numpy_helper.to_array(x) for x in model.graph.initializer}
    assert held["b"].dtype == (np.int8 if weights == gemm._INT8 else np.uint8)
    np.testing.assert_array_equal(held["b"].astype(int) - held["move"], matrix)
    assert held["zero"] == gemm.ZERO
    codes, _ = random_product(5, 8, 1)
    evaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator(model)
    (got,) = evaluator.run(None, {"a": codes})
    np.testing.assert_array_equal(got, (codes.astype(int) - gemm.ZERO) @ matrix.astype(int))


def test_without_the_library_numpy_does_it(monkeypatch):
    real = builtins.__import__

    def imported(name, *args, **kwargs):
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", imported)
    assert not gemm.available()


@pytest.mark.parametrize(("text", "wanted"), [("1", 1), ("3", 3), ("0", None), ("x", None)])
def test_threads_are_as_for_blas(monkeypatch, text, wanted):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {4, 7}, raising=False)
    assert gemm._threads() == (wanted or 2)


def test_processors_beyond_what_a_product_needs(monkeypatch):
    """Each product has threads of its own, and a program many products."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(200)), raising=False)
    assert gemm._threads() == 16
