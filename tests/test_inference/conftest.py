"""An inferencer around a model whose answer is known."""

import numpy as np
import pytest
from threshold_rvos import CONFIG

from ifirvos import plain_config
from ifirvos.inference.inferencer import RVOSInferencer


@pytest.fixture
def config_path(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_config, 'MODEL_TYPES', plain_config.MODEL_TYPES | {'ThresholdRVOS'})
    path = tmp_path / 'threshold.py'
    path.write_text(CONFIG)
    return path


@pytest.fixture
def inferencer(config_path):
    return RVOSInferencer(config_path, device='cpu', show_progress=False)


@pytest.fixture
def frames():
    """Five frames, 40 high and 80 wide, blue, with a red square at x = 10 t."""
    frames = np.zeros((5, 40, 80, 3), np.uint8)
    frames[..., 2] = 255
    for t, frame in enumerate(frames):
        frame[8:24, 10 * t : 10 * t + 16] = (255, 0, 0)
    return frames
