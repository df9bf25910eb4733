"""The config inside a checkpoint: read as data, so that a file from anywhere can be opened."""

import ast
from collections.abc import Iterable
from typing import Any

from mmengine.config import Config

from .errors import CheckpointError


def plain_config(text: str) -> Config:
    """Return the config that mmengine has written down as ``pretty_text``: read, never run, and nothing is imported.

    Raises:
        CheckpointError: it holds more than names, literals and ``dict(...)``.
    """
    try:
        statements = ast.parse(text).body
        config = {_name(statement): _value(statement.value) for statement in statements}
        _check_types(config)
        return Config(config)
    except (SyntaxError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f'The config inside the checkpoint is not plain data ({error}). Name the config file (--config, model=).'
        ) from error


def _check_types(node: Any) -> None:
    """Refuse dotted names, which a registry would import; registered classes have no dot."""
    if isinstance(node, dict):
        if '.' in str(node.get('type', '')):
            raise ValueError(f'type={node["type"]!r} is not the name of a registered class')
        node = node.values()
    if not isinstance(node, (str, bytes)) and isinstance(node, Iterable):
        for child in node:
            _check_types(child)


def _name(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    raise ValueError(f'line {statement.lineno} is no assignment')


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Dict):
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True)}
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        kind = dict(List=list, Tuple=tuple, Set=set)[type(node).__name__]
        return kind(_value(element) for element in node.elts)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        named = {keyword.arg: _value(keyword.value) for keyword in node.keywords}
        if node.func.id == 'dict' and None not in named:
            return dict(*map(_value, node.args), **named)
        if node.func.id in ('float', 'set') and not named:  # float('inf'), set()
            return dict(float=float, set=set)[node.func.id](*map(_value, node.args))
    return ast.literal_eval(node)
