"""The ONNX importer against onnxruntime, and against ONNX's own node tests."""

from __future__ import annotations

import re

import numpy as np
import pytest

REASON = "reading ONNX models needs the packages onnx and onnxruntime"
onnx = pytest.importorskip("onnx", reason=REASON)
pytest.importorskip("onnxruntime", reason=REASON)

from hypothesis import given  # noqa: E402

from support import onnx_cases  # noqa: E402
from support.onnx_models import NEWEST, Net, dcgan, norm, random_model, run  # noqa: E402
from support.onnx_oracle import to_onnx  # noqa: E402
from support.places import ONNX_FILES, ROOT  # noqa: E402
from support.strategies import SEEDS, Drawn, drawn, examples, graphs  # noqa: E402
from winogen.common.errors import InputError, ModelError, UnsupportedLayerError  # noqa: E402
from winogen.compiler.compile import compile_graph  # noqa: E402
from winogen.compiler.fold import fold  # noqa: E402
from winogen.compiler.integers import run_integer  # noqa: E402
from winogen.network import reference  # noqa: E402
from winogen.network.graph import Graph  # noqa: E402
from winogen.network.onnx import import_onnx  # noqa: E402
from winogen.network.onnx.doc import operator_table, refusal_list  # noqa: E402
from winogen.runtime.generator import Generator  # noqa: E402
from winogen.target.board import load_board  # noqa: E402

DOCS = ROOT / "docs"
TOLERANCE = 1e-4


def imported(model: onnx.ModelProto) -> Graph:
    return import_onnx(model.SerializeToString(), name="net")


def check(model: onnx.ModelProto, shape: tuple[int, ...], seed: int = 0, batch: int = 2) -> Graph:
    """The imported graph gives what onnxruntime gives, and folds to blocks."""
    graph = imported(model)
    x = np.random.default_rng(seed).standard_normal((batch, *shape)).astype(np.float32)
    wanted = run(model, x)
    if len(shape) == 3 and shape != graph.input.shape:
        x = x.transpose(0, 3, 1, 2)
    got = reference.run(graph, x)
    if wanted.ndim == 4 and got.shape != wanted.shape:
        got = got.transpose(0, 2, 3, 1)
    assert got.shape == wanted.shape or wanted.ndim != 4
    assert np.abs(got.reshape(wanted.shape) - wanted).max() <= TOLERANCE
    fold(graph)
    return graph


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


# Random networks


def check_random(seed: int, rng: Drawn) -> None:
    model, shape = random_model(seed, rng)
    try:
        check(model, shape, seed)
    except UnsupportedLayerError as error:  # an exact refusal of the geometry, not of an operator
        raise AssertionError(f"seed {seed}: {error}") from None
    except ModelError as error:  # all that was drawn changes nothing
        assert "the network has no layers" in str(error)


@examples(20)
@given(seed=SEEDS, rng=drawn())
def test_random_models_agree_with_onnxruntime(seed, rng):
    check_random(seed, rng)


@examples(20)
@given(graph=graphs(), seed=SEEDS)
def test_graphs_survive_export_and_import(graph, seed):
    check(to_onnx(graph), graph.input.shape, seed)


@pytest.mark.long
@examples(1000)
@given(seed=SEEDS, rng=drawn(), graph=graphs())
def test_many_random_models_agree_with_onnxruntime(seed, rng, graph):
    check_random(seed, rng)
    check(to_onnx(graph), graph.input.shape, seed)


# Exporters


@pytest.mark.parametrize("opset", [11, 12, 13, 14, 15, 17, 18, 21, NEWEST])
@pytest.mark.parametrize("batch", ["n", None, 1, 2])
def test_dcgan_of_every_opset(opset, batch):
    model = dcgan(opset=opset, batch=batch)
    graph = imported(model)
    assert ops(graph) == ["deconv", "batchnorm", "relu"] * 2 + ["deconv", "tanh"]
    assert graph.nodes[0].name == "/main/up12"
    assert (graph.input.shape, graph.input.kind) == ((16, 1, 1), "latent")
    assert graph.output_range == (-1.0, 1.0)
    # onnxruntime may not know the newest opset yet; nothing that this model uses has changed.
    check(dcgan(opset=min(opset, 21), batch=batch), (16, 1, 1), batch=batch if batch == 1 else 2)


@pytest.mark.parametrize("path", sorted(ONNX_FILES.glob("*.onnx")), ids=lambda p: p.stem)
def test_files_of_real_exporters(path):
    """The files are those of tests/data/onnx_files/README.md."""
    if int(path.stem.split("-")[2]) > NEWEST:
        pytest.skip(f"onnx {onnx.__version__} does not know its opset yet")
    expected = np.load(path.parent / f"{path.stem.split('-')[0]}.npz")
    graph = import_onnx(path)
    x, wanted = expected["x"], expected["y"]
    if x.ndim == 4 and x.shape[1:] != graph.input.shape:
        x = x.transpose(0, 3, 1, 2)
    if wanted.shape[1:] != graph.output_shape:
        wanted = wanted.transpose(0, 3, 1, 2)
    assert np.abs(reference.run(graph, x) - wanted).max() <= TOLERANCE


def test_there_are_files_of_real_exporters():
    assert len(list(ONNX_FILES.glob("*.onnx"))) >= 6


def test_dense_then_nhwc_as_keras_writes_it():
    """Dense, a norm of every feature, reshape to NHWC: the linear layer gives the image itself."""
    net = Net()
    x = net.node("MatMul", "z", net.weight(6, 4 * 3 * 5))
    x = net.node("BatchNormalization", x, *norm(net, 60))
    x = net.node("LeakyRelu", x, alpha=0.3)
    x = net.node("Reshape", x, net.const((-1, 4, 3, 5), np.int64))
    x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    x = net.node("Conv", x, net.weight(3, 5, 3, 3), auto_pad="SAME_UPPER")
    x = net.node("Transpose", net.node("Sigmoid", x), perm=[0, 2, 3, 1])
    graph = check(net.model(x, ["n", 6]), (6,))
    assert ops(graph) == ["linear", "leaky_relu", "conv", "sigmoid"]
    assert graph.output_shape == (3, 4, 3)


#: The batch of a model, and how many images it is given.
BATCHES = [("n", 2), (1, 1)]


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize(("batch", "images"), BATCHES)
def test_dense_of_one_pixel_as_keras_writes_it(c, tokens, batch, images):
    """Squeeze and excitation with keepdims: dense layers on (N, 1, 1, C), or on (N, 1, C)."""
    net = Net()
    x = net.node("GlobalAveragePool", "z")
    if tokens:
        x = net.node("Reshape", x, net.const((-1, 1, c), np.int64))
    else:
        x = net.node("Transpose", x, perm=[0, 2, 3, 1])
    x = net.node("Relu", net.node("Add", net.node("MatMul", x, net.weight(c, 4)), net.weight(4)))
    x = net.node("Sigmoid", net.node("MatMul", x, net.weight(4, c)))
    if tokens:
        x = net.node("Reshape", x, net.const((-1, c, 1, 1), np.int64))
    else:
        x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    model = net.model(net.node("Mul", "z", x), [batch, c, 5, 4])
    graph = check(model, (c, 5, 4), batch=images)
    assert ops(graph).count("linear") == 2


@pytest.mark.parametrize(("batch", "images"), BATCHES)
def test_a_map_is_added_to_one_pixel_with_channels_last(batch, images):
    net = Net()
    x = net.node("Transpose", net.node("GlobalAveragePool", "z"), perm=[0, 2, 3, 1])
    x = net.node("Transpose", net.node("Add", x, net.weight(1, 4, 5, 3)), perm=[0, 3, 1, 2])
    graph = check(net.model(x, [batch, 3, 4, 5]), (3, 4, 5), batch=images)
    assert graph.output_shape == (3, 4, 5)


@pytest.mark.parametrize(("batch", "images"), BATCHES)
def test_a_matrix_times_the_only_row(batch, images):
    net = Net()
    x = net.node("MatMul", "z", net.weight(5, 4))
    graph = check(net.model(x, [batch, 1, 1, 5]), (1, 1, 5), batch=images)
    assert ops(graph) == ["linear"]


@pytest.mark.parametrize(("batch", "images"), BATCHES)
def test_a_reshaped_vector_is_joined_as_the_image_beside_it(batch, images):
    """(N, 1, 1, 2) may have its channels first or last; what a convolution made of it tells."""
    net = Net()
    x = net.node("Reshape", "z", net.const((-1, 1, 1, 2), np.int64))
    y = net.node("Conv", x, net.weight(2, 1, 3, 3), pads=[1] * 4)
    x = net.node("BatchNormalization", net.node("Concat", x, y, axis=1), *norm(net, 3))
    graph = check(net.model(x, [batch, 2]), (2,), batch=images)
    assert graph.output_shape == (3, 1, 2)


@pytest.mark.parametrize(("batch", "images"), BATCHES)
def test_a_vector_as_the_rows_of_an_image_is_an_image(batch, images):
    net = Net()
    x = net.node("Relu", net.node("MatMul", "z", net.weight(2, 3)))
    x = net.node("Reshape", x, net.const((-1, 1, 3, 1), np.int64))
    graph = check(net.model(x, [batch, 2]), (2,), batch=images)
    assert graph.output_shape == (1, 3, 1)


def test_pixel_shuffle_joins_a_convolution():
    net = Net()
    x = net.node("Conv", "z", net.weight(12, 3, 3, 3), pads=[1] * 4)
    x = net.node("DepthToSpace", x, blocksize=2, mode="CRD")
    graph = check(net.model(net.node("Tanh", x), ["n", 3, 5, 4]), (3, 5, 4))
    assert ops(graph) == ["deconv", "tanh"]
    assert graph.nodes[0].attrs["kernel"] == (6, 6)


def test_pixel_shuffle_by_reshape_and_transpose():
    net = Net()
    x = net.node("Reshape", "z", net.const((0, 2, 2, 2, 3, 5), np.int64))
    x = net.node("Transpose", x, perm=[0, 1, 4, 2, 5, 3])
    x = net.node("Reshape", x, net.const((-1, 2, 6, 10), np.int64))
    x = net.node("Conv", x, net.weight(2, 2, 3, 3))
    graph = check(net.model(x, ["n", 8, 3, 5]), (8, 3, 5))
    assert ops(graph) == ["deconv", "conv"]


def test_padding_joins_the_convolution_after_it():
    net = Net()
    x = net.node("Pad", "z", net.const((0, 0, 2, 1, 0, 0, 0, 3), np.int64))
    x = net.node("Conv", x, net.weight(4, 2, 3, 3), pads=[1, 1, 1, 1])
    graph = check(net.model(x, ["n", 2, 5, 5]), (2, 5, 5))
    assert ops(graph) == ["conv"]
    assert graph.nodes[0].attrs["pad"] == (3, 1, 2, 4)


def test_cropping_before_a_convolution():
    net = Net()
    x = net.node("Pad", "z", net.const((0, 0, -1, 0, 0, 0, 0, -2), np.int64))
    x = net.node("Conv", x, net.weight(4, 2, 3, 3))
    assert ops(check(net.model(x, ["n", 2, 6, 7]), (2, 6, 7))) == ["deconv", "conv"]


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("GlobalAveragePool", {}),
        ("AveragePool", {"kernel_shape": [2, 3], "strides": [2, 1]}),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}),
    ],
)
def test_averages(op, attrs):
    net = Net()
    x = net.node(op, net.node("Conv", "z", net.weight(4, 2, 3, 3)), **attrs)
    assert ops(check(net.model(x, ["n", 2, 6, 7]), (2, 6, 7))) == ["conv", "conv"]


def test_slices_of_rows_columns_and_channels():
    net = Net()
    x = net.node("Slice", "z", *(net.const(v, np.int64) for v in ((1, -3), (4, 2**31), (1, 2))))
    x = net.node("Slice", x, *(net.const(v, np.int64) for v in ((1,), (-1,), (3,))))
    check(net.model(x, ["n", 5, 6, 7]), (5, 6, 7))


def test_prelu_as_keras_writes_it():
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 2, 3, 3))
    scaled = net.node("Mul", net.node("Relu", net.node("Neg", x)), net.const([[[-0.1]]] * 4))
    x = net.node("Add", net.node("Relu", x), scaled)
    assert ops(check(net.model(x, ["n", 2, 6, 7]), (2, 6, 7))) == ["conv", "prelu"]


def test_upsampling_as_keras_writes_it():
    """Repeat: a new dimension, tiled and merged with the rows, then with the columns."""
    net = Net(opset=13)
    x = net.node("Transpose", "z", perm=[0, 2, 3, 1])
    for axis, shape in ((2, (-1, 10, 4, 3)), (3, (-1, 10, 8, 3))):
        x = net.node("Unsqueeze", x, net.const([axis], np.int64))
        repeats = [2 if i == axis else 1 for i in range(5)]
        x = net.node("Tile", x, net.const(repeats, np.int64))
        x = net.node("Reshape", x, net.const(shape, np.int64))
    x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    x = net.node("Conv", x, net.weight(2, 3, 3, 3), pads=[1] * 4)
    assert ops(check(net.model(x, ["n", 3, 5, 4]), (3, 5, 4))) == ["upsample", "conv"]


def test_flatten_of_an_image_in_either_layout():
    for nhwc in (False, True):
        net = Net()
        x = net.node("Transpose", "z", perm=[0, 2, 3, 1]) if nhwc else "z"
        x = net.node("Gemm", net.node("Flatten", x), net.weight(3 * 4 * 5, 7))
        check(net.model(x, ["n", 3, 4, 5], out_rank=2), (3, 4, 5))


def test_flatten_of_repeated_values_sums_their_weights():
    net = Net()
    x = net.node("Tile", "z", net.const((1, 2), np.int64))
    check(net.model(net.node("Gemm", x, net.weight(6, 4)), ["n", 3], out_rank=2), (3,))


def test_a_value_added_to_itself():
    net = Net()
    x = net.node("Conv", "z", net.weight(2, 2, 1, 1))
    check(net.model(net.node("Add", x, x), ["n", 2, 3, 3]), (2, 3, 3))


def test_concat_of_a_value_with_itself():
    net = Net()
    x = net.node("Concat", "z", "z", axis=1)
    x = net.node("Conv", x, net.weight(2, 4, 3, 3))
    check(net.model(x, ["n", 2, 4, 4]), (2, 4, 4))


def test_an_output_scaled_after_tanh_has_a_known_range():
    net = Net()
    x = net.node("Tanh", net.node("Conv", "z", net.weight(3, 2, 1, 1)))
    x = net.node("Div", net.node("Add", x, net.const(1)), net.const(2))
    graph = check(net.model(x, ["n", 2, 4, 4]), (2, 4, 4))
    assert graph.output_range == (0.0, 1.0)


@pytest.mark.parametrize("kind", ["FLOAT16", "DOUBLE"])
def test_other_float_types_are_read_as_float32(kind):
    net = Net()
    dtype = {"FLOAT16": np.float16, "DOUBLE": np.float64}[kind]
    weight = net.const(np.ones((3, 2, 1, 1)) / 4, dtype)
    x = net.node("Conv", "z", weight)
    model = net.model(x, ["n", 2, 3, 3], kind=getattr(onnx.TensorProto, kind))
    graph = imported(model)
    assert graph.nodes[0].params["weight"].dtype == np.float32
    assert any(kind.lower() in note for note in graph.notes)


@pytest.mark.parametrize("kind", ["FLOAT16", "DOUBLE", "BFLOAT16"])
def test_other_float_types_inside_are_told(kind):
    """As exporters of mixed precision leave them: float32 at both ends."""
    net = Net()
    dtype = np.float64 if kind == "DOUBLE" else np.float16
    x = net.node("Cast", "z", to=getattr(onnx.TensorProto, kind))
    x = net.node("Conv", x, net.const(np.ones((3, 2, 1, 1)) / 4, dtype))
    x = net.node("Cast", x, to=onnx.TensorProto.FLOAT)
    graph = imported(net.model(x, ["n", 2, 3, 3]))
    assert graph.notes == (f"the model works in {kind.lower()}; its weights are read as float32",)


@pytest.mark.parametrize("groups", [2, 4])
def test_groups(groups):
    net = Net()
    x = net.node("Conv", "z", net.weight(4, 4 // groups, 3, 3), group=groups)
    check(net.model(x, ["n", 4, 5, 5]), (4, 5, 5))


def test_any_size_of_image():
    net = Net()
    x = net.node("ConvTranspose", "z", net.weight(1, 1, 4, 4), strides=[2, 2], pads=[1] * 4)
    model = net.model(x, ["n", 1, "h", "w"])
    graph = import_onnx(model.SerializeToString(), name="net", image_size=(6, 5))
    assert graph.output_shape == (1, 12, 10)


@pytest.mark.parametrize("seed", range(4))
def test_imported_models_run_on_the_emulator(seed):
    """Bit for bit what the integers say; how near those are to float is test_quantise's."""
    model, _ = random_model(seed)
    compiled = compile_graph(imported(model), load_board("pynq-z2", 16), batch=1)
    network = compiled.network
    x = np.random.default_rng(seed).standard_normal((2, *network.input.shape))
    wanted = network.output_format.dequantise(run_integer(network, network.quantise_input(x)))
    with Generator(compiled.program) as generator:
        assert np.array_equal(generator.generate(x, as_float=True), wanted)


# ONNX's node tests, and the manual


def test_onnx_node_tests_pass_or_are_refused_as_documented():
    """Every case is checked; the page is compared where it was made with this version of onnx."""
    kept = (DOCS / "reference" / "onnx-cases.md").read_text()
    made = re.search(r"onnx (\d+)\.(\d+)", kept)
    assert made
    here = re.match(r"(\d+)\.(\d+)", onnx.__version__)
    assert here
    order = [tuple(map(int, m.groups())) for m in (made, here)]
    if order[1] < order[0]:
        pytest.skip(
            f"the cases of onnx {onnx.__version__} are older than docs/reference/onnx-cases.md"
        )
    page = onnx_cases.page()
    if order[1] > order[0]:
        pytest.skip(
            f"docs/reference/onnx-cases.md is older than onnx {onnx.__version__}; "
            "all cases are right"
        )
    assert page == kept, "run: PYTHONPATH=driver:tests python tests/support/onnx_cases.py"


def test_the_manual_lists_every_operator():
    text = (DOCS / "use" / "onnx.md").read_text()
    assert operator_table() in text, "run: python -m winogen.network.onnx.doc"
    assert refusal_list() in text, "run: python -m winogen.network.onnx.doc"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("mode", ["auto", "winograd", "direct", "zero-padded"])
def test_a_bias_of_every_phase_on_the_emulator(bits, mode):
    """What a biased convolution before a pixel shuffle leaves; on the device as in integers."""
    net = Net(3)
    x = net.node("Conv", "z", net.weight(12, 2, 3, 3), net.const(range(12)), pads=[1] * 4)
    x = net.node("LeakyRelu", net.node("DepthToSpace", x, blocksize=2, mode="CRD"), alpha=0.25)
    graph = check(net.model(x, ["n", 2, 5, 7]), (2, 5, 7))
    assert ops(graph) == ["deconv", "leaky_relu"]
    assert graph.nodes[0].params["bias"].shape == (3, 2, 2)
    compiled = compile_graph(graph, load_board("tiny", bits), batch=2, mode=mode)
    network = compiled.network
    z = np.random.default_rng(0).standard_normal((3, 2, 5, 7))
    wanted = network.output_format.dequantise(run_integer(network, network.quantise_input(z)))
    with Generator(compiled.program) as generator:
        assert np.array_equal(generator.generate(z, as_float=True), wanted)
    error = np.abs(wanted - reference.run(graph, np.clip(z, -1, 1))).max()
    assert error < (0.5 if bits == 8 else 0.01)


def test_latents_that_are_reshaped_first_stay_latents():
    net = Net()
    flat = net.node("Reshape", "z", net.const([-1, 8], np.int64))
    grown = net.node("Reshape", net.node("MatMul", flat, net.weight(8, 48)),
                     net.const([-1, 3, 4, 4], np.int64))  # fmt: skip
    model = net.model(net.node("Tanh", grown), ("n", 8, 1, 1))
    graph = import_onnx(model.SerializeToString(), name="net")
    assert (graph.input.kind, graph.input.shape) == ("latent", (8, 1, 1))
    with pytest.raises(InputError, match="takes latents: leave --image-size out"):
        import_onnx(model.SerializeToString(), name="net", image_size=(8, 8))
