"""Files as the official ReferFormer code writes them, with generated weights, and a tokenizer of RoBERTa's size."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import official
import torch

ARGS = dict(
    backbone='resnet50',
    dataset_file='ytvos',
    num_queries=5,
    num_frames=5,
    hidden_dim=256,
    num_feature_levels=4,
    enc_layers=4,
    dec_layers=4,
    binary=True,
    with_box_refine=True,
    lr=1e-4,
    lr_backbone_names=['backbone.0'],
    device='cuda',
)
SYNTH_TOKENIZER = official.ROOT / 'ifirvos/assets/synth_tokenizer'


# Of RoBERTa's vocabulary, and how a BPE comes to these two words.
ROBERTAS = {'Hello': 31414, 'Ġworld': 232, '!': 328}
HELLO_WORLD = ['H e', 'He l', 'Hel l', 'Hell o', 'Ġ w', 'Ġw o', 'Ġwo r', 'Ġwor l', 'Ġworl d']


def checkpoint(state: dict[str, torch.Tensor], ddp: bool = False, **args) -> dict:
    """What the official ``main.py`` gives to ``torch.save``."""
    prefix = 'module.' if ddp else ''
    momenta = {number: dict(step=3, exp_avg=torch.zeros(2), exp_avg_sq=torch.zeros(2)) for number in range(3)}
    return dict(
        model={f'{prefix}{name}': tensor for name, tensor in state.items()},
        optimizer=dict(state=momenta, param_groups=[dict(lr=1e-4, params=[0, 1, 2])]),
        lr_scheduler=dict(milestones={3: 1, 5: 1}, last_epoch=5),
        epoch=5,
        args=argparse.Namespace(**{**ARGS, **args}),
    )


def write_tokenizer(folder: Path, size: int = 50265, robertas: bool = True) -> Path:
    """A byte-level BPE with as many entries as RoBERTa's: those of SynthRVOS, fillers, and RoBERTa's ``Hello world!``.

    Args:
        folder: Where its files go.
        size: Number of entries.
        robertas: Give that sentence the ids that it has in RoBERTa.
    """
    folder.mkdir(parents=True)
    content = json.loads((SYNTH_TOKENIZER / 'tokenizer.json').read_text())
    vocabulary = content['model']['vocab']
    for number in range(max(vocabulary.values()) + 1, size):
        vocabulary[f'<filler {number}>'] = number
    if robertas:
        content['model']['merges'] = [pair.split(' ') for pair in HELLO_WORLD] + content['model']['merges']
        for pair in HELLO_WORLD:  # the parts of a merge need entries too
            _give(vocabulary, pair.replace(' ', ''), next(n for n in range(600, size) if f'<filler {n}>' in vocabulary))
        for token, number in ROBERTAS.items():
            _give(vocabulary, token, number)
    (folder / 'tokenizer.json').write_text(json.dumps(content))
    config = json.loads((SYNTH_TOKENIZER / 'tokenizer_config.json').read_text())
    (folder / 'tokenizer_config.json').write_text(json.dumps(config))
    return folder


def _give(vocabulary: dict[str, int], token: str, number: int) -> None:
    """Give a token a number; the token that had it gets the other's, or goes."""
    (owner,) = (other for other, own in vocabulary.items() if own == number)
    before = vocabulary.pop(token, None)
    del vocabulary[owner]
    vocabulary[token] = number
    if before is not None:
        vocabulary[owner] = before
