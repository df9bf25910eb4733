"""The Transformer's feed-forward network, whose hidden layer never has to be in memory whole."""

import torch
from mmcv.cnn.bricks.transformer import FFN
from torch import Tensor


class TokenwiseFFN(FFN):
    """mmcv's; on a CPU without gradients it takes some tokens at a time.

    The hidden layer of the finest level of the FPN is eight times the level: 118 MB a frame of 360x640. Of so few
    tokens it stays in the cache, and the same memory serves all of them.
    """

    # Large enough for the matrix products to run at full speed, small enough for a cache.
    tokens_at_once = 480

    def forward(self, x: Tensor, identity: Tensor | None = None) -> Tensor:
        """Map x (...,C) to ``identity`` (x, if None) plus what the two layers make of x.

        Args:
            x: (...,C).
            identity: (...,C).
        """
        if torch.is_grad_enabled() or self.training or x.device.type != 'cpu' or x.numel() == 0:
            return super().forward(x, identity)
        tokens = x.reshape(-1, x.shape[-1]).split(self.tokens_at_once)
        others = tokens if identity is None else identity.reshape(-1, x.shape[-1]).split(self.tokens_at_once)
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
