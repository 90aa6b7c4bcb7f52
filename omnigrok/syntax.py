"""What a piece of Python source says, apart from comments, docstrings and layout."""

from __future__ import annotations

import ast
import sys


def normalised(source: str) -> str:
    """The syntax tree of a module without docstrings and positions, as Python 3.11 writes it,
    whichever Python reads it.

    Raises:
        SyntaxError, ValueError: it is no Python source.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    # Python 3.12 knows type parameters of every function and class; 3.13 leaves empty fields out.
    whole: dict[str, bool] = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    return ast.dump(tree, **whole).replace(", type_params=[]", "")
