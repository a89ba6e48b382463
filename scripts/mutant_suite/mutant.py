"""One small change of a module's source. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small change of a module.

    ``scope``: the function or class around the change. ``line``: of the change, from 1. ``before``
    and ``after``: the lines that differ, without their indentation.
    """

    module: str
    scope: str
    line: int
    before: str
    after: str
    source: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What stays the same when other parts of the module change."""
        return self.module, self.scope, self.before, self.after

    def __str__(self) -> str:
        before = self.before.replace("\n", "\n    - ")
        after = self.after.replace("\n", "\n    + ")
        return f"{self.module}:{self.line} {self.scope}\n    - {before}\n    + {after}"


def mutants(module: str, source: str, changed: Iterable[str]) -> Iterator[Mutant]:
    """The mutants that these changed sources are, in the order of their lines.

    Left out: what is no Python, what is there already, and what changes only annotations,
    decorators, docstrings, a ``return None`` at a function's end or the number that a constant of
    the module names (a decision, which a test could only repeat).
    """
    seen = {_essence(source), None}
    places = scopes(source)
    found = []
    for each in changed:
        essence = _essence(each)
        if essence not in seen:
            seen.add(essence)
            line, before, after = _difference(source, each)
            scope = next((name for name, first, last in places if first <= line <= last), "module")
            found.append(Mutant(module, scope, line, before, after, each))
    yield from sorted(found, key=lambda mutant: mutant.line)


def _essence(source: str) -> str | None:
    """What decides how the source behaves; None: it is no Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        _forget_what_changes_nothing(node)
    return ast.dump(tree)


_NOTHING: Final = ast.Constant(None)


def _forget_what_changes_nothing(node: ast.AST) -> None:
    match node:
        case ast.Module(body):
            for statement in body:
                if isinstance(statement, ast.Assign | ast.AnnAssign):
                    _forget_number(statement)
        case ast.AnnAssign():
            node.annotation = _NOTHING
        case ast.arg():
            node.annotation = None
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            node.returns = None
            node.decorator_list = []
            _forget_last_return(node)
        case ast.ClassDef():
            node.decorator_list = []
        case ast.Expr(ast.Constant()):
            node.value = _NOTHING


def _forget_last_return(function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    match function.body[-1]:
        case ast.Return(None | ast.Constant(None)):
            function.body[-1] = ast.Pass()


def _forget_number(constant: ast.Assign | ast.AnnAssign) -> None:
    if _is_number(constant.value):
        constant.value = _NOTHING


def _is_number(node: ast.expr | None) -> bool:
    """Also a product of numbers, as ``128 * 1024``, and named ones, as ``BackOff(first=0.5)``."""
    match node:
        case ast.BinOp(left, _, right):
            return _is_number(left) and _is_number(right)
        case ast.Call(args=[], keywords=[_, *_] as named):
            return all(_is_number(each.value) for each in named)
        case ast.Constant(int() | float()):
            return True
        case _:
            return False


def scopes(source: str) -> list[tuple[str, int, int]]:
    """Name, first and last line of each function and class, inner ones first."""
    found: list[tuple[str, int, int]] = []

    def walk(node: ast.AST, around: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{around}.{child.name}" if around else child.name
                walk(child, name)
                found.append((name, child.lineno, child.end_lineno or child.lineno))
            else:
                walk(child, around)

    walk(ast.parse(source), "")
    return found


def _difference(source: str, changed: str) -> tuple[int, str, str]:
    """The first line that differs, and the lines that do, before and after."""
    old, new = source.splitlines(), changed.splitlines()
    shorter = min(len(old), len(new))
    first = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    same_at_end = 0
    while same_at_end < shorter - first and old[-1 - same_at_end] == new[-1 - same_at_end]:
        same_at_end += 1
    before, after = old[first : len(old) - same_at_end], new[first : len(new) - same_at_end]
    return first + 1, _text(before), _text(after)


def _text(lines: list[str]) -> str:
    return "\n".join(line.strip() for line in lines)
