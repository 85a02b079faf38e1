"""Size casts, ``N'(x)``, that a sign hangs on.

Tools disagree about the sign of ``N'(x)`` and about the width in which ``x`` is taken. So a value
with a sign is widened by assigning it, or by a cast to a signed type. A size cast of such a value
may only drop bits, and nothing may ask for the sign of what is left. Constants are free as long as
they are not negative.
"""

from __future__ import annotations

from typing import Any

from support.rtl.slang import Design, Place


def size_casts(design: Design) -> set[Place]:
    """Every size cast of the text, also where no instance makes slang look at it."""
    from pyslang.syntax import SyntaxKind

    casts = _Casts(design)
    found = set()

    def visit(node: Any) -> None:
        if casts.resizes(node):
            found.add(design.place(node))

    for tree in design.driver.syntaxTrees:
        tree.root.visit(lookup_table={SyntaxKind.CastExpression: visit})
    return found


def signs(design: Design) -> tuple[set[Place], set[Place]]:
    """The size casts that were elaborated, and the places where a sign hangs on one or is lost.

    A sign is lost where a value with one is widened, compared, multiplied or divided among values
    without: it then counts as a large one.
    """
    from pyslang.ast import BinaryOperator, ExpressionKind

    casts = _Casts(design)
    seen: set[Place] = set()
    bad: set[Place] = set()
    asks = {
        BinaryOperator.Multiply, BinaryOperator.Divide, BinaryOperator.Mod, BinaryOperator.Power,
        BinaryOperator.GreaterThan, BinaryOperator.GreaterThanEqual, BinaryOperator.LessThan,
        BinaryOperator.LessThanEqual,
    }  # fmt: skip

    def conversion(node: Any) -> None:
        if casts.resizes(node.syntax) and not node.isImplicit:
            seen.add(design.place(node))
            if casts.signed(node) and node.type.bitWidth >= node.operand.type.bitWidth:
                bad.add(design.place(node))
        elif (
            node.isImplicit
            and node.type.bitWidth > node.operand.type.bitWidth
            and (casts.unsigned(node) or casts.signed(node.operand))
        ):
            bad.add(design.place(node.operand))

    def binary(node: Any) -> None:
        shift = node.op == BinaryOperator.ArithmeticShiftRight
        for operand in [node.left] * shift + [node.left, node.right] * (node.op in asks):
            if casts.signed(operand) or casts.unsigned(operand):
                bad.add(design.place(operand))

    table = {ExpressionKind.Conversion: conversion, ExpressionKind.BinaryOp: binary}
    design.compilation.getRoot().visit(lookup_table=table)
    return seen, bad


class _Casts:
    """Tells size casts from casts to a type, which look the same but for the name."""

    def __init__(self, design: Design) -> None:
        from pyslang import syntax
        from pyslang.ast import EvalContext

        self._context = EvalContext(design.compilation.getRoot())
        self._cast = syntax.CastExpressionSyntax
        self._parentheses = syntax.ParenthesizedExpressionSyntax
        self._data_type = syntax.DataTypeSyntax
        self._types: set[str] = set()

        def visit(node: Any) -> None:
            self._types.add(node.name.valueText)

        kinds = (syntax.SyntaxKind.TypedefDeclaration, syntax.SyntaxKind.TypeAssignment)
        for tree in design.driver.syntaxTrees:
            tree.root.visit(lookup_table=dict.fromkeys(kinds, visit))

    def resizes(self, node: Any) -> bool:
        """Whether a node of a syntax tree is a size cast."""
        while isinstance(node, self._parentheses):  # as a cast of a cast has them
            node = node.expression
        if not isinstance(node, self._cast) or isinstance(node.left, self._data_type):
            return False
        return str(node.left).strip().split("::")[-1] not in self._types

    def has_sign(self, node: Any) -> bool:
        """Whether an expression is a signed value that could be negative."""
        if not node.type.isIntegral or not node.type.isSigned:
            return False
        value = node.eval(self._context).value
        return value is None or int(value) < 0

    def unsigned(self, node: Any) -> bool:
        """Whether an expression is a signed value that is taken as one without a sign, unsaid."""
        from pyslang.ast import ExpressionKind

        return (
            node.kind == ExpressionKind.Conversion
            and node.isImplicit
            and not node.type.isSigned
            and self.has_sign(node.operand)
        )

    def signed(self, node: Any) -> bool:
        """Whether an expression is, but for implicit conversions, a size cast with a sign."""
        from pyslang.ast import ExpressionKind

        while node.kind == ExpressionKind.Conversion and node.isImplicit:
            node = node.operand
        return (
            node.kind == ExpressionKind.Conversion
            and self.resizes(node.syntax)
            and self.has_sign(node.operand)
        )
