"""Multi-head attention that is quicker where keys are few or padded."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.MultiheadAttention):
    """torch's multi-head attention, batches first, by other paths where those are equal and quicker.

    Few keys on a CPU, as the words that every pixel attends to: the projections of queries and outputs are applied to
    them in place of the pixels, ``(x W_q) k^T = x (k W_q^T)^T``, and all heads together are two products of matrices.
    Up to C/heads keys that is less arithmetic.

    Padded keys in inference: torch imports its symbolic shapes for a check, and with them sympy, half a second of every
    start.

    With dropout in training torch's own path is taken, since what is dropped depends on the order of elements in
    memory.
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
            key_padding_mask: Bool (B,K), True on padding; None where there is none.
            need_weights: Return the weights too.

        Returns:
            tuple: (B,Q,C), and the mean of all heads' weights (B,Q,K) or None.
        """
        if need_weights or self._must_be_torchs():
            return super().forward(query, key, value, key_padding_mask, need_weights=need_weights)
        if self._are_few(key):
            return self._attend_to_few(query, key, value, key_padding_mask), None
        if key_padding_mask is None or self.training:
            return super().forward(query, key, value, key_padding_mask, need_weights=need_weights)
        q, k, v = (self._project(x, part) for part, x in enumerate((query, key, value)))
        attended = F.scaled_dot_product_attention(q, k, v, ~key_padding_mask[:, None, None])
        return self.out_proj(attended.transpose(1, 2).flatten(2)), None

    def _must_be_torchs(self) -> bool:
        return self.training and self.dropout > 0

    def _are_few(self, keys: Tensor) -> bool:
        if keys.device.type != 'cpu' or not isinstance(keys.shape[1], int):  # an export leaves T, and T*h*w keys, free
            return False
        half = torch.is_autocast_enabled('cpu') or keys.dtype in (torch.bfloat16, torch.float16)
        return keys.shape[1] <= (2 if half else 1) * self.head_dim  # in half precision the other way takes far longer

    def _project(self, x: Tensor, part: int) -> Tensor:
        """Project queries, keys or values, ``part`` 0, 1 or 2, (B,K,C) -> (B,heads,K,C/heads)."""
        weight, bias = self.in_proj_weight.chunk(3)[part], self.in_proj_bias.chunk(3)[part]
        return F.linear(x, weight, bias).unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)

    def _attend_to_few(self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None) -> Tensor:
        """Do the same with both projections of the queries applied to the keys and values; returns (B,Q,C)."""
        heads = (self.num_heads, self.head_dim)
        k, v = self._project(key, 1) * self.head_dim**-0.5, self._project(value, 2)
        weight, bias = (part.chunk(3)[0].unflatten(0, heads) for part in (self.in_proj_weight, self.in_proj_bias))
        bias = k @ bias[..., None]  # B heads K 1
        if key_padding_mask is not None:
            nothing = torch.finfo(bias.dtype).min  # finite, for a sentence that is padding throughout
            bias = bias.masked_fill(key_padding_mask[:, None, :, None], nothing)
        # Queries last: a softmax over a few neighbours in memory takes ten times as long.
        logits = torch.baddbmm(bias.flatten(1, 2), (k @ weight).flatten(1, 2), query.transpose(1, 2))
        weights = logits.unflatten(1, (self.num_heads, -1)).softmax(2).flatten(1, 2)  # B heads*K Q
        values = (v @ self.out_proj.weight.t().unflatten(0, heads)).flatten(1, 2)  # B heads*K C
        return torch.baddbmm(self.out_proj.bias, weights.transpose(1, 2), values)
