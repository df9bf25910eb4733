"""Finds the query that continues the object of the previous window.

Query sequences are not the same from window to window: query 3 of one may follow another object than query 3 of the
next. Neighbouring windows overlap, and the masks in the overlap show which query follows the same object.
"""

from collections.abc import Callable

from torch import Tensor


class QueryLinker:
    """Links the query of one sentence from window to window.

    A query is rated by its mean score over the window plus ``weight`` times the IoU of its masks with those of the
    previous window in the overlap. So a query continues its object unless another has a clearly better score. If the
    object is absent from the overlap, the score decides, as in the first window.

    Args:
        weight: Weight of the IoU; 0: no linking.
    """

    def __init__(self, weight: float = 0.5) -> None:
        self.weight = weight
        self._shared = 0
        self._masks: Tensor | None = None

    def begin(self, shared: int) -> None:
        """Set how many frames of the next window overlap with the previous one."""
        self._shared = shared

    def choose(self, scores: Tensor, draw: Callable[[int], Tensor]) -> int:
        """Choose a query.

        Args:
            scores: Probabilities (T, N) of the window's queries.
            draw: N -> mask logits (n, N, h, w) of all queries on the first n frames.
        """
        total = scores.mean(0)
        if self._masks is not None and self._shared and self.weight:
            before = self._masks[-self._shared :]
            if before.any():
                total = total + self.weight * agreement(draw(self._shared) > 0, before)
        return int(total.argmax())

    def remember(self, masks: Tensor) -> None:
        """Store the mask logits (T, h, w) of the chosen query for the next window."""
        self._masks = masks > 0


def agreement(masks: Tensor, reference: Tensor) -> Tensor:
    """IoU over frames and pixels together: bool (T, N, h, w) and (T, h, w) -> (N,)."""
    reference = reference[:, None]
    union = (masks | reference).sum((0, 2, 3))
    return (masks & reference).sum((0, 2, 3)) / union.clamp(min=1)
