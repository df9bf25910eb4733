"""Preparation of a model for inference only."""

import torch
from mmcv.cnn import fuse_conv_bn
from mmdet.models.backbones import ResNet
from torch import Tensor, nn

from ifirvos.models.winograd import filter_minimally

# A CPU gains nothing from more, and one stays nearer to its cache and needs less memory.
CPU_FRAMES = 1


def state_to_save(model: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of a model as it was before :func:`prepare_for_inference`."""
    return getattr(model, 'unprepared_state', None) or model.state_dict()


def prepare_for_inference(model: nn.Module) -> nn.Module:
    """Fold the batch norms of a ResNet, lay convolutions out channels-last, and filter minimally, in place.

    All parameters require gradients afterwards, the frozen ones too: predict within ``torch.no_grad()``, in which
    autocast then converts each only once. (In ``torch.inference_mode()`` it would do so at every use.)

    On a CPU, ``test_cfg.frame_chunk`` becomes at most :data:`CPU_FRAMES`, unless it is None.

    What comes out is the same but for rounding. The model can no longer be trained, and its keys change: to save
    it, see :func:`state_to_save`.

    Args:
        model: A detector in evaluation mode, with its weights.

    Returns:
        The same model.

    Raises:
        ValueError: The model is in training mode, where batch norms are no fixed scaling.
    """
    if model.training:
        raise ValueError('Only a model in evaluation mode can be prepared for inference: call model.eval() first.')
    for parameter in model.parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_()
    chunk = (getattr(model, 'test_cfg', None) or {}).get('frame_chunk')
    if chunk and next(model.parameters()).device.type == 'cpu':
        model.test_cfg['frame_chunk'] = min(chunk, CPU_FRAMES)
    if isinstance(getattr(model, 'backbone', None), ResNet):
        model.unprepared_state = dict(model.state_dict())  # a plain attribute, not in the state dict
        with torch.no_grad():
            fuse_conv_bn(model.backbone)
            for name in ('backbone', 'neck', 'pixel_decoder'):
                if hasattr(model, name):
                    getattr(model, name).to(memory_format=torch.channels_last)
                    filter_minimally(getattr(model, name))
    return model
