"""Joint training: pictures that become clips, beside videos."""

from collections import Counter
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tool_scripts import load_tool

from ifirvos.registry import DATASETS
from ifirvos.synth import make_clip
from ifirvos.synth.layouts import LAYOUTS

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.fixture(scope='module')
def coco(tmp_path_factory) -> str:
    """Two pictures in the layout of RefCOCO, converted as a user does."""

    root = tmp_path_factory.mktemp('coco')
    layout = LAYOUTS['refcoco']
    entries = [layout.write_clip(make_clip(0, 'train', index, (48, 72), 12), root, 'train', 1) for index in range(4)]
    layout.write_index(root, dict(train=[entry for entry in entries if entry is not None]))
    load_tool('dataset_converters/refcoco_to_json.py').main([str(root)])
    return str(root)


@pytest.mark.parametrize(('config', 'num_frames'), [('ifirvos', 6), ('referformer', 5)])
def test_pictures_and_videos_give_clips_alike(config, num_frames, coco, data_root):
    init_default_scope('mmdet')
    cfg = Config.fromfile(CONFIGS / config / 'r50_ytvos_joint.py')
    *pictures, videos = cfg.train_dataloader.dataset.datasets
    assert [part.name for part in pictures] == ['refcoco', 'refcoco+', 'refcocog']
    assert videos.key_frame_interval == num_frames
    for part in pictures:
        part.update(data_root=coco, name='refcoco')
    videos.data_root = str(data_root)
    for part in (*pictures, videos):  # small frames, in one of the two ways
        (choice,) = (transform for transform in part.pipeline if transform.type == 'RandomChoice')
        choice.prob = [1.0, 0.0]
        choice.transforms[0][0].transforms[0].scales = [(96, 64)]
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    sizes = [len(part) for part in dataset.datasets]
    assert sizes[0] == sizes[1] == sizes[2] > 0
    samples = [dataset[sum(sizes[:number])] for number in range(4)]
    for sample in samples:
        assert sample['inputs'].shape[:2] == (num_frames, 3)
        clip = sample['data_samples']
        assert len(clip) == num_frames
        assert any(len(frame.gt_instances) for frame in clip)
        assert clip.text
    names = Counter(transform.type for part in (pictures[0], videos) for transform in part.pipeline)
    assert names['PseudoVideo'] == 1
    assert names['FlipExpression'] == names['RandomChoice'] == names['RequireVisibleObject'] == 2
