"""Every backbone of the official zoo: what converts, and how far the numbers are from independent ones.

    python tests/parity/backbones.py [r50 r101 …]

Prints a table: tensors of the official model (text encoder of two layers), what becomes of them, and the largest
differences. *official*: to what the official code gave for case b, where that is recorded. *recomputed*: of the
backbone's maps, as a share of the largest value, to recomputed.py. About half a minute and 1.5 GB a backbone.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import ifirvos  # noqa: F401  (mmcv.ops may import only after it)

sys.path.insert(0, str(Path(__file__).parent))
import gen_weights
import official
import recomputed

OFFICIAL = {
    'r50': 'forward_case_b_text2.npz',
    'swin_t': 'forward_case_b_swin_t_p4w7.npz',
    'video_swin_t': 'forward_case_b_video_swin_t_p4w7.npz',
}
HEADS = dict(
    swin_t=(3, 6, 12, 24), swin_l=(6, 12, 24, 48),
    video_swin_t=(3, 6, 12, 24), video_swin_s=(3, 6, 12, 24), video_swin_b=(4, 8, 16, 32),
)  # fmt: skip
DEPTHS = dict(r50=(3, 4, 6, 3), r101=(3, 4, 23, 3))


@torch.no_grad()
def differences_to_official(model: nn.Module, backbone: str) -> dict[str, float]:
    """Largest differences of the last layer's outputs on case b, by the official name."""
    found = model(*official.batch('b'), mode='tensor')
    names = dict(pred_logits='cls_logits', pred_boxes='boxes', pred_masks='mask_logits')
    with np.load(official.HERE / OFFICIAL[backbone]) as arrays:
        prefix = 'b/' if 'b/pred_logits' in arrays else 'out/'
        expected = {name: arrays[prefix + name] for name in (*names, 'reference_points')}
    ours = {name: found[key][-1] for name, key in names.items()} | dict(reference_points=found['reference_points'])
    expected = {name: array if array.ndim == ours[name].ndim else array[-1] for name, array in expected.items()}
    return {name: float(np.abs(array - ours[name].numpy()).max()) for name, array in expected.items()}


@torch.no_grad()
def difference_to_recomputed(model: nn.Module, backbone: str) -> float:
    """Largest difference of the maps of two frames of 68x100, as a share of the map's largest value."""
    clip = torch.from_numpy(gen_weights.make_clip('backbones', 2, 68, 100))
    weights = recomputed.body_of(official.state_dict(2, backbone))
    if backbone in DEPTHS:
        expected = recomputed.resnet(clip, weights, DEPTHS[backbone])
    else:
        window = (8, 7, 7) if backbone.startswith('video') else (7, 7)
        expected = recomputed.swin(clip, weights, HEADS[backbone], window)
    found = model.backbone(clip[None] if model.takes_clips else clip)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, expected, strict=True))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('backbones', nargs='*', default=official.BACKBONES, help=f'of {official.BACKBONES}')
    print(
        '| config | tensors | converted | aliases | constants | official: logits, boxes, masks | recomputed |\n'
        '| --- | --- | --- | --- | --- | --- | --- |'
    )
    for backbone in parser.parse_args(argv).backbones:
        report = list(official.converter.convert(official.state_dict(2, backbone))[1].values())
        aliases = sum(what.startswith('alias') for what in report)
        dropped = sum(what.startswith('dropped') for what in report)
        model = official.load(2, backbone)
        numbers = 'none recorded'
        if backbone in OFFICIAL:
            found = differences_to_official(model, backbone)
            numbers = ', '.join(f'{found[name]:.1e}' for name in ('pred_logits', 'pred_boxes', 'pred_masks'))
        print(
            f'| `referformer/{backbone}_ytvos.py` | {len(report)} | {len(report) - aliases - dropped} | {aliases} '
            f'| {dropped} | {numbers} | {difference_to_recomputed(model, backbone):.1e} |'
        )
        official.load.cache_clear()
    return 0


if __name__ == '__main__':
    sys.exit(main())
