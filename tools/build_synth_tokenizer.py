"""Trains the small byte-level BPE tokenizer of the SynthRVOS model on all sentences of the generator.

    python tools/build_synth_tokenizer.py

Writes a folder that `transformers.AutoTokenizer.from_pretrained` reads as a RoBERTa tokenizer: `<s> ... </s>`, padding
is 1, any UTF-8 text comes back unchanged. The same sentences always give the same files.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


from ifirvos_cli.common import main_of, output_path, tool_arguments


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=output_path, default=ROOT / 'ifirvos' / 'assets' / 'synth_tokenizer')
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from ifirvos.files import write_whole
from ifirvos.synth.phrases import sentences

SPECIAL_TOKENS = ('<s>', '<pad>', '</s>', '<unk>', '<mask>')  # their ids are their places, the first four RoBERTa's
VOCABULARY = 800  # at most: the words run out before
MAX_TOKENS = 64


def train_tokenizer() -> Tokenizer:
    """Train the tokenizer; the result is deterministic."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences(np.random.default_rng(0)), trainer)
    bos, eos = ((token, SPECIAL_TOKENS.index(token)) for token in ('<s>', '</s>'))
    tokenizer.post_processor = processors.RobertaProcessing(eos, bos, trim_offsets=True, add_prefix_space=False)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json, special_tokens_map.json, vocab.json and merges.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    bos, pad, eos, unk, mask = SPECIAL_TOKENS
    special = {
        'bos_token': bos,
        'eos_token': eos,
        'sep_token': eos,
        'cls_token': bos,
        'unk_token': unk,
        'pad_token': pad,
        'mask_token': mask,
    }
    config = special | {
        'tokenizer_class': 'RobertaTokenizerFast',
        'add_prefix_space': False,
        'clean_up_tokenization_spaces': False,
        'model_max_length': MAX_TOKENS,
        'trim_offsets': True,
    }
    bpe = json.loads(tokenizer.to_str())['model']
    files = {
        'tokenizer.json': tokenizer.to_str(pretty=True),
        'tokenizer_config.json': json.dumps(config, indent=2),
        'special_tokens_map.json': json.dumps(special, indent=2),
        'vocab.json': json.dumps(bpe['vocab'], ensure_ascii=False),
        'merges.txt': '\n'.join(['#version: 0.2', *(' '.join(merge) for merge in bpe['merges'])]),
    }
    for name, content in files.items():
        write_whole(folder / name, content + '\n')


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    tokenizer = train_tokenizer()
    save_tokenizer(tokenizer, args.out)
    print(f'{tokenizer.get_vocab_size()} tokens in {args.out}')


if __name__ == '__main__':
    sys.exit(main_of(main))
