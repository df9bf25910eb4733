"""SynthRVOS in the layout of Ref-YouTube-VOS, see `writer`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..clip import Clip
from ..writer import write_clip as write_video
from ..writer import write_meta
from .layout import Layout


def write_clip(clip: Clip, root: Path, split: str, frame_step: int) -> tuple[str, dict, dict]:
    """Write a clip; return its id and its entries for meta.json and meta_expressions.json."""
    return clip.video_id, *write_video(clip, root / split, frame_step)


def write_index(root: Path, entries: Mapping[str, Sequence[tuple[str, dict, dict]]]) -> None:
    """Write both JSON files of every split."""
    for split, videos in entries.items():
        write_meta(root, split, videos)


REF_YOUTUBE_VOS = Layout(write_clip, write_index)
