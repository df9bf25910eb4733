"""Binary masks packed into 64-bit words, for the boundary operations of the contour accuracy F.

A row of 854 pixels becomes 14 words, so a neighbour test or a dilation touches 64 pixels per operation, and several
frames are handled at once. Everything here is integer arithmetic: results are exact, not to a tolerance.

Letters: T frames, H rows, W columns (pixels), K words per row. Words are uint64 (K, H, T), so that a step to the next
word or row moves whole contiguous blocks. Bit ``b`` of word ``k`` is the pixel in column ``64 * k + b``; bits beyond
the last column are zero.
"""

from math import isqrt

import numpy as np

WORD = 64
_ONE = np.uint64(1)
_CARRY = np.uint64(WORD - 1)


def pack(masks: np.ndarray) -> np.ndarray:
    """Pack masks, bool (T, H, W), into words (K, H, T) with K = ceil(W / 64). The result is a strided view."""
    num_frames, height, width = masks.shape
    num_words = -(-width // WORD)
    octets = np.zeros((num_frames, height, num_words * 8), np.uint8)
    octets[:, :, : -(-width // 8)] = np.packbits(masks, axis=-1, bitorder='little')
    return octets.view('<u8').transpose(2, 1, 0)


def count(words: np.ndarray) -> np.ndarray:
    """Count the set pixels of every frame: words (K, H, T) -> int64 (T,)."""
    if hasattr(np, 'bitwise_count'):  # numpy >= 2
        return np.bitwise_count(words).sum(axis=(0, 1), dtype=np.int64)
    octets = words.transpose(2, 0, 1).reshape(words.shape[2], -1).view(np.uint8)
    return np.unpackbits(octets, axis=1).sum(axis=1, dtype=np.int64)


def boundary(words: np.ndarray, last_column: np.ndarray) -> np.ndarray:
    """Return the pixels that differ from their right, lower or lower-right neighbour: davis2017's ``_seg2bmap``.

    At the right and lower border of the frame the border pixels are repeated outwards. This equals the official special
    cases: in the last row only the right neighbour counts, in the last column only the lower one, for the last pixel
    none.

    Args:
        words: Packed masks (K, H, T).
        last_column: (K, 1, 1) one bit, at the last column of the frame; no bit if the words do not reach it.

    Returns:
        Packed boundaries (K, H, T).
    """
    right = _from_right(words)
    right |= words & last_column
    edges = words ^ right
    upper, edges_above = words[:, :-1], edges[:, :-1]
    edges_above |= upper ^ words[:, 1:]
    edges_above |= upper ^ right[:, 1:]
    return edges


def dilate(words: np.ndarray, radius: int) -> np.ndarray:
    """Dilate by the disk dx**2 + dy**2 <= radius**2 (``skimage.morphology.disk``): words (K, H, T) -> (K, H, T).

    The disk's rows are processed from the outermost to the middle one. Each step spreads the result by one row up and
    down, and adds the words dilated along the row by half the width of the disk's row. As a disk gets wider towards its
    middle, nothing spreads too far.
    """
    wide, reach = words.copy(), 0  # `words` dilated by `reach` columns to both sides
    dilated = np.zeros_like(words)
    scratch = np.empty_like(words), np.empty_like(words)
    for dy in range(radius, -1, -1):
        while (missing := isqrt(radius**2 - dy**2) - reach) > 0:
            step = min(missing, reach + 1, WORD - 1)
            _widen(wide, step, *scratch)
            reach += step
        spread = np.bitwise_or(dilated, wide, out=scratch[0])
        spread[:, 1:] |= dilated[:, :-1]
        spread[:, :-1] |= dilated[:, 1:]
        dilated, scratch = spread, (dilated, scratch[1])
    return dilated


def _widen(words: np.ndarray, step: int, moved: np.ndarray, carry: np.ndarray) -> None:
    """Dilate by ``step`` columns to the left and right, in place; ``moved`` and ``carry`` are scratch memory.

    The words must have been dilated by at least ``step - 1`` columns before. After larger steps, pixels near the border
    would be missing, because their sources lie outside the words.
    """
    by, rest = np.uint64(step), np.uint64(WORD - step)
    np.left_shift(words, by, out=moved)
    np.right_shift(words, rest, out=carry)
    moved[1:] |= carry[:-1]
    np.left_shift(words, rest, out=carry)
    moved[:-1] |= carry[1:]
    np.right_shift(words, by, out=carry)
    words |= moved
    words |= carry


def _from_right(words: np.ndarray) -> np.ndarray:
    """Shift the pixels one column to the left: each takes the value of its right neighbour."""
    moved = words >> _ONE
    moved[:-1] |= words[1:] << _CARRY
    return moved
