"""Expressions over the fields of an instruction, as text that Python and SystemVerilog both get.

``pitch < columns or rows and pitch % 4 != 2`` is written once, in Python's words. What can be said:
fields, whole numbers, ``+``, ``*``, ``% 2**n``, comparisons, ``and`` and ``or``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.Gt: ">",
    ast.LtE: "<=",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}

#: A product of fields that have no more bits in all is written as a table.
_SMALL_BITS = 4


@dataclass(frozen=True)
class Expression:
    """One such text. ValueError where it is used if it says anything else."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def names(self) -> tuple[str, ...]:
        """Fields that it mentions, each once, in their order."""
        found = [n for n in ast.walk(self._tree) if isinstance(n, ast.Name)]
        found.sort(key=lambda n: n.col_offset)
        return tuple(dict.fromkeys(n.id for n in found))

    @property
    def terms(self) -> tuple[Expression, ...]:
        """What is added up."""
        return tuple(_expression(n) for n in _operands(self._tree, ast.Add))

    @property
    def factors(self) -> tuple[Expression, ...]:
        """What is multiplied; a product in brackets is one factor."""
        return tuple(_expression(n) for n in _operands(self._tree, ast.Mult))

    @property
    def alternatives(self) -> tuple[Expression, ...]:
        """What is combined by ``or``."""
        tree = self._tree
        if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.Or):
            return tuple(_expression(n) for n in tree.values)
        return (self,)

    def python(self, argument: str) -> str:
        """It in Python, where the fields are attributes of ``argument``."""
        return ast.unparse(_Attributes(argument).visit(self._tree))

    def verilog(self, widths: Mapping[str, int], name: Callable[[str], str]) -> str:
        """It in SystemVerilog: fields have ``widths`` bits and are called ``name(field)``.

        No operation loses bits. The text is a condition, or has :meth:`width` bits.
        """
        return _Verilog(widths, name).text(self._tree)

    def width(self, widths: Mapping[str, int]) -> int:
        """Bits of its value."""
        return _Verilog(widths, str).width(self._tree)

    @property
    def _tree(self) -> ast.expr:
        return ast.parse(self.text, mode="eval").body


def _expression(node: ast.expr) -> Expression:
    return Expression(ast.unparse(node))


def _operands(node: ast.expr, kind: type[ast.operator]) -> Iterator[ast.expr]:
    """The operands of a chain such as a + b + c: it leans to the left."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, kind):
        yield from _operands(node.left, kind)
        yield node.right
    else:
        yield node


def _value(node: ast.expr, fields: Mapping[str, int]) -> int:
    """A sum or product, where the fields have these values."""
    match node:
        case ast.Name(id):
            return fields[id]
        case ast.Constant(int(value)):
            return value
        case ast.BinOp(left, ast.Add(), right):
            return _value(left, fields) + _value(right, fields)
        case ast.BinOp(left, ast.Mult(), right):
            return _value(left, fields) * _value(right, fields)
    raise ValueError(f"not to be said in SystemVerilog: {ast.unparse(node)}")


class _Attributes(ast.NodeTransformer):
    def __init__(self, argument: str):
        self._argument = argument

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Attribute(ast.Name(self._argument, ast.Load()), node.id, ast.Load())


class _Verilog:
    def __init__(self, widths: Mapping[str, int], name: Callable[[str], str]):
        self._widths = widths
        self._name = name

    def width(self, node: ast.expr) -> int:
        match node:
            case ast.Name(id):
                return self._widths[id]
            case ast.Constant(int(value)):
                return max(value.bit_length(), 1)
            case ast.BinOp(left, ast.Add(), right):
                return max(self.width(left), self.width(right)) + 1
            case ast.BinOp(left, ast.Mult(), right):
                return self.width(left) + self.width(right)
            case ast.BinOp(_, ast.Mod(), ast.Constant(int(value))) if value.bit_count() == 1:
                return value.bit_length() - 1
        raise ValueError(f"no number: {ast.unparse(node)}")

    def text(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id):
                return self._name(id)
            case ast.Constant(int(value)):
                return f"{self.width(node)}'d{value}"
            case ast.BinOp(ast.Name(id), ast.Mod(), ast.Constant()):
                return f"{self._name(id)}[{self.width(node) - 1}:0]"
            case ast.BinOp(_, ast.Mult(), _) if self._is_small(node):
                return self._table(node)
            case ast.BinOp(left, ast.Add() | ast.Mult() as operator, right):
                bits = self.width(node)
                sign = "+" if isinstance(operator, ast.Add) else "*"
                return f"{self._wide(left, bits)} {sign} {self._wide(right, bits)}"
            case ast.Compare(left, [comparison], [right]):
                bits = max(self.width(left), self.width(right))
                sign = _COMPARISONS[type(comparison)]
                return f"{self._wide(left, bits)} {sign} {self._wide(right, bits)}"
            case ast.BoolOp(operator, values):
                sign = "&&" if isinstance(operator, ast.And) else "||"
                return f" {sign} ".join(self._condition(v) for v in values)
        raise ValueError(f"not to be said in SystemVerilog: {ast.unparse(node)}")

    def _wide(self, node: ast.expr, bits: int) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return f"{bits}'d{node.value}"
        return self.text(node) if self.width(node) == bits else f"{bits}'({self.text(node)})"

    def _is_small(self, node: ast.expr) -> bool:
        """Whether a product is a table of few entries: no multiplier should be spent on it."""
        return 0 < sum(self._widths[name] for name in _expression(node).names) <= _SMALL_BITS

    def _table(self, node: ast.expr) -> str:
        fields = _expression(node).names
        index = ", ".join(map(self._name, fields))
        bits = sum(self._widths[name] for name in fields)
        index = f"{{{index}}}" if len(fields) > 1 else index
        entries = ""
        for place in range(1 << bits):
            values, left = {}, place
            for name in reversed(fields):
                values[name] = left % (1 << self._widths[name])
                left >>= self._widths[name]
            if value := _value(node, values):
                entries += f"{index} == {bits}'d{place} ? {self.width(node)}'d{value} : "
        return f"{{{entries}{self.width(node)}'d0}}"  # in braces: of its own width

    def _condition(self, node: ast.expr) -> str:
        if isinstance(node, (ast.Compare, ast.BoolOp)):
            text = self.text(node)
            return f"({text})" if isinstance(node, ast.BoolOp) else text
        return self.text(node) if self.width(node) == 1 else f"{self.text(node)} != '0"
