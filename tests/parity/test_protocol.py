"""Where the official protocols differ from what one would write today: every row of docs/reproduction.md's table.

Expected values are written down here after the official code's formulas, not computed by this package.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ifirvos.datasets.transforms import (
    FlipExpression,
    PhotoMetricDistortionUint8,
    ReferenceResize,
    RequireVisibleObject,
)
from ifirvos.evaluation.metrics.frame_iou_metric import FrameScore
from ifirvos.models import MaskedSinePositionalEncoding, RVOSDataPreprocessor
from ifirvos.registry import MODELS
from ifirvos.testing import shrink

CONFIGS = Path(__file__).parents[2] / 'configs'


def load(name: str) -> Config:
    return Config.fromfile(CONFIGS / name)


def transforms_of(pipeline: list, kind: str) -> list[dict]:
    """The steps of a kind in a pipeline, those inside wrappers too."""
    found = []
    for step in pipeline:
        if isinstance(step, list):
            found += transforms_of(step, kind)
            continue
        found += [step] * (step['type'] == kind) + transforms_of(step.get('transforms', []), kind)
    return found


def training_pipelines(cfg: Config) -> list[list]:
    dataset = cfg.train_dataloader.dataset
    return [part.pipeline for part in dataset.get('datasets', [dataset])]


# ---------------------------------------------------------------- padding
@pytest.mark.parametrize('family', ['ifirvos', 'referformer'])
def test_padding_at_test(family):
    """Single frames come in batches, padded to multiples of 32; whole videos come alone and are not."""
    tasks = dict(ytvos=1, davis17=1, ytvos_joint=1, a2d=32, jhmdb=32, refcoco_pretrain=32)
    for task, divisor in tasks.items():
        names = [path.name for path in (CONFIGS / family).glob(f'*_{task}.py') if 'synth' not in path.name]
        assert f'r50_{task}.py' in names
        for name in names:
            cfg = load(f'{family}/{name}').model.data_preprocessor
            preprocessor = RVOSDataPreprocessor(**{key: value for key, value in cfg.items() if key != 'type'})
            frames = torch.zeros(1, 3, 36, 50, dtype=torch.uint8)
            size = preprocessor(dict(inputs=[frames], data_samples=None), False)['inputs'].shape[-2:]
            assert size == ((64, 64) if divisor == 32 else (36, 50)), name


def test_encodings_at_padded_places():
    """Beyond the last valid column the official sum is 0: (0 - 0.5) / (0 + 1e-6) * 2 pi, all in float32."""
    settings = dict(num_feats=128, normalize=True, offset=-0.5)
    mask = torch.zeros(1, 3, 5, dtype=torch.bool)
    mask[:, 2:], mask[:, :, 3:] = True, True
    found = MaskedSinePositionalEncoding(**settings, padding_encoding='reference')(mask)[0]
    zero = MaskedSinePositionalEncoding(**settings)(mask)[0]
    inside = ~mask[0]
    assert torch.equal(found[:, inside], zero[:, inside])
    assert not zero[:, mask[0]].any()
    noise = np.float32(-0.5) / (np.float32(0) + np.float32(1e-6)) * np.float32(2 * np.pi)
    assert noise == np.float32(-3.1415928e6)
    wavelengths = np.float32(10000.0 ** (2 * (np.arange(128) // 2) / 128.0))  # rounded once
    angles = np.float64(noise / wavelengths)
    expected = np.where(np.arange(128) % 2 == 0, np.sin(angles), np.cos(angles))
    # Channels are y, then x. In a column of padding no row adds up; in a row of padding no column does.
    np.testing.assert_allclose(found[:128, 0, 3], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[128:, 2, 0], expected, rtol=0, atol=1e-6)
    for family, value in dict(ifirvos='zero', referformer='reference').items():
        assert load(f'{family}/r50_ytvos.py').model.positional_encoding.padding_encoding == value


@pytest.mark.slow
def test_noise_on_padding_reaches_the_masks_but_not_the_scores():
    """By as much as in the official code: zero in its place moved masks of case c by up to 2.5, and no score."""
    import official

    referformer = official.load(12)
    encoding = referformer.positional_encoding
    assert encoding.padding_encoding == 'reference'
    inputs, clips = official.batch('c')
    with torch.no_grad():
        noisy = referformer(inputs, clips, mode='tensor')
        encoding.padding_encoding = 'zero'
        clean = referformer(inputs, clips, mode='tensor')
        encoding.padding_encoding = 'reference'
    assert torch.equal(noisy['cls_logits'], clean['cls_logits'])
    assert torch.equal(noisy['boxes'], clean['boxes'])
    moved = [
        float((noisy['mask_logits'] - clean['mask_logits'])[:, b, ..., : height // 4, : width // 4].abs().max())
        for b, (height, width) in enumerate(clip[0].img_shape for clip in clips)
    ]
    assert max(moved) == pytest.approx(2.5, abs=0.05)


# ---------------------------------------------------------------- sizes
@pytest.mark.parametrize(
    ('size', 'scale', 'expected'),
    [
        ((720, 1280), (640, 360), (360, 640)),
        ((480, 854), (640, 360), (360, 640)),  # 640.5: beyond the limit, so round(640 * 480 / 854), then int(640.5)
        ((480, 910), (None, 360), (360, 682)),  # wider than 16:9: no limit in inference on videos
        ((480, 1152), (None, 360), (360, 864)),
        ((480, 910), (640, 360), (338, 640)),
        ((321, 500), (640, 360), (360, 560)),  # 560.7, mmcv: 561
        ((500, 321), (640, 360), (560, 360)),
        ((360, 500), (640, 360), (360, 500)),
        ((300, 300), (640, 360), (360, 360)),
    ],
)
def test_sizes_are_truncated(size, scale, expected):
    longest, short = scale
    low, high = min(size), max(size)
    if longest is not None and high / low * short > longest:  # the official get_size_with_aspect_ratio
        short = int(round(longest * low / high))
    high = int(short * high / low)
    official_size = (short, high) if size[0] < size[1] else (high, short)
    results = ReferenceResize(scale)(dict(img=np.zeros((*size, 3), np.uint8)))
    assert results['img'].shape[:2] == results['img_shape'] == official_size
    assert official_size == expected


def test_long_side_of_videos():
    """The reference has no limit on whole videos, and 640 on single frames; IFIRVOS' paper has 640 for all inputs."""
    for task in ('ytvos', 'davis17', 'ytvos_joint', 'a2d', 'jhmdb', 'refcoco_pretrain'):
        for family in ('ifirvos', 'referformer'):
            pipeline = load(f'{family}/r50_{task}.py').test_dataloader.dataset.pipeline
            (step,) = transforms_of(pipeline, 'ReferenceResize')
            whole_videos = task in ('ytvos', 'davis17', 'ytvos_joint')
            assert step.scale == ((None, 360) if family == 'referformer' and whole_videos else (640, 360))


# ---------------------------------------------------------------- colours
def official_distortion(image: np.ndarray, flags: tuple) -> np.ndarray:
    """transforms_video.PhotometricDistort with its draws given, on the channel order that it is fed."""
    import cv2

    first, brighter, contrast, saturate, hue, swap, delta, alpha, factor, turn, order = flags
    image = image.astype('float32')
    image = image + np.float32(delta) if brighter else image
    image = image * np.float32(alpha) if contrast and first else image
    image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    if saturate:
        image[:, :, 1] *= factor
    if hue:
        image[:, :, 0] += turn
        image[:, :, 0][image[:, :, 0] > 360.0] -= 360.0
        image[:, :, 0][image[:, :, 0] < 0.0] += 360.0
    image = cv2.cvtColor(image, cv2.COLOR_HSV2BGR)
    image = image * np.float32(alpha) if contrast and not first else image
    image = image[:, :, order] if swap else image
    return np.vectorize(lambda value: int(value) % 256, otypes=[np.uint8])(image)  # what the cast does


def test_colours_wrap_around(monkeypatch):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (8, 9, 3), np.uint8)
    flags = (1, 1, 1, 1, 1, 1, 30.0, 1.4, 1.5, 12.0, np.array([2, 0, 1]))
    wrapped, clipped = (PhotoMetricDistortionUint8(overflow=overflow) for overflow in ('wrap', 'clip'))
    for transform in (wrapped, clipped):
        monkeypatch.setattr(transform, '_random_flags', lambda: flags)
    found = wrapped(dict(img=image.copy()))['img']
    assert np.array_equal(found, official_distortion(image, flags))
    assert (found != clipped(dict(img=image.copy()))['img']).any(-1).mean() > 0.2
    quiet = (0,) * 6 + (30.0, 1.4, 1.5, 12.0, np.array([2, 0, 1]))
    monkeypatch.setattr(wrapped, '_random_flags', lambda: quiet)
    assert np.abs(wrapped(dict(img=image.copy()))['img'].astype(int) - image).max() <= 1  # there and back through HSV


# ---------------------------------------------------------------- objects and sentences
def clip_of(boxes: list, masks: list) -> dict:
    boxes = [np.array(box, np.float32).reshape(-1, 4) for box in boxes]
    return dict(
        gt_masks=[BitmapMasks(np.array(mask, np.uint8)[None][: len(box)], 4, 4) for box, mask in zip(boxes, masks)],
        gt_bboxes=boxes,
        gt_bboxes_labels=[np.zeros(len(box), int) for box in boxes],
        gt_instances_ids=[np.zeros(len(box), int) for box in boxes],
    )


def test_presence():
    """Frame 0: an object one pixel wide, whose box has no width. Frame 1: a box whose mask a crop has taken."""
    line, nothing = np.zeros((4, 4)), np.zeros((4, 4))
    line[1:3, 2] = 1
    found = {}
    for presence in ('mask', 'box'):
        clip = clip_of([[2, 1, 2, 2], [0, 0, 2, 3]], [line, nothing])
        clip = RequireVisibleObject(presence=presence)(clip)
        found[presence] = [len(boxes) for boxes in clip['gt_bboxes']]
    assert found == dict(mask=[1, 0], box=[0, 1])
    assert RequireVisibleObject(presence='box')(clip_of([[2, 1, 2, 2]], [line])) is None


def test_flips():
    sentences = ['a bright bird', 'the leftside lefty topright', 'left of the upright one']
    results = [
        FlipExpression(swap=swap)(dict(text=[text], flip=[True], flip_direction=['horizontal']))['text'][0]
        for swap in ('substrings', 'words')
        for text in sentences
    ]
    swapped = [s.replace('left', '*').replace('right', 'left').replace('*', 'right') for s in sentences]
    assert results == [*swapped, 'a bright bird', 'the rightside righty topleft', 'right of the upright one']


@pytest.mark.parametrize('task', ['ytvos', 'ytvos_joint', 'a2d', 'refcoco_pretrain'])
def test_training_steps_are_the_reference_s_in_its_configs_alone(task):
    for family in ('ifirvos', 'referformer'):
        official_ones = family == 'referformer'
        for pipeline in training_pipelines(load(f'{family}/r50_{task}.py')):
            (flip,), (visible,) = (transforms_of(pipeline, kind) for kind in ('FlipExpression', 'RequireVisibleObject'))
            assert flip.get('swap', 'words') == ('substrings' if official_ones else 'words')
            assert visible.get('presence', 'mask') == ('box' if official_ones else 'mask')
            colours = transforms_of(pipeline, 'PhotoMetricDistortionUint8')
            assert len(colours) == (task != 'refcoco_pretrain')
            assert all(step.get('overflow', 'clip') == ('wrap' if official_ones else 'clip') for step in colours)


def test_sentences_of_whole_videos_are_left_as_they_are():
    for family in ('ifirvos', 'referformer'):
        for task, verbatim in dict(ytvos=True, davis17=True, a2d=False, jhmdb=False).items():
            dataset = load(f'{family}/r50_{task}.py').test_dataloader.dataset
            assert dataset.get('verbatim', False) == verbatim, (family, task)


# ---------------------------------------------------------------- numbers of a run
def test_batches_of_the_published_runs():
    sizes = dict(refcoco_pretrain=64, ytvos_joint=32, ytvos=8, a2d=16)
    for task, size in sizes.items():
        cfg = load(f'referformer/r50_{task}.py')
        assert cfg.auto_scale_lr.base_batch_size == size
        assert cfg.train_dataloader.batch_size == {64: 2, 32: 1, 8: 1, 16: 2}[size]


def test_class_head_at_hand_over():
    for task in ('ytvos', 'a2d'):
        assert load(f'referformer/r50_{task}.py').default_hooks.hand_over.drop == [r'bbox_head[.]cls_branches[.]']
        assert load(f'ifirvos/r50_{task}.py').default_hooks.hand_over.drop == []


def test_iou_equal_to_k():
    """torch: (i.float() + 1e-6) / (u.float() + 1e-6), then .item() > k."""
    for intersection, area, k in [
        (6, 10, 0.6),
        (600, 1000, 0.6),
        (7, 10, 0.7),
        (8, 10, 0.8),
        (9, 10, 0.9),
        (1, 2, 0.5),
    ]:
        score = FrameScore('v', '0', '', None, '0', intersection, area)
        i, u = (torch.tensor(value).float() for value in (intersection, area))
        assert score.reference_iou == ((i + 1e-6) / (u + 1e-6)).item()
        assert score.reference_iou > k
        assert not score.iou > k
    assert FrameScore('v', '0', '', None, '0', 0, 0).reference_iou == 1
    for name in ('r50_a2d', 'video_swin_t_a2d', 'r50_jhmdb'):
        assert load(f'referformer/{name}.py').test_evaluator.iou == 'reference'


def test_start_of_vewl():
    """Uniform in +-1/sqrt(256): std 0.036; Xavier's is 0.0625."""
    init_default_scope('mmdet')
    for family, expected in dict(referformer=1 / np.sqrt(3 * 256), ifirvos=np.sqrt(2 / 512)).items():
        torch.manual_seed(0)
        vli = MODELS.build(load(f'{family}/r50_ytvos.py').model.vli)
        vli.init_weights()
        projection = vli.vewl.interaction.attn.out_proj
        assert projection.weight.std().item() == pytest.approx(expected, rel=0.02)
        assert not projection.bias.any()
    assert shrink(load('referformer/r50_ytvos.py')).model.vli.vewl.out_proj_init == 'torch'
