"""Helpers for tests: tiny models from any shipped config, random clips, a tiny data set."""

from collections.abc import Collection, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
from mmdet.testing import demo_track_inputs
from mmengine.config import Config, ConfigDict

from .synth import SPLITS, make_clip
from .synth.writer import write_clip, write_meta

WIDTH = 32  # C
# Wherever such a key stands in a model's config, it becomes this; what is None or absent stays so.
SIZES = dict(
    embed_dims=WIDTH,
    num_heads=4,
    feedforward_channels=64,
    num_layers=2,
    num_points=2,
    num_feats=WIDTH // 2,
)
TEXT = dict(
    vocab_size=537,  # of synth_tokenizer
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=48,
    max_position_embeddings=130,
    type_vocab_size=1,
)
SENTENCES = ('the red circle', 'the large blue square on the left of the small green star')


def _shrink_resnet(backbone: ConfigDict) -> list[int]:
    backbone.update(depth=18, base_channels=8, init_cfg=None)
    return [8, 16, 32, 64]


def _shrink_video_swin(backbone: ConfigDict) -> list[int]:
    backbone.update(embed_dims=8, depths=(2, 1, 1, 1), num_heads=(1, 2, 2, 2), window_size=(2, 3, 3), init_cfg=None)
    return [8, 16, 32, 64]


def _shrink_image_swin(backbone: ConfigDict) -> list[int]:
    backbone.update(embed_dims=8, depths=(2, 1, 1, 1), num_heads=(1, 2, 2, 2), window_size=3, init_cfg=None)
    return [8, 16, 32, 64]


# Backbone type -> makes its config tiny and returns the channels at strides 4, 8, 16, 32.
BACKBONES = dict(
    ResNet=_shrink_resnet,
    ImageSwinTransformer=_shrink_image_swin,
    VideoSwinTransformer=_shrink_video_swin,
)


def shrink(cfg: Config | str | Path, dropout: bool = True) -> Config:
    """Return a copy of a config with a model that builds and runs in a moment, and downloads nothing.

    Widths and depths become tiny; every structural choice stays: which modules are on, fusion, text, temporal position,
    mask targets, loss weights, N, freezing.

    Args:
        cfg: A config with a ``model``, or its file.
        dropout: False sets every rate of dropout to 0, so that the output is no matter of chance.

    Raises:
        KeyError: no recipe for the backbone in ``BACKBONES``.
    """
    cfg = deepcopy(cfg) if isinstance(cfg, Config) else Config.fromfile(cfg)
    model = cfg.model
    _set_sizes(model)
    if model.backbone.type not in BACKBONES:
        raise KeyError(f'shrink() does not know the backbone {model.backbone.type}: add it to BACKBONES.')
    res2, *deeper = BACKBONES[model.backbone.type](model.backbone)
    model.neck.update(in_channels=deeper, out_channels=WIDTH, norm_cfg=dict(type='GN', num_groups=8))
    model.pixel_decoder.in_channels = [res2, WIDTH, WIDTH, WIDTH]
    model.bbox_head.mask_head.in_channels = WIDTH
    if model.text_encoder.type == 'RobertaTextEncoder':
        model.text_encoder.update(name='synth_tokenizer', pretrained=False, config=dict(TEXT))
    if (model.get('vli') or {}).get('type') == 'VisionLanguageInteraction':
        model.vli.feedforward_channels = SIZES['feedforward_channels']  # of fusion='ffn', 2048 where not given
    if not dropout:
        model.text_dropout = 0.0
        if 'config' in model.text_encoder:
            model.text_encoder.config.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        _set_dropout(model)
    return cfg


def _set_sizes(node: dict | list) -> None:
    if isinstance(node, dict):
        node.update({name: SIZES[name] for name in SIZES.keys() & node.keys()})
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, (dict, list)):
            _set_sizes(child)


def _set_dropout(node: dict | list) -> None:
    if isinstance(node, dict):
        node.update({key: 0.0 for key in node if 'drop' in key and isinstance(node[key], float)})
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, (dict, list)):
            _set_dropout(child)


def demo_rvos_inputs(
    num_clips: int = 1,
    num_frames: int = 3,
    sizes: tuple[int, int] | Sequence[tuple[int, int]] = (64, 96),
    original_scale: float = 1,
    absent: Collection[tuple[int, int]] = (),
    sentences: Sequence[str] = SENTENCES,
) -> dict:
    """Make a batch of noise like a dataloader: ``model.data_preprocessor(batch, training)``, then ``model(**batch)``.

    Args:
        num_clips: B.
        num_frames: T.
        sizes: (h, w) of all clips' frames, or of each clip's.
        original_scale: The originals are so many times larger than the input.
        absent: (clip, frame) pairs without the object.
        sentences: Used in turn.

    Returns:
        dict: ``inputs`` B times uint8 (T,3,h,w); ``data_samples`` B ``TrackDataSample`` with ``text`` and frames with
        one object or none: a rectangle that moves to the right.
    """
    sizes = [sizes] * num_clips if isinstance(sizes[0], int) else list(sizes)
    batch = demo_track_inputs(
        batch_size=num_clips,
        num_frames=num_frames,
        image_shapes=[(3, *size) for size in sizes],
        num_items=[1] * num_clips,
        with_mask=True,
    )
    for index, (clip, (height, width)) in enumerate(zip(batch['data_samples'], sizes, strict=True)):
        text = sentences[index % len(sentences)]
        clip.set_metainfo(dict(text=text, exp_id='0', video_id=f'demo{index}', kind='', ori_video_length=num_frames))
        original = (round(height * original_scale), round(width * original_scale))
        for t, frame in enumerate(clip.video_data_samples):
            frame.set_metainfo(dict(ori_shape=original, scale_factor=(width / original[1], height / original[0])))
            x = round(t * width / (2 * num_frames))
            box = np.array([x, height // 4, x + width // 3, height * 3 // 4])
            _place(frame.gt_instances, box)
            if (index, t) in absent:
                frame.gt_instances = frame.gt_instances[:0]
    return batch


def _place(instances, box: np.ndarray) -> None:
    """Put the one instance into ``box`` xyxy: mmdet draws boxes at random, some without a pixel."""
    x1, y1, x2, y2 = box
    masks = instances.masks.masks
    masks[:] = 0
    masks[0, y1:y2, x1:x2] = 1
    instances.bboxes[0] = instances.bboxes.new_tensor(box)


def write_demo_dataset(root: Path, num_clips: int = 5, size: tuple[int, int] = (48, 72)) -> Path:
    """SynthRVOS with ``num_clips`` clips of 12 frames per split: five clips have every kind of expression.

    Args:
        root: The folder to make; Ref-YouTube-VOS's layout, so that its data set reads it too.
        num_clips: A split.
        size: (h, w) of the frames.

    Returns:
        Path: ``root``.
    """
    for split in SPLITS:
        clips = [make_clip(0, split, index, size, 12) for index in range(num_clips)]
        write_meta(root, split, [(clip.video_id, *write_clip(clip, root / split)) for clip in clips])
    return root


def write_tiny_roberta(root: Path | str) -> Path:
    """Write a folder like ``roberta-base``, with random weights of 24 channels, to try out what needs one.

    Args:
        root: The folder to make; ``model.text_encoder.name`` takes it.

    Returns:
        Path: ``root``.
    """
    from transformers import AutoTokenizer, RobertaConfig, RobertaModel

    root = Path(root)
    tokenizer = AutoTokenizer.from_pretrained(str(Path(__file__).parent / 'assets/synth_tokenizer'))
    tokenizer.save_pretrained(str(root))
    RobertaModel(RobertaConfig(**TEXT)).save_pretrained(str(root))
    return root
