"""The official ReferFormer's weights, clips and targets (gen_weights.py) as this package's model and samples."""

import importlib.util
import json
import re
from functools import lru_cache
from pathlib import Path

import gen_weights
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import Tensor, nn

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEYS = {  # of the whole official model; a text encoder of two layers but for the first
    'r50': HERE / 'referformer_r50_keys.json',
    'r101': HERE / 'resnet101_keys.json',
    'swin_t': HERE / 'swin_t_p4w7_keys.json',
    'swin_l': HERE / 'swin_l_p4w7_keys.json',
    'video_swin_t': HERE / 'video_swin_t_p4w7_keys.json',
}
BACKBONES = (*KEYS, 'video_swin_s', 'video_swin_b')

_spec = importlib.util.spec_from_file_location(
    'referformer_to_ifirvos', ROOT / 'tools/model_converters/referformer_to_ifirvos.py'
)
converter = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(converter)


def keys_of(backbone: str, text_layers: int = 2) -> list[list]:
    """``[name, shape, dtype]`` of every tensor in an official checkpoint with that backbone.

    Of the small and the base Video-Swin there is no list: theirs is the tiny one's, with a third stage of 18 blocks
    and, for base, widths and heads of 128 to 96.
    """
    if backbone in KEYS:
        return gen_weights.load_keys(KEYS[backbone], text_layers)
    keys = []
    for name, shape, dtype in gen_weights.load_keys(KEYS['video_swin_t'], text_layers):
        fed_by_backbone = re.match(r'input_proj|pixel_decoder[.]adapter_1[.]weight', name) and len(shape) == 4
        if backbone == 'video_swin_b' and '.attn.relative_position_bias_table' in name:
            shape = [shape[0], shape[1] * 4 // 3]
        elif backbone == 'video_swin_b' and fed_by_backbone:
            shape = [shape[0], shape[1] * 4 // 3, *shape[2:]]
        elif backbone == 'video_swin_b' and name.startswith('backbone') and not name.endswith('position_index'):
            shape = [side * 4 // 3 if side % 96 == 0 else side for side in shape]
        keys.append([name, shape, dtype])
        if '.layers.2.blocks.5.' in name:
            keys += [[name.replace('.5.', f'.{block}.'), shape, dtype] for block in range(6, 18)]
    return keys


def state_dict(text_layers: int, backbone: str = 'r50') -> dict[str, Tensor]:
    """An official checkpoint's state dict, aliases included, with the first layers of its text encoder."""
    keys = keys_of(backbone, text_layers)
    return {name: torch.from_numpy(array) for name, array in gen_weights.state_dict_numpy(keys).items()}


def digests() -> dict[str, int]:
    """crc32 of every tensor the official numbers were made with."""
    return json.loads(KEYS['r50'].read_text())['crc32']


def build(text_layers: int, backbone: str = 'r50') -> nn.Module:
    """The model of ``configs/referformer/*_ytvos.py`` without weights; only files and text depth are overridden."""
    return build_config(f'referformer/{backbone}_ytvos.py', text_layers)


def build_config(name: str, text_layers: int) -> nn.Module:
    """:func:`build` of any config, by its path below ``configs/``."""
    config = Config.fromfile(ROOT / 'configs' / name).model
    config.backbone.init_cfg = None
    config.text_encoder = dict(
        type='RobertaTextEncoder',
        pretrained=False,
        frozen=True,
        config=dict(
            vocab_size=50265,
            max_position_embeddings=514,
            type_vocab_size=1,
            num_hidden_layers=text_layers,
            layer_norm_eps=1e-5,
        ),
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config)
    model.eval()
    return model


@lru_cache(maxsize=1)  # half a gigabyte, and more with all text layers
def load(text_layers: int, backbone: str = 'r50') -> nn.Module:
    """:func:`build` with the official weights, converted and loaded strictly."""
    model = build(text_layers, backbone)
    model.load_state_dict(converter.convert(dict(model=state_dict(text_layers, backbone)))[0], strict=True)
    return model


def batch(case: str, original_size: tuple[int, int] | None = None) -> tuple[Tensor, list[TrackDataSample]]:
    """A case's padded inputs (B,T,3,H,W) and its clips, which bring the official token ids."""
    clips, ids, attention, sizes = gen_weights.case_inputs(case)
    inputs = torch.from_numpy(gen_weights.pad_batch(clips, 32)[0])
    samples = []
    for clip, row, mask, size in zip(clips, ids, attention, sizes.tolist(), strict=True):
        meta = dict(img_shape=tuple(size), ori_shape=original_size or tuple(size), batch_input_shape=inputs.shape[-2:])
        tokens = dict(input_ids=row[mask == 1].tolist(), attention_mask=mask[mask == 1].tolist())
        sample = TrackDataSample(metainfo=dict(text_tokens=tokens))
        sample.video_data_samples = [DetDataSample(metainfo=meta) for _ in clip]
        samples.append(sample)
    return inputs, samples


def add_targets(case: str, samples: list[TrackDataSample]) -> None:
    """Gives the clips of :func:`batch` the case's ground truth, in pixels."""
    for sample, target in zip(samples, gen_weights.case_targets(case), strict=True):
        for t, frame in enumerate(sample):
            present = int(target['valid'][t])
            height, width = frame.img_shape
            box = bbox_cxcywh_to_xyxy(torch.from_numpy(target['boxes'][t])) * torch.tensor([width, height] * 2)
            frame.gt_instances = InstanceData(
                bboxes=box[None][:present],
                labels=torch.zeros(present, dtype=torch.long),
                masks=BitmapMasks(target['masks'][t][None][:present], height, width),
            )
