"""What evaluation will need is looked for before the first forward."""

from types import SimpleNamespace

import pytest
from mmengine.registry import init_default_scope
from torch.utils.data import ConcatDataset, Subset

from ifirvos.errors import AnnotationError, MissingFileError
from ifirvos.evaluation.submission import SubmissionWriter
from ifirvos.registry import DATASETS, METRICS
from ifirvos.testing import write_demo_dataset
from ifirvos.training.evaluation_check import check_evaluation, leaves


@pytest.fixture
def root(tmp_path):
    return write_demo_dataset(tmp_path / 'data', num_clips=1)


def loop_of(root, *metrics, wrap=lambda dataset: dataset):
    init_default_scope('mmdet')
    dataset = DATASETS.build(dict(type='RefYouTubeVOSDataset', data_root=str(root), split='valid', test_mode=True))
    loader = SimpleNamespace(dataset=wrap(dataset))
    return SimpleNamespace(evaluator=SimpleNamespace(metrics=list(metrics)), dataloader=loader)


def scoring():
    return METRICS.build(dict(type='RVOSMetric', unannotated='error'))


WRAPS = [lambda dataset: dataset, lambda dataset: ConcatDataset([dataset]), lambda dataset: Subset(dataset, [0])]


@pytest.mark.parametrize('wrap', WRAPS)
def test_a_missing_mask_is_named_before_anything_runs(root, wrap):
    loop = loop_of(root, scoring(), wrap=wrap)
    assert len(list(leaves(loop.dataloader.dataset))) == 1
    check_evaluation(loop)
    mask = sorted(root.glob('valid/Annotations/*/*.png'))[3]
    mask.unlink()
    with pytest.raises(MissingFileError, match=f'{mask.name} is missing, which RVOSMetric compares with'):
        check_evaluation(loop)


def test_a_split_without_masks_is_for_submission(root):
    (root / 'valid/Annotations').rename(root / 'valid/secret')
    with pytest.raises(AnnotationError, match='RVOSMetric compares with masks.*SubmissionWriter'):
        check_evaluation(loop_of(root, scoring()))
    check_evaluation(loop_of(root, SubmissionWriter(out_dir='x')))
    check_evaluation(loop_of(root, METRICS.build(dict(type='RVOSMetric', unannotated='skip'))))
