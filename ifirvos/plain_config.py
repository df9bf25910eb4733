"""Safe reading of the config in a checkpoint: as data, with only the classes of our own configs.

A registry builds any class that a config names, and some of mmdet's open other configs (Python), checkpoints or URLs.
So the allowed classes are listed (``config_types.py``), and the parts that inference does not need are dropped unread.
"""

from __future__ import annotations

import ast
import io
import keyword
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mmengine.config import Config

from .config_types import MODEL_TYPES, RESIZE_TYPES, TEXT_ENCODERS
from .errors import CheckpointError

SCOPES = {'mmdet', 'mmcv', 'mmengine', 'ifirvos'}  # the registries that our configs build from; ours is empty
_DOTTED = re.compile(r'(?:mmdet|mmcv|mmengine|ifirvos)\.(?:\w+\.)*(\w+)', re.ASCII)  # of configs in pure Python
MAX_CHARACTERS = 2**20  # the longest of ours has 40,000
MAX_DEPTH = 50
MAX_NUMBER = 100_000  # the largest of ours is the size of RoBERTa's vocabulary, 50,265
MAX_SIDE = 8192  # pixels that frames are resized to

# What mmengine writes, pretty_text: assignments, literals, dict(…). Chains such as f()()() nest without a bracket.
_OPERATORS = set('()[]{}=,:-')
_WORD = re.compile(r'[\w.+-]{0,64}', re.ASCII)  # no separator of paths or addresses
# Other keywords of from_pretrained fetch, open or run something (trust_remote_code, cache_dir, attn_implementation, …).
_TEXT_FIELDS = {
    'vocab_size',
    'hidden_size',
    'num_hidden_layers',
    'num_attention_heads',
    'intermediate_size',
    'hidden_act',
    'hidden_dropout_prob',
    'attention_probs_dropout_prob',
    'max_position_embeddings',
    'type_vocab_size',
    'initializer_range',
    'layer_norm_eps',
    'pad_token_id',
    'bos_token_id',
    'eos_token_id',
    'position_embedding_type',
}
_ADVICE = 'Name the config file (--config, model=), with modules of your own on PYTHONPATH.'


def plain_config(text: str, where: str = 'the checkpoint') -> Config:
    """Return the config that mmengine has written down as ``pretty_text``: read, never run, and nothing is imported.

    What it names is not looked at: see :func:`model_config`.

    Args:
        text: The config.
        where: The file, for the messages.

    Raises:
        CheckpointError: it holds more than names, literals and ``dict(...)``, or is too long or too deep.
    """
    if not isinstance(text, str):
        raise CheckpointError(f'The config inside {where} is a {type(text).__name__}, not text. {_ADVICE}')
    try:
        _check_tokens(text)
        config = {_name(statement): _value(statement.value) for statement in ast.parse(text).body}
        _each_dict(config, _check_type_and_scope)
        return Config(config)
    except (SyntaxError, ValueError, TypeError, AttributeError, KeyError, RecursionError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        raise CheckpointError(f'The config inside {where} is not plain data ({reason}). {_ADVICE}') from error


def model_config(text: str, text_encoder: str | None = None, where: str = 'the checkpoint') -> Config:
    """Return what inference needs of a checkpoint's config: the model, and the resize of the test pipeline.

    Only classes of our own configs may be named. ``init_cfg`` is left out: the checkpoint brings the weights.

    Args:
        text: The config, see :func:`plain_config`.
        text_encoder: Folder or name that the user gives in place of the config's own ``text_encoder.name``.
        where: The file, for the messages.

    Raises:
        CheckpointError: it is not plain data, has no model, names a class that none of our configs names, a path or an
            address, asks for an import, or holds a number beyond all reason.
    """
    config = plain_config(text, where).to_dict()
    try:
        imports = config.get('custom_imports') or {}
        if set(imports.get('imports', ())) - {'ifirvos'}:
            raise ValueError(f'it asks to import {imports["imports"]!r}')
        if not isinstance(config.get('model'), dict):
            raise ValueError('it has no model')
        model = _without_init(config['model'])
        encoder = model.get('text_encoder') or {}
        _check_text_encoder(encoder, text_encoder is not None)
        _check_values(model, 'model', MODEL_TYPES, MAX_NUMBER)
        resizes = list(resizes_of(config.get('test_dataloader')))
        _check_values(resizes, 'test_dataloader', RESIZE_TYPES, MAX_SIDE)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise CheckpointError(f'The config inside {where} is none of ours ({reason}). {_ADVICE}') from error
    if text_encoder is not None:
        model['text_encoder'] = dict(encoder, name=text_encoder)
    return Config(dict(model=model, test_dataloader=dict(dataset=dict(pipeline=resizes))))


# ---------------------------------------------------------------------- what it may name
def _check_type_and_scope(node: dict) -> None:
    """Refuse what a registry would import: a dotted name, or the package that a scope names.

    Dotted names of the registries' packages are cut to that of the class, which is then looked up, not imported.
    """
    if isinstance(node.get('type'), str) and (dotted := _DOTTED.fullmatch(node['type'])):
        node['type'] = dotted[1]
    if '.' in str(node.get('type', '')):
        raise ValueError(f'type={node["type"]!r} is not the name of a registered class')
    if node.get('_scope_', 'mmdet') not in SCOPES:
        raise ValueError(f'_scope_={node["_scope_"]!r} is none of {", ".join(sorted(SCOPES))}')


def _check_values(node: Any, where: str, types: frozenset[str], largest: float) -> None:
    if isinstance(node, dict):
        if 'type' in node and node['type'] not in types:
            raise ValueError(f'{where}.type={node["type"]!r} is no class that our configs name')
        if node.get('pretrained') not in (None, True, False):
            raise ValueError(f'{where}.pretrained={node["pretrained"]!r} names a file')
        for key, value in node.items():
            _check_values(value, f'{where}.{key}', types, largest)
    elif isinstance(node, list | tuple | set):
        for value in node:
            _check_values(value, where, types, largest)
    elif isinstance(node, str):
        if not _WORD.fullmatch(node):
            raise ValueError(f'{where}={node[:80]!r} may be a path or an address')
    elif isinstance(node, int | float) and abs(node) > largest and abs(node) != float('inf'):
        raise ValueError(f'{where}={node:.3g} is larger than {largest}')


def _check_text_encoder(encoder: dict, replaced: bool) -> None:
    name = encoder.pop('name', TEXT_ENCODERS[0]) if replaced else encoder.get('name', TEXT_ENCODERS[0])
    if not replaced and name not in TEXT_ENCODERS:
        raise ValueError(f'model.text_encoder.name={name!r} is a folder or an address')
    if unknown := set(encoder.get('config') or {}) - _TEXT_FIELDS:
        raise ValueError(f'model.text_encoder.config.{min(map(str, unknown))} is none of the fields that may be set')


def _without_init(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: None if key == 'init_cfg' else _without_init(value) for key, value in node.items()}
    return type(node)(map(_without_init, node)) if isinstance(node, list | tuple) else node


def resizes_of(dataloader: Any) -> Iterator[dict]:
    """Yield the resizes in the pipeline of a data loader, also inside wrappers of data sets and transforms."""
    dataset = (dataloader or {}).get('dataset') or {}
    while 'pipeline' not in dataset and ('datasets' in dataset or 'dataset' in dataset):
        dataset = dataset['datasets'][0] if 'datasets' in dataset else dataset['dataset']
    waiting = list(dataset.get('pipeline', ()))
    while waiting:
        transform = waiting.pop(0)
        if 'Resize' in str(transform.get('type', '')):
            yield transform
        if isinstance(transform.get('transforms'), list):
            waiting[:0] = transform['transforms']


def _each_dict(node: Any, check: Callable[[dict], None]) -> None:
    if isinstance(node, dict):
        check(node)
        node = node.values()
    if not isinstance(node, (str, bytes)) and isinstance(node, Iterable):
        for child in node:
            _each_dict(child, check)


# ---------------------------------------------------------------------- how it may be written
def _check_tokens(text: str) -> None:
    """Raise for text that could crash Python's parser, such as deep nesting."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f'{len(text):,} characters are too many')
    depth, before = 0, ''
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            kind, word = token.type, token.string
            if kind == tokenize.OP:
                if word not in _OPERATORS:
                    raise ValueError(f'line {token.start[0]} has a {word!r}')
                if (word in '([{' and before in ')]}') or word == before == '-':
                    raise ValueError(f'line {token.start[0]} has {before + word!r}')
                depth += (word in '([{') - (word in ')]}')
                if depth > MAX_DEPTH:
                    raise ValueError(f'brackets {depth} deep')
            elif kind == tokenize.NAME and keyword.iskeyword(word) and word not in ('None', 'True', 'False'):
                raise ValueError(f'line {token.start[0]} has {word!r}')
            elif kind == tokenize.NUMBER and len(word) > 100:
                raise ValueError(f'line {token.start[0]} has a number of {len(word)} digits')
            before = word if kind == tokenize.OP else ' '
    except tokenize.TokenError as error:
        raise ValueError(error.args[0]) from error


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
