"""IFIRVOS from the weights of ReferFormer, at their real widths: it begins as ReferFormer, to the last bit."""

import pytest
import warm_start


@pytest.mark.slow
@pytest.mark.parametrize('config', [name for name in warm_start.CONFIGS if 'from_referformer' in name])
def test_the_first_forward_is_referformers(config):
    found = warm_start.differences(config, 2, (64, 96), 2)
    assert (found['cls_logits'], found['boxes'], found['mask_logits'], found['j']) == (0, 0, 0, 1)
    assert found['new'] > 50, 'the two modules are there'
    assert found['left'] == 0


@pytest.mark.slow
def test_without_gates_it_is_not():
    found = warm_start.differences('ifirvos/r50_ytvos.py', 2, (64, 96), 2)
    assert found['cls_logits'] > 0.01
