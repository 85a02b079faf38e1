"""The directions in which a network's latents change its image the most, from its weights alone.

The first layer is a matrix: what it makes of a latent is its product with it. The directions in
which this product grows the fastest are the matrix's right singular vectors (Shen and Zhou,
"Closed-form factorization of latent semantics in GANs", CVPR 2021). No image is made for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from winogen.network.graph import Graph, Node, batchnorm_affine
from winogen.network.reference import conv2d, deconv2d

#: Directions that are kept, at most.
MOST = 16
#: Singular values below this share of the greatest say nothing.
_LEAST_SHARE = 1e-6


def principal_directions(graph: Graph, count: int = MOST) -> NDArray[np.float64] | None:
    """At most ``count`` directions (k, n) of unit length in the n latents, the strongest first.

    Labels among the inputs are left out. A batch normalisation right behind the layer is taken for
    a part of it. Several layers that read the latents are one matrix. Each direction's greatest
    component is positive.

    Returns None where the weights alone do not say it: the network takes pictures, or something
    that is no linear layer reads its latents, as a normalisation does.
    """
    spec = graph.input
    if spec.kind != "latent" or spec.shape[1:] != (1, 1):
        return None
    matrices = []
    for node in graph.consumers(graph.INPUT_NAME):
        matrix = _matrix(graph, node)
        if matrix is None:
            return None
        matrices.append(matrix)
    latents = np.ones(spec.shape[0], bool)
    first = 0
    for part in spec.parts:
        latents[first : first + part.channels] = part.kind == "latent"
        first += part.channels
    if not latents.any() or not matrices:
        return None
    _, values, vectors = np.linalg.svd(np.concatenate(matrices)[:, latents], full_matrices=False)
    strong = values > _LEAST_SHARE * values[0] if values[0] > 0 else np.zeros(len(values), bool)
    kept = vectors[strong][:count]
    if not len(kept):
        return None
    greatest = np.abs(kept).argmax(axis=1)
    return kept * np.sign(kept[np.arange(len(kept)), greatest])[:, None]


def _matrix(graph: Graph, node: Node) -> NDArray[np.float64] | None:
    """The matrix (outputs, C) by which a layer multiplies its input; None if it is none."""
    unit = np.eye(graph.input.shape[0])
    weight = node.params["weight"].astype(np.float64) if "weight" in node.params else None
    if node.op == "linear" and weight is not None:
        made = (unit @ weight.T).reshape(-1, *graph.shapes[node.name])
    elif node.op == "deconv" and weight is not None:
        made = deconv2d(unit[:, :, None, None], weight, node.attrs["stride"], node.attrs["crop"])
    elif node.op == "conv" and weight is not None:
        made = conv2d(unit[:, :, None, None], weight, node.attrs["stride"], node.attrs["pad"])
    else:
        return None
    after = graph.consumers(node.name)
    if len(after) == 1 and after[0].op == "batchnorm":
        made = made * batchnorm_affine(after[0])[0][:, None, None]
    return made.reshape(len(made), -1).T
