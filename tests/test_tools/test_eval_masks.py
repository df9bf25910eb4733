"""eval_masks.py and check_submission.py: masks from files score what they score in the loop."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from PIL import Image
from tool_scripts import load_tool

from ifirvos.errors import AnnotationError
from ifirvos.evaluation.metrics.ref_davis_metric import RefDAVISMetric
from ifirvos.evaluation.submission.files import write_expression
from ifirvos.registry import DATASETS, METRICS
from ifirvos.structures import frame_name

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH, FRAMES = 36, 60, ('00000', '00005', '00010')
PIPELINE = [
    dict(type='RVOSClipSample', mode='all'),
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(30, 18), keep_ratio=True),
            dict(type='LoadRVOSMasks'),
        ],
    ),
    dict(type='PackRVOSInputs'),
]


@pytest.fixture(scope='module')
def tool():
    return load_tool('analysis_tools/eval_masks.py', register=True)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Two videos in the layout of Ref-YouTube-VOS; object 2 is absent from the first frame."""
    root = tmp_path_factory.mktemp('data')
    videos = {}
    for video in ('v', 'w'):
        for folder in ('JPEGImages', 'Annotations'):
            (root / 'valid' / folder / video).mkdir(parents=True)
        for t, name in enumerate(FRAMES):
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[4:20, 5 + 3 * t : 25 + 3 * t] = 1
            labels[22:34, 30:50] = 2 if t else 0
            Image.fromarray(labels).save(root / f'valid/Annotations/{video}/{name}.png')
            Image.fromarray(labels).save(root / f'valid/JPEGImages/{video}/{name}.jpg')
        expressions = {str(k): dict(exp=f'object {k}', obj_id=str(k + 1)) for k in range(2)}
        videos[video] = dict(frames=list(FRAMES), expressions=expressions)
    file = root / 'meta_expressions/valid/meta_expressions.json'
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(dict(videos=videos)), encoding='utf-8')
    return root


@pytest.fixture
def config(tmp_path, data):
    def write(evaluator):
        dataset = dict(type='RefYouTubeVOSDataset', data_root=str(data), split='valid', pipeline=PIPELINE)
        path = tmp_path / 'config.py'
        text = f"default_scope = 'mmdet'\ntest_dataloader = dict(dataset={dataset!r})\ntest_evaluator = {evaluator!r}\n"
        path.write_text(text, encoding='utf-8')
        return path, dataset

    return write


def predict(sample, rng):
    """Blocks of random masks, as a model would leave them."""
    for frame in sample.video_data_samples:
        mask = np.kron(rng.integers(0, 2, (9, 15)), np.ones((4, 4))) > 0
        frame.pred_track_instances = InstanceData(
            masks=torch.from_numpy(mask[None]), scores=torch.ones(1), bboxes=torch.zeros(1, 4)
        )


@pytest.mark.parametrize(
    'metric', [dict(type='RVOSMetric', group_by='exp_id'), dict(type='A2DMetric', all_queries=False)]
)
@pytest.mark.parametrize('workers', [1, 2])
def test_equals_the_metric_in_the_loop(tool, config, tmp_path, metric, workers):
    path, dataset = config([metric, dict(type='SubmissionWriter', out_dir=str(tmp_path / 'never'))])
    init_default_scope('mmdet')
    rng = np.random.default_rng(0)
    samples = [item['data_samples'] for item in DATASETS.build(dataset)]
    for sample in samples:
        predict(sample, rng)
        names = [frame_name(frame) for frame in sample.video_data_samples]
        masks = [frame.pred_track_instances.masks[0].numpy() for frame in sample.video_data_samples]
        write_expression(tmp_path / 'masks', sample.video_id, sample.exp_id, names, masks)
    evaluator = Evaluator(METRICS.build(metric))
    evaluator.process(samples)
    expected = evaluator.evaluate(len(samples))
    found = tool.main([str(path), str(tmp_path / 'masks'), '--workers', str(workers), '--out', str(tmp_path / 'out')])
    assert found == expected
    assert found[f'{evaluator.metrics[0].prefix}/n'] == (4 if metric['type'] == 'RVOSMetric' else 12)
    assert any(0 < value < 100 for value in found.values())
    assert list((tmp_path / 'out').glob('*_metric.json'))
    assert not (tmp_path / 'never').exists()


def test_pictures_are_not_decoded(tool, config, data, tmp_path):
    """Only their size is read: a picture cut short after its header does not matter."""
    path, _ = config(dict(type='RVOSMetric'))
    copy = tmp_path / 'data'
    shutil.copytree(data, copy)
    for picture in copy.glob('valid/JPEGImages/*/*.jpg'):
        picture.write_bytes(picture.read_bytes()[:400])
    for video in 'vw':
        for k in range(2):
            labels = [np.asarray(Image.open(data / f'valid/Annotations/{video}/{name}.png')) for name in FRAMES]
            write_expression(tmp_path / 'masks', video, str(k), FRAMES, [label == k + 1 for label in labels])
    options = ['--workers', '1', '--cfg-options', f'test_dataloader.dataset.data_root={copy}']
    assert tool.main([str(path), str(tmp_path / 'masks' / 'Annotations'), *options])['rvos/J&F'] == 100


def test_missing_mask_is_named(tool, config, tmp_path):
    path, _ = config(dict(type='RVOSMetric'))
    write_expression(tmp_path / 'masks', 'v', '0', FRAMES[:2], [np.zeros((HEIGHT, WIDTH), bool)] * 2)
    with pytest.raises(SystemExit, match=r'v/0/00010.png'):
        tool.main([str(path), str(tmp_path / 'masks'), '--workers', '1'])


def test_config_without_a_metric_for_masks(tool, config, tmp_path):
    path, _ = config([dict(type='SubmissionWriter', out_dir=str(tmp_path / 'never')), dict(type='AbsenceMetric')])
    with pytest.raises(SystemExit, match='no metric that scores masks'):
        tool.main([str(path), str(tmp_path)])


class Videos:
    """What of Ref-DAVIS17's data set the scorer of label maps needs."""

    def __init__(self, root):
        self.root = root

    def __len__(self):
        return 4

    def get_data_info(self, index):
        video = 'vw'[index // 2]
        paths = [str(self.root / f'valid/Annotations/{video}/{name}.png') for name in FRAMES]
        return dict(video_id=video, images=[dict(mask_path=path) for path in paths])


def test_label_maps_of_annotators(tool, data, tmp_path):
    """Annotator 0 paints the annotation, annotator 1 nothing. Object 2 comes too late to be evaluated."""
    for annotator in range(2):
        for video in 'vw':
            folder = tmp_path / f'anno_{annotator}' / video
            folder.mkdir(parents=True)
            for name in FRAMES:
                labels = np.asarray(Image.open(data / f'valid/Annotations/{video}/{name}.png'))
                Image.fromarray(labels * (1 - annotator)).save(folder / f'{name}.png')
    metric = RefDAVISMetric(out_dir=str(tmp_path / 'out'))
    scorer = tool.LabelMapScorer(Videos(data), metric, tmp_path)
    records = [record for part in tool.score_all(scorer, workers=1) for record in part]
    metrics = metric.report(records)
    assert [metrics['J&F'], metrics['anno_0/J&F'], metrics['anno_1/J&F'], metrics['n']] == [50, 100, 0, 4]


def test_a_split_without_annotations_says_so(tool, config, data, tmp_path):
    copy = tmp_path / 'data'
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns('Annotations'))
    for metric in ('RVOSMetric', 'RefDAVISMetric'):
        path, _ = config(dict(type=metric))
        with pytest.raises(AnnotationError, match=rf'{metric} compares with masks.*valid/Annotations is missing'):
            tool.main([str(path), str(tmp_path), '--cfg-options', f'test_dataloader.dataset.data_root={copy}'])


def test_check_submission(data, tmp_path, capsys):
    check = load_tool('check_submission.py')
    for video in 'vw':
        for exp in '01':
            write_expression(tmp_path / 'sub', video, exp, FRAMES, [np.zeros((HEIGHT, WIDTH), bool)] * 3)
    file = data / 'meta_expressions/valid/meta_expressions.json'
    args = [str(tmp_path / 'sub'), '--expressions', str(file), '--frames', str(data / 'valid/JPEGImages')]
    assert check.main(args) == 0
    assert 'complete: 2 videos, 4 expressions, 12 masks' in capsys.readouterr().out
    packed = shutil.make_archive(str(tmp_path / 'packed'), 'zip', tmp_path / 'sub')
    assert check.main([packed, *args[1:], '--layout', 'mevis']) == 1
    assert 'is it the other --layout' in capsys.readouterr().out
    test = tmp_path / 'test.json'
    test.write_text(
        '{"videos": {"w": {"expressions": {"0": {"exp": "a cat"}}, "frames": ["00000"]}}}', encoding='utf-8'
    )
    assert check.main([*args, '--without', str(test)]) == 1  # w's masks are too many now
    said = capsys.readouterr().out
    assert 'Annotations/w/0/00000.png does not belong there' in said
    assert 'the other --layout' not in said
