"""A submission that was stopped goes on without showing the model again what is written."""

import pytest
import torch
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from ifirvos.evaluation import SubmissionWriter
from ifirvos.evaluation.submission.files import check_submission
from ifirvos.evaluation.submission.loop import split_records
from ifirvos.registry import DATASETS
from ifirvos.testing import write_demo_dataset

PIPELINE = [
    dict(type='RVOSClipSample', mode='all'),
    dict(type='TransformBroadcaster', transforms=[dict(type='LoadImageFromFile')]),
    dict(type='PackRVOSInputs'),
]


class Stopped(Exception):
    """As if the process had been killed."""


class Model(BaseModel):
    """Predicts nothing, keeps what it has seen, and stops before expression number ``limit``."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__(TrackDataPreprocessor())
        self.limit, self.seen = limit, []

    def forward(self, inputs, data_samples, mode):
        for sample in data_samples:
            if len(self.seen) == self.limit:
                raise Stopped
            self.seen.append((sample.video_id, sample.exp_id))
            for frame in sample:
                frame.pred_track_instances = InstanceData(masks=torch.zeros((1, *frame.ori_shape), dtype=torch.bool))
        return data_samples


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> str:
    return str(write_demo_dataset(tmp_path_factory.mktemp('data') / 'demo', num_clips=2))


def submit(model: Model, data: str, tmp_path, *metrics: dict, **writer) -> dict:
    dataset = dict(type='RefYouTubeVOSDataset', data_root=data, split='valid', pipeline=PIPELINE)
    runner = Runner(
        model=model,
        work_dir=str(tmp_path / 'work'),
        test_dataloader=dict(
            batch_size=1,
            num_workers=0,
            dataset=dataset,
            sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
            collate_fn=dict(type='pseudo_collate'),
        ),
        test_cfg=dict(type='SubmissionLoop'),
        test_evaluator=[*metrics, dict(type='SubmissionWriter', out_dir=str(tmp_path / 'sub'), **writer)],
        default_scope='mmdet',
        log_level='WARNING',
    )
    return runner.test()


def test_goes_on_where_it_was_stopped(data, tmp_path):
    dataset = DATASETS.build(dict(type='mmdet.RefYouTubeVOSDataset', data_root=data, split='valid'))
    expected = {
        (info['video_id'], info['exp_id']): [f'{frame:05d}' for frame in range(12)]
        for info in (dataset.get_data_info(index) for index in range(len(dataset)))
    }
    keys = list(expected)
    with pytest.raises(Stopped):
        submit(Model(limit=3), data, tmp_path, overwrite=False)
    assert not (tmp_path / 'sub.zip').exists()

    rest = Model()
    # The other metric would see no more than the rest (and fail, since nothing loads its masks): it is left out.
    metrics = submit(rest, data, tmp_path, dict(type='RVOSMetric'), overwrite=False)
    assert rest.seen == keys[3:]
    assert metrics == {'submission/expressions': len(keys)}
    assert list(check_submission(tmp_path / 'sub.zip', expected)) == []

    nothing_left = Model()
    (tmp_path / 'sub.zip').unlink()
    assert submit(nothing_left, data, tmp_path, overwrite=False) == {'submission/expressions': len(keys)}
    assert nothing_left.seen == []
    assert (tmp_path / 'sub.zip').exists()

    (tmp_path / 'sub/Annotations' / keys[1][0] / keys[1][1] / '00004.png').unlink()
    kept, replaced = (SubmissionWriter(out_dir=str(tmp_path / 'sub'), overwrite=flag) for flag in (False, True))
    assert split_records(dataset, kept) == ([1], [keys[0], *keys[2:]])
    assert split_records(dataset, replaced) == (list(range(len(keys))), [])


def test_needs_a_writer(data, tmp_path):
    runner = Runner(
        model=Model(),
        work_dir=str(tmp_path / 'work'),
        test_dataloader=dict(dataset=dict(type='RefYouTubeVOSDataset', data_root=data, split='valid')),
        test_cfg=dict(type='SubmissionLoop'),
        test_evaluator=dict(type='RVOSMetric'),
        default_scope='mmdet',
    )
    with pytest.raises(ValueError, match='one SubmissionWriter'):
        runner.test()
