"""The Transformer's feed-forward network, whose hidden layer never has to be in memory whole."""

import torch
from mmcv.cnn.bricks.transformer import FFN
from torch import Tensor, nn

from .relu_dropout import ReLUDropout


class TokenwiseFFN(FFN):
    """mmcv's FFN, which on a CPU without gradients processes a few hundred tokens at a time.

    The hidden layer is eight times as large as its input: 118 MB per frame of 360x640 at the finest level of the FPN.
    For so few tokens it stays in the cache, and its memory is reused. In training it is kept once
    (:class:`~.relu_dropout.ReLUDropout`). Parameters have the names of mmcv's.
    """

    # Large enough for the matrix products to run at full speed, small enough for a cache.
    tokens_at_once = 480
    # In half precision: units for matrices are done with 480 before laying out the weights for them has paid off.
    half_tokens_at_once = 1920

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for hidden in self.layers:
            if isinstance(hidden, nn.Sequential) and type(hidden[1]) is nn.ReLU:
                hidden[1], hidden[2] = nn.Identity(), ReLUDropout(hidden[2].p)

    def forward(self, x: Tensor, identity: Tensor | None = None) -> Tensor:
        """Return ``identity`` (None: x) plus the output of the two layers on x, (...,C).

        Args:
            x: (...,C).
            identity: (...,C).
        """
        whole = torch.is_grad_enabled() or self.training or x.device.type != 'cpu' or torch.compiler.is_compiling()
        if whole or x.numel() == 0:
            return super().forward(x, identity)
        half = torch.is_autocast_enabled('cpu') or x.dtype in (torch.bfloat16, torch.float16)
        count = self.half_tokens_at_once if half else self.tokens_at_once
        tokens = x.reshape(-1, x.shape[-1]).split(count)
        others = tokens if identity is None else identity.reshape(-1, x.shape[-1]).split(count)
        out = None
        for part, other in zip(tokens, others, strict=True):
            made = FFN.forward(self, part, other)
            if len(tokens) == 1:
                return made.view(x.shape)
            if out is None:
                out, done = made.new_empty(x.numel() // x.shape[-1], x.shape[-1]), 0
            out[done : done + len(made)] = made
            done += len(made)
        return out.view(x.shape)
