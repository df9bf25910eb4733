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
        write_clip: `write_clip(clip, root, split, frame_step)` writes the pictures and masks of one clip below the
            folder `root` and returns what the index files need of it, or None to leave the clip out of them. It runs
            in a worker process: several at once, each on its own clip, so it writes no file that two clips share, and
            what it returns is pickled. `split` is one of `SPLITS` ('train', 'valid', 'comp'); the layout knows what
            its data set calls it. `frame_step` is the distance of frame names; a layout whose names count by one
            ignores it.
        write_index: `write_index(root, entries)` is called once, last, in the parent process. `entries` maps every
            split that was asked for to what `write_clip` returned, in the order of the clips, without the None. It
            writes lists, expressions, meta data.
    """

    write_clip: Callable[[Clip, Path, str, int], Any]
    write_index: Callable[[Path, Mapping[str, Sequence[Any]]], None]
