"""How nearly IFIRVOS begins as ReferFormer, where a config starts it from ReferFormer's weights.

    python tests/parity/warm_start.py [--frames 6] [--size 360 640] [--text-layers 12] [CONFIG …]

Official weights (gen_weights.py, of the real sizes) are converted and handed over to each config; a clip goes through
both models. Prints a table: keys that are new, largest differences over all layers, frames and queries, and J between
the masks of the queries that each of the two would choose. About two minutes and 4 GB with the defaults.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import Tensor, nn

import ifirvos  # noqa: F401  (mmcv.ops may import only after it)

sys.path.insert(0, str(Path(__file__).parent))
import gen_weights
import official

from ifirvos.evaluation.functional import region_similarity

CONFIGS = {  # -> the backbone of the weights; the last has no gates
    'ifirvos/r50_ytvos_from_referformer.py': 'r50',
    'ifirvos/video_swin_t_ytvos_from_referformer.py': 'video_swin_t',
    'ifirvos/r50_ytvos.py': 'r50',
}


def hand_over(config: str, source: nn.Module, text_layers: int) -> tuple[nn.Module, list[str], list[str]]:
    """Return the model of a config with the weights of a ReferFormer, the keys that are new, and those left over.

    Raises:
        ValueError: A new key is not on the list of the config's hand-over, if it has one.
    """
    torch.manual_seed(0)
    model = official.build_config(config, text_layers)
    model.init_weights()
    given, own = source.state_dict(), model.state_dict()
    missing, unexpected = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    model.load_state_dict({key: given.get(key, value) for key, value in own.items()}, strict=True)
    allowed = Config.fromfile(official.ROOT / 'configs' / config).default_hooks.hand_over.get('allow_missing', [])
    stray = [key for key in missing if not any(re.match(pattern, key) for pattern in allowed)]
    if allowed and (stray or unexpected):
        raise ValueError(f'{config} hands over what its list does not name: {stray}, {unexpected}')
    return model.eval(), missing, unexpected


def clip_of(frames: int, size: tuple[int, int]) -> tuple[Tensor, list[TrackDataSample]]:
    """A clip (1,T,3,H,W), unpadded, with the sentence of case b."""
    inputs = torch.from_numpy(gen_weights.make_clip('warm start', frames, *size))[None]
    _, (sample,) = official.batch('b')
    meta = dict(img_shape=size, ori_shape=size, batch_input_shape=size)
    sample.video_data_samples = [DetDataSample(metainfo=meta) for _ in range(frames)]
    return inputs, [sample]


def chosen_masks(outputs: dict[str, Tensor]) -> np.ndarray:
    """Masks bool (T,h,w) of the query with the highest mean score, of the last layer."""
    query = outputs['cls_logits'][-1, 0, ..., 0].sigmoid().mean(0).argmax()
    return (outputs['mask_logits'][-1, 0, :, query] > 0).numpy()


@torch.no_grad()
def differences(config: str, frames: int, size: tuple[int, int], text_layers: int) -> dict[str, float]:
    """Largest differences of the first forward to ReferFormer's, and J between the masks; numbers of keys."""
    source = official.load(text_layers, CONFIGS[config])
    model, missing, unexpected = hand_over(config, source, text_layers)
    inputs, samples = clip_of(frames, size)
    expected, found = (one(inputs, samples, mode='tensor') for one in (source, model))
    names = ('cls_logits', 'boxes', 'mask_logits')
    result = {name: float((found[name] - expected[name]).abs().max()) for name in names}
    j = region_similarity(chosen_masks(expected), chosen_masks(found)).mean()
    return dict(result, j=float(j), new=len(missing), left=len(unexpected))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', default=list(CONFIGS), metavar='CONFIG', help=', '.join(CONFIGS))
    parser.add_argument('--frames', type=int, default=6)
    parser.add_argument('--size', type=int, nargs=2, default=(360, 640), metavar=('H', 'W'))
    parser.add_argument('--text-layers', type=int, default=12)
    args = parser.parse_args(argv)
    MMLogger.get_current_instance().setLevel('WARNING')  # how every parameter is initialised is of no interest
    columns = ('config', 'new keys', 'left over', 'logits', 'boxes', 'mask logits', 'J')
    print(f'| {" | ".join(columns)} |\n|{" --- |" * len(columns)}')
    for config in args.configs:
        found = differences(config, args.frames, tuple(args.size), args.text_layers)
        numbers = ' | '.join(f'{found[name]:.2g}' for name in ('cls_logits', 'boxes', 'mask_logits'))
        print(f'| `{config}` | {found["new"]} | {found["left"]} | {numbers} | {found["j"]:.3f} |', flush=True)
        official.load.cache_clear()
    return 0


if __name__ == '__main__':
    sys.exit(main())
