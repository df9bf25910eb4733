"""mmdet's 2-D Swin Transformer, with strict loading of the official weights."""

from collections.abc import Mapping

from mmdet.models.backbones.swin import SwinTransformer, WindowMSA, swin_converter
from torch import Tensor

from ifirvos.checkpoint import load_checkpoint, load_strictly
from ifirvos.errors import CheckpointError
from ifirvos.registry import MODELS


@MODELS.register_module()
class ImageSwinTransformer(SwinTransformer):
    """mmdet's ``SwinTransformer`` (arXiv 2103.14030) with strict loading.

    mmdet reads an official file with ``strict=False``, so a file of another size or structure leaves the backbone at
    its random initialisation. Here every key must fit. The constants ``relative_position_index`` are not in the state
    dict.

    Args:
        *args: Passed on to mmdet's.
        **kwargs: Passed on to mmdet's. ``init_cfg=dict(type='Pretrained', checkpoint=FILE)`` reads a local file
            of github.com/microsoft/Swin-Transformer.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for module in self.modules():
            if isinstance(module, WindowMSA):
                index = module.relative_position_index
                del module.relative_position_index
                module.register_buffer('relative_position_index', index, persistent=False)

    def train(self, mode: bool = True) -> 'ImageSwinTransformer':
        """As mmdet's, which returns nothing."""
        super().train(mode)
        return self

    def init_weights(self) -> None:
        """Initialise from ``init_cfg``; an official file is loaded strictly.

        Raises:
            FileNotFoundError: No such file.
            CheckpointError: It does not fit, or is no checkpoint.
        """
        if not self.init_cfg:
            super().init_weights()
            return
        file = self.init_cfg['checkpoint']
        given = load_checkpoint(file)['state_dict']
        weights = self.from_official(given.get('model', given))
        # The official classifier only has a norm of the last map, of another name; the norms here keep their initial
        # values.
        norms = {key: t for key, t in self.state_dict().items() if key.startswith('norm') and key not in weights}
        load_strictly(self, dict(state_dict={**weights, **norms}), str(file), 'the backbone')

    @staticmethod
    def from_official(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Official names -> mmdet's, without the classifier and the constants.

        The official patch merging orders the channels of a 2x2 square by position, mmdet by channel: the weights are
        permuted accordingly.

        Raises:
            CheckpointError: There is no patch embedding, or a 3-D Swin's.
        """
        kernel = state_dict.get('patch_embed.proj.weight')
        if kernel is None or kernel.ndim != 4:
            raise CheckpointError('These are no weights of a Swin-Transformer: no 2-D patch_embed.proj.weight.')
        # `norm` is the classifier's; `attn_mask` and `relative_position_index` follow from sizes.
        left_out = ('norm.', 'head.')
        constants = ('relative_position_index', 'attn_mask')
        weights = {k: t for k, t in state_dict.items() if not k.startswith(left_out) and not k.endswith(constants)}
        return {key.removeprefix('backbone.'): tensor for key, tensor in swin_converter(weights).items()}
