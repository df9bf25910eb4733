"""A Ref-YouTube-VOS tree small enough to check by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 48, 72
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def object_box(obj_id: int, frame: int) -> tuple[int, int, int, int] | None:
    """First and last pixel (x1, y1, x2, y2) of an object: 1 moves right by 4 a frame, 2 appears in frame 2."""
    if obj_id == 1:
        return (4 + 4 * frame, 6, 15 + 4 * frame, 17)
    return None if frame < 2 else (45, 30, 59, 41)


def index_mask(frame: int) -> np.ndarray:
    """Object ids, uint8 (HEIGHT, WIDTH)."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for obj_id in (1, 2):
        box = object_box(obj_id, frame)
        if box:
            x1, y1, x2, y2 = box
            mask[y1 : y2 + 1, x1 : x2 + 1] = obj_id
    return mask


def write_tree(root: Path, split: str = 'train', lengths: dict[str, int] | None = None, masks: bool = True) -> Path:
    """Write one split: by default videos 'aa' (8 frames 5 apart, as in the release) and 'bb-Ü' (one frame)."""
    videos = {}
    for video, length in (lengths or {'aa': 8, 'bb-Ü': 1}).items():
        names = [f'{5 * frame:05d}' for frame in range(length)]
        for folder in ('JPEGImages', 'Annotations') if masks else ('JPEGImages',):
            (root / split / folder / video).mkdir(parents=True)
        for frame, name in enumerate(names):
            mask = index_mask(frame)
            # Object 1 is red, 2 green, on grey with a mark at the left border: BGR.
            image = np.array([(90, 90, 90), (20, 20, 220), (20, 220, 20)], dtype=np.uint8)[mask]
            image[:, :3] = 255
            encoded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 98])[1]
            (root / split / 'JPEGImages' / video / f'{name}.jpg').write_bytes(encoded.tobytes())
            if masks:
                picture = Image.fromarray(mask, mode='P')
                picture.putpalette(PALETTE)
                picture.save(root / split / 'Annotations' / video / f'{name}.png')
        videos[video] = {
            'expressions': {
                '0': {'exp': 'The  RED box on the Left,\tbright', 'obj_id': '1', 'kind': 'spatial'},
                '1': {'exp': 'la boîte verte', 'obj_id': '2', 'kind': 'attr'},
            },
            'frames': names[::-1],  # not sorted, as a file may have it
        }
    file = root / 'meta_expressions' / split / 'meta_expressions.json'
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({'videos': videos}, ensure_ascii=False), encoding='utf-8')
    return root


def edit_expressions(root: Path, edit: Callable[[dict], object], split: str = 'train') -> None:
    """Change the videos of a split's ``meta_expressions.json``."""
    file = root / 'meta_expressions' / split / 'meta_expressions.json'
    content = json.loads(file.read_text(encoding='utf-8'))
    edit(content['videos'])
    file.write_text(json.dumps(content), encoding='utf-8')
