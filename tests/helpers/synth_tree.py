"""Small trees of SynthRVOS in the layout of another data set, as the generator's command writes them."""

from pathlib import Path

from ifirvos.synth import Clip, make_clip
from ifirvos.synth.layouts import LAYOUTS

FRAMES, SIZE = 12, (96, 144)


def write_layout(root: Path, layout: str, clips: dict[str, list[int]]) -> dict[str, list[Clip]]:
    """Write the clips with these numbers of every split; return them, for their label maps and sentences."""
    made = {split: [make_clip(0, split, index, SIZE, FRAMES) for index in numbers] for split, numbers in clips.items()}
    writer = LAYOUTS[layout]
    entries = {}
    for split, of_split in made.items():
        entries[split] = [writer.write_clip(clip, root, split, 1) for clip in of_split]
    writer.write_index(root, entries)
    return made


def files_below(root: Path) -> set[str]:
    """All files, with every frame number as '*' and every video as 'VIDEO'."""
    found = set()
    for path in root.rglob('*'):
        if path.is_file():
            folder = path.relative_to(root).parent
            is_frame = path.suffix in ('.jpg', '.png')
            found.add(str(folder.parent / 'VIDEO' / f'*{path.suffix}' if is_frame else folder / path.name))
    return found
