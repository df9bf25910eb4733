"""Every other file that people hand over, changed: it is read, or one of our errors says why not."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mutations import changed_bytes, changed_json, is_answered, run_all
from PIL import Image
from pycocotools import mask as coco_mask
from tool_scripts import load_tool

from ifirvos.checkpoint import load_checkpoint
from ifirvos.datasets.custom import read_annotations, read_sentences
from ifirvos.evaluation.submission.files import check_submission
from ifirvos.inference.manifest import read_manifest
from ifirvos.label_maps import read_palette_png, write_palette_png
from ifirvos.plain_config import model_config
from ifirvos.run_lengths import decode_segmentation

ROOT = Path(__file__).resolve().parents[2]
KEPT = list(range(8))  # seeds of every run; what was found with others joins them


def refcoco_tool():
    return load_tool('dataset_converters/refcoco_to_json.py')


REFCOCO = refcoco_tool()
SENTENCES = [dict(sent_id=0, sent='the left cat', raw='the left cat', tokens=['the', 'left', 'cat'])]
REFS = [dict(ref_id=1, ann_id=51, image_id=9, category_id=1, split='train', sentences=SENTENCES, file_name='a.jpg')]
SQUARE = [[0, 0, 2, 0, 2, 2]]
ANNOTATION = dict(id=51, image_id=9, segmentation=SQUARE, area=2.0, iscrowd=0, bbox=[0, 0, 2, 2], category_id=1)
INSTANCES = dict(
    images=[dict(id=9, file_name='a.jpg', height=4, width=6)],
    annotations=[ANNOTATION],
    categories=[dict(id=1, name='cat')],
)
YOUTUBE_VIS = dict(
    videos=[dict(id=1, name='clip', height=4, width=6, file_names=['clip/0.png', 'clip/1.png'])],
    categories=[dict(id=3, name='thing')],
    annotations=[dict(id=1, video_id=1, category_id=3, sentence='a', segmentations=[SQUARE, None])],
)
COCO_VID = dict(
    images=[dict(id=10, video_id=7, frame_id=0, file_name='clip/0.png', height=4, width=6)],
    annotations=[dict(id=100, image_id=10, instance_id=1, category_id=3, segmentation=SQUARE, caption='a')],
    categories=[dict(id=3, name='thing')],
)
REGION = dict(
    id='r',
    type='polygonlabels',
    original_height=4,
    original_width=6,
    value=dict(polygonlabels=['a'], points=[[0, 0], [50, 0], [50, 50]]),
)
LABEL_STUDIO = [dict(id=1, data=dict(image='/data/clip/0.png'), annotations=[dict(result=[REGION])])]
CVAT = (
    b'<annotations><meta><original_size><width>6</width><height>4</height></original_size></meta>'
    b'<track id="0" label="a"><polygon frame="0" outside="0" points="0,0;3,0;3,3"/></track></annotations>'
)
MANIFEST = b'video,sentences,fps\nclip.mp4,"a red star; a blue one",8\nb.mp4,x,\n'
MANIFEST_ROWS = dict(video='clip.mp4', sentences=['a red star'], fps=8, max_frames=3)
CONFIG = Path(ROOT / 'configs/ifirvos/r18_synth.py')


def as_json(content) -> bytes:
    return json.dumps(content).encode()


def config_text() -> bytes:
    from mmengine.config import Config

    config = Config.fromfile(CONFIG).to_dict()
    return ''.join(f'{key} = {value!r}\n' for key, value in config.items()).encode()


def checkpoint() -> bytes:
    file = io.BytesIO()
    torch.save(dict(state_dict=dict(a=torch.arange(6.0)), meta=dict(epoch=1)), file)
    return file.getvalue()


def palette() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(file, 'PNG')
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr('Annotations/v/0/00000.png', palette())
    return file.getvalue()


def compressed_code() -> dict:
    code = coco_mask.encode(np.asfortranarray(np.eye(4, 6, dtype=np.uint8)))
    return dict(size=[4, 6], counts=code['counts'].decode())


def read_refs(path: Path) -> None:
    REFCOCO.convert(REFCOCO.load_refs(path), json.loads(as_json(INSTANCES)), 'refcoco', 'train')


def read_instances(path: Path) -> None:
    REFCOCO.convert(REFS, REFCOCO.load_instances(path), 'refcoco', 'train')


def read_code(path: Path) -> None:
    decode_segmentation(json.loads(path.read_bytes()), (4, 6))


# Name of the file -> its content, which is json where it is not bytes, and what reads it.
FILES = {
    'refs.p': (lambda: pickle.dumps(REFS, protocol=2), read_refs),
    'instances.json': (lambda: INSTANCES, read_instances),
    'youtube_vis.json': (lambda: YOUTUBE_VIS, read_annotations),
    'coco_vid.json': (lambda: COCO_VID, read_annotations),
    'label_studio.json': (lambda: LABEL_STUDIO, read_annotations),
    'cvat.xml': (lambda: CVAT, read_annotations),
    'sentences.csv': (lambda: b'video,object,sentence\nclip,1,a star\n', read_sentences),
    'manifest.csv': (lambda: MANIFEST, read_manifest),
    'manifest.jsonl': (lambda: MANIFEST_ROWS, read_manifest),
    'config.txt': (config_text, lambda path: model_config(path.read_bytes().decode(errors='replace'))),
    'checkpoint.pth': (checkpoint, load_checkpoint),
    'mask.png': (palette, read_palette_png),
    'polygons.json': (lambda: SQUARE, read_code),
    'code.json': (lambda: dict(size=[4, 6], counts=[3, 4, 17]), read_code),
    'compressed_code.json': (compressed_code, read_code),
    'submission.zip': (archive, lambda path: list(check_submission(path, {('v', '0'): ['00000']}))),
}
NATIVE_JSON = ('polygons.json', 'code.json', 'compressed_code.json')  # of these, only what is json is tried


def fuzz(name: str, folder: Path, seeds, seconds: float) -> dict[str, int]:
    make, read = FILES[name]
    content, path = make(), folder / name
    whole = content if isinstance(content, bytes) else as_json(content)
    path.write_bytes(whole)
    read(path)  # unchanged it is read

    def try_one(seed: int) -> bool:
        if isinstance(content, bytes) or (not seed % 3 and name not in NATIVE_JSON):
            path.write_bytes(changed_bytes(whole, seed))
        else:
            path.write_bytes(as_json(changed_json(content, seed)))
        return is_answered(lambda: read(path))

    return run_all(try_one, seeds, seconds)


@pytest.mark.parametrize('name', FILES)
def test_a_few_changes_of_every_kind(name, tmp_path):
    assert fuzz(name, tmp_path, KEPT, 120)['tried'] == len(KEPT)


@pytest.mark.slow
@pytest.mark.parametrize('name', FILES)
def test_many_changes(name, tmp_path, record_property):
    counts = fuzz(name, tmp_path, range(5000), 15)
    record_property('counts', counts)
    assert counts['tried'] >= 200
    assert counts['refused'] > 0


def test_a_label_map_is_read_as_it_was_written(tmp_path):
    write_palette_png(tmp_path / 'a.png', np.eye(3, dtype=np.uint8))
    np.testing.assert_array_equal(read_palette_png(tmp_path / 'a.png'), np.eye(3, dtype=np.uint8))
