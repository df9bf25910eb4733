"""Base class of the layouts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..clip import Clip


@dataclass(frozen=True)
class Layout:
    """The two functions that write SynthRVOS in the layout of a data set.

    Attributes:
        write_clip: `write_clip(clip, root, split, frame_step)` writes the images and masks of one clip below the
            folder `root`, and returns its entry for the index files, or None to leave the clip out of them. It runs
            in worker processes, on different clips at once: it must not write a file that clips share, and its entry
            must be picklable. `split` is one of `SPLITS` ('train', 'valid', 'comp'), which the layout maps to the
            name in its data set. `frame_step` is the distance between the numbers in frame names; a layout whose
            names count by one ignores it.
        write_index: `write_index(root, entries)` is called once, at the end, in the parent process. `entries` maps
            every requested split to the entries of `write_clip`, in the order of the clips, without the None. It
            writes lists, expressions and metadata.
    """

    write_clip: Callable[[Clip, Path, str, int], Any]
    write_index: Callable[[Path, Mapping[str, Sequence[Any]]], None]
