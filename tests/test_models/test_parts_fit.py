"""Parts of a model that do not fit one another, and options that nobody reads, are refused when it is built."""

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

from ifirvos.errors import InputError
from ifirvos.registry import MODELS
from ifirvos.testing import shrink

CONFIG = Path(__file__).parents[2] / 'configs/ifirvos/r50_ytvos.py'


def build(**options):
    init_default_scope('mmdet')
    cfg = shrink(CONFIG)
    cfg.merge_from_dict({f'model.{key.replace("__", ".")}': value for key, value in options.items()})
    return MODELS.build(cfg.model)


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (dict(pixel_decoder__mask_stride=2), 'mask_stride is 2, bbox_head.mask_head.stride 4'),
        (dict(bbox_head__mask_head__stride=2), 'mask_stride is 4, bbox_head.mask_head.stride 2'),
        (dict(num_feature_levels=3), "num_feature_levels is 3, the encoder's self_attn_cfg.num_levels 4"),
        (dict(pixel_decoder__reductions=(8, 4, 2)), 'reductions has 3 numbers, in_channels 4'),
        (dict(encoder__num_cp=1), 'encoder.with_cp'),
        (dict(train_cfg__asigner=1), 'train_cfg.asigner is not assigner'),
        (dict(fpn_text='lewv', vli=None), "fpn_text='lewv' needs vli.lewv"),
        (dict(test_cfg__widow=2), 'test_cfg.widow is none of candidates, clip_score_threshold, frame_chunk'),
        (dict(test_cfg__candidates='smoth'), "'smooth', not 'smoth'"),
        (dict(test_cfg__window=-3), 'test_cfg.window must be None or a number of frames, not -3'),
        (dict(test_cfg__frame_chunk='a'), 'test_cfg.frame_chunk'),
        (dict(test_cfg__clip_score_threshold=40), 'from 0 to 1, not 40'),
    ],
)
def test_what_does_not_fit_is_refused(options, says):
    with pytest.raises(InputError, match=says):
        build(**options)


def test_what_fits_is_built():
    fine = dict(pixel_decoder__mask_stride=2, bbox_head__mask_head__stride=2)
    model = build(**fine, test_cfg__window=36, test_cfg__candidates=True)
    assert model.pixel_decoder.mask_stride == model.bbox_head.mask_head.stride == 2
