"""Shared by the tests of the model: mmdet's scope, as a config's ``default_scope`` sets it, and a fixed seed."""

import pytest
import torch
from mmengine.registry import init_default_scope


@pytest.fixture(autouse=True)
def _scope_and_seed():
    init_default_scope('mmdet')
    torch.manual_seed(0)
