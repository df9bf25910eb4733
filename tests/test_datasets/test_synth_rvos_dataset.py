"""SynthRVOSDataset and the two shipped SynthRVOS pipelines on a tiny tree in its layout."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from rvos_tree import HEIGHT, WIDTH, edit_expressions, index_mask, write_tree

from ifirvos.datasets import SynthRVOSDataset
from ifirvos.registry import DATASETS

CONFIGS = Path(__file__).parents[2] / 'configs/_base_/datasets'


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('synth')
    for split in ('train', 'valid', 'comp'):
        write_tree(folder, split)
    return folder


def kinds(dataset) -> list[str]:
    return [dataset.get_data_info(index)['kind'] for index in range(len(dataset))]


def build(root: Path, name: str, loader: str, **changes):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')[loader].dataset
    for dataset in cfg.get('datasets', [cfg]):
        dataset.update(data_root=str(root), **changes)
    return DATASETS.build(cfg)


def test_kinds_are_kept_filtered_and_marked(root):
    assert kinds(SynthRVOSDataset(str(root), 'valid')) == ['spatial', 'attr'] * 2
    assert kinds(SynthRVOSDataset(str(root), 'valid', kinds=['attr'])) == ['attr'] * 2
    assert kinds(SynthRVOSDataset(str(root), 'comp', kinds=['attr'], kind_suffix='_comp')) == ['attr_comp'] * 2


def test_unknown_or_missing_kind_is_named(root, tmp_path):
    with pytest.raises(ValueError, match=r"\['motion'\].*\['attr', 'spatial'\]"):
        SynthRVOSDataset(str(root), 'valid', kinds=['attr', 'motion'])
    write_tree(tmp_path)
    edit_expressions(tmp_path, lambda videos: videos['aa']['expressions']['1'].pop('kind'))
    with pytest.raises(ValueError, match='1 of video aa'):
        SynthRVOSDataset(str(tmp_path))


def test_shipped_training_pipeline(root):
    np.random.seed(0)
    cfg = Config.fromfile(CONFIGS / 'synth_rvos.py')
    dataset = DATASETS.build(dict(cfg.train_dataset, data_root=str(root)))
    num_frames = cfg.num_frames
    parts = [range(part * 8 // num_frames, (part + 1) * 8 // num_frames) for part in range(num_frames)]
    assert len(dataset) == 3 + 1  # an expression each; the tree's object 2 is never seen in its one-frame video
    clips = [dataset[0] for _ in range(12)]
    for packed in clips:
        sample = packed['data_samples']
        assert packed['inputs'].shape == (num_frames, 3, 64, 96)
        assert packed['inputs'].dtype == torch.uint8
        assert sample.kind == 'spatial'
        assert all(frame.frame_id in part for frame, part in zip(sample, parts, strict=True))
        mirrored = sample[0].flip
        assert ('on the right' in sample.text) == mirrored
        for image, frame in zip(packed['inputs'], sample, strict=True):
            # The mask lies where the picture is red (BGR), and the white mark tells which way round the picture is.
            mask = torch.from_numpy(frame.gt_instances.masks.masks[0]).bool()
            assert image[2][mask].float().mean() > image[1][mask].float().mean() + 80
            assert image[2][~mask].float().mean() < image[1][~mask].float().mean() + 25
            assert (image[0, :, -2:].min() > 150) == mirrored
            assert (image[0, :, :2].min() > 150) != mirrored
    assert {packed['data_samples'][0].flip for packed in clips} == {True, False}


def test_shipped_pretraining_pipeline_is_one_frame(root):
    dataset = build(root, 'synth_rvos_pretrain', 'train_dataloader', kinds=['attr'])
    cfg = Config.fromfile(CONFIGS / 'synth_rvos_pretrain.py')
    assert cfg.train_dataloader.dataset.kinds == ['attr', 'spatial', 'relation', 'coherence']
    assert cfg.val_dataloader.dataset.kinds == ['attr', 'spatial', 'relation']
    seen = set()
    for _ in range(10):
        packed = dataset[0]
        assert packed['inputs'].shape == (1, 3, 64, 96)
        assert len(packed['data_samples'][0].gt_instances) == 1
        seen.add(packed['data_samples'][0].frame_id)
    assert seen <= set(range(2, 8))  # the green box is absent in frames 0 and 1: those draws were repeated
    assert len(seen) > 2


def test_shipped_validation_is_whole_videos_at_original_size(root):
    packed = build(root, 'synth_rvos', 'val_dataloader')[0]
    assert packed['inputs'].shape == (8, 3, 64, 96)
    for index, frame in enumerate(packed['data_samples']):
        np.testing.assert_array_equal(frame.gt_instances.masks.masks, (index_mask(index) == 1)[None])
        assert frame.ori_shape == (HEIGHT, WIDTH)


def test_shipped_test_set_is_val_and_comp_told_apart(root):
    dataset = build(root, 'synth_rvos', 'test_dataloader')
    assert [dataset[index]['data_samples'].kind for index in (0, 1, 4, 5)] == [
        'spatial',
        'attr',
        'spatial_comp',
        'attr_comp',
    ]
