"""Multi-head attention with padding."""

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.MultiheadAttention):
    """torch's multi-head attention, with batches first and less around it where keys are padded and nothing is learnt.

    There torch imports its symbolic shapes for a check, and with them sympy: half a second of every start. In training
    its own path is taken, since what dropout draws depends on the order of elements in memory.
    """

    def __init__(self, embed_dims: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__(embed_dims, num_heads, dropout, batch_first=True)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend as torch does.

        Args:
            query: (B,Q,C).
            key: (B,K,C).
            value: (B,K,C).
            key_padding_mask: Bool (B,K), True on padding, of which no row may be True throughout; None where there is
                none.
            need_weights: Return the weights too.

        Returns:
            tuple: (B,Q,C), and the mean of all heads' weights (B,Q,K) or None.
        """
        if key_padding_mask is None or need_weights or self.training:
            return super().forward(query, key, value, key_padding_mask, need_weights)
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(x, weight, bias).unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )  # B heads Q|K C/heads
        attended = F.scaled_dot_product_attention(q, k, v, ~key_padding_mask[:, None, None])
        return self.out_proj(attended.transpose(1, 2).flatten(2)), None
