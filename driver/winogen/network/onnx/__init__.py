"""ONNX models to graphs: :func:`import_onnx`.

The file is read with every size checked before anything is allocated (:mod:`.read`), then walked
once, node by node. Values known at compile time are folded (:mod:`.folding`); the others are
*views* of values of the graph being built (:mod:`.view`), so that reshapes, transposes and NHWC
layouts cost nothing until something needs the data in another order. One handler for each ONNX
operator adds the graph operations that are exactly the same function, or refuses.
"""

from winogen.network.onnx.importer import import_onnx

__all__ = ["import_onnx"]
