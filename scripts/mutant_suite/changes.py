"""The small changes that a source allows.

Cosmic Ray's operators make most of them. It has none that leaves a statement out, which is what a
test suite overlooks most easily: :class:`StatementRemover` does. Of ``except`` it knows single
names only: :class:`HandlerRemover` knows them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

#: Of the 213 operators of Cosmic Ray those whose changes a programmer could make by mistake. The
#: others put every operator in the place of every other one, which finds nothing more.
_OPERATORS: Final = (
    "AddNot",
    "NumberReplacer",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_Delete_USub",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBinaryOperator_Mul_Add",
    "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_Mod_Add",
    "ReplaceBinaryOperator_BitOr_BitAnd",
    "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceBinaryOperator_BitXor_BitOr",
    "ReplaceBinaryOperator_LShift_RShift",
    "ReplaceBinaryOperator_RShift_LShift",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_IsNot_Is",
    "ZeroIterationForLoop",
)


class StatementRemover(Operator):  # type: ignore[misc]
    """Puts ``pass`` in the place of a call, an assignment to an attribute or an item, or a
    ``del``, ``return`` or ``raise``."""

    _KEYWORDS: Final = ("del_stmt", "return_stmt", "raise_stmt")

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        if node.type == "simple_stmt" and self._matters(node.children[0]):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[0] = parso.parse(f"{node.get_first_leaf().prefix}pass")
        return node

    def _matters(self, statement: Any) -> bool:
        match statement.type:
            case "atom_expr" | "await_expr":
                return True
            case "keyword":
                return bool(statement.value == "return")
            case "expr_stmt":
                # Without the assignment to a name the code fails by itself, or never needed it.
                target, operator = statement.children[:2]
                return target.type == "atom_expr" or getattr(operator, "value", "=") != "="
            case kind:
                return kind in self._KEYWORDS

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class HandlerRemover(Operator):  # type: ignore[misc]
    """Lets an ``except`` catch nothing."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        if node.type == "except_clause":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[1] = parso.parse(" ()")
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


def changes(source: str) -> Iterator[str]:
    """The source with one change each, by every operator at every place."""
    for operator in _operators():
        for occurrence in range(_places(operator, source)):
            changed = mutate_code(source, operator, occurrence)
            if changed is not None:
                yield changed


def _operators() -> Iterator[Operator]:
    for name in _OPERATORS:
        yield get_operator(f"core/{name}")()
    yield StatementRemover()
    yield HandlerRemover()


def _places(operator: Operator, source: str) -> int:
    return sum(len(list(operator.mutation_positions(node))) for node in ast_nodes(get_ast(source)))
