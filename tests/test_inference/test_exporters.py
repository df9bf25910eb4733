"""Results in other people's tools: read back by those tools where they are there, else by their documented format."""

import importlib.util
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from urllib.parse import parse_qs
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools.coco import COCO

from ifirvos.errors import InputError
from ifirvos.inference.exporters import best_frame, refine_with_sam2, stable_id, to_supervision
from ifirvos.inference.exporters.cvat import run_lengths
from ifirvos.inference.exporters.label_studio import brush_rle, label_studio
from ifirvos.inference.exporters.together import Together, distinct_labels
from ifirvos.inference.results import SentenceResult, WindowResult
from ifirvos.inference.writers import SAVES, ResultWriter, check_saves
from ifirvos.label_maps import read_palette_png

HEIGHT, WIDTH, LENGTH = 6, 8, 3


def two_results() -> list[SentenceResult]:
    """Two objects that overlap; the second is not in frame 1."""
    masks = np.zeros((2, LENGTH, HEIGHT, WIDTH), bool)
    masks[0, :, 1:3, 1:4] = True
    masks[1, :, 2:5, 2:7] = True
    masks[1, 1] = False
    boxes = np.tile(np.float32([[1, 1, 4, 3], [2, 2, 7, 5]])[:, None], (1, LENGTH, 1))
    boxes[1, 1] = 0
    scores = np.float32([[0.5, 0.9, 0.6], [0.7, 0.1, 0.4]])
    present = np.array([[True] * 3, [True, False, True]])
    texts = ('the "red" star', 'the <circle> & the left')
    return [SentenceResult(text, *rest, 0, there) for text, *rest, there in zip(texts, masks, scores, boxes, present)]


def written(out: Path, save: list[str], results=None, video_id: int | None = None) -> Path:
    results = two_results() if results is None else results
    frames = [np.full((HEIGHT, WIDTH, 3), 80 * t, np.uint8) for t in range(LENGTH)]
    folders = [out / name for name in ('first', 'second')]
    texts = [result.text for result in results]
    with ResultWriter(folders, texts, save=save, video_id=video_id) as writer:
        for start, stop in ((0, 2), (2, 3)):
            parts = [result.part(start, stop) for result in results]
            writer.write(WindowResult(start, frames[start:stop], [t / 10 for t in range(start, stop)], parts))
    return out / 'all_sentences'


# ---------------------------------------------------------------------- COCO
def test_pycocotools_reads_the_masks_back(tmp_path):
    folder = written(tmp_path, ['coco'])
    truth = COCO(str(folder / 'coco.json'))
    found = truth.loadRes(str(folder / 'coco_results.json'))
    results = two_results()
    assert {category['name'] for category in truth.loadCats(truth.getCatIds())} == {r.text for r in results}
    for reader in (truth, found):
        for image in truth.loadImgs(truth.getImgIds()):
            annotations = {a['category_id'] - 1: a for a in reader.loadAnns(reader.getAnnIds(imgIds=image['id']))}
            expected = {i for i, result in enumerate(results) if result.present[image['frame_id']]}
            assert annotations.keys() == expected
            for index, annotation in annotations.items():
                mask = results[index].masks[image['frame_id']]
                assert (reader.annToMask(annotation) == mask).all()
                assert annotation['area'] == mask.sum()
                assert annotation['score'] == pytest.approx(results[index].scores[image['frame_id']], abs=1e-6)
    assert truth.loadAnns(truth.getAnnIds())[0]['bbox'] == [1, 1, 3, 2]


def test_the_youtube_vis_file_passes_loadres(tmp_path):
    written(tmp_path, ['rle'])
    entries = [json.loads((tmp_path / name / 'masks.json').read_text())[0] for name in ('first', 'second')]
    coco = COCO()
    coco.dataset = dict(images=[dict(id=entries[0]['video_id'])], categories=[dict(id=1), dict(id=2)], annotations=[])
    coco.createIndex()
    for name, entry in zip(('first', 'second'), entries, strict=True):
        found = coco.loadRes(str(tmp_path / name / 'masks.json'))
        assert [a['sentence'] for a in found.loadAnns(found.getAnnIds())] == [entry['sentence']]
    assert entries[0]['video_id'] == entries[1]['video_id']
    assert entries[0]['id'] != entries[1]['id']
    assert [entry['category_id'] for entry in entries] == [1, 2]
    assert [s is None for s in entries[1]['segmentations']] == [False, True, False]


def test_numbers_differ_between_videos_and_sentences_and_stay(tmp_path):
    names = [('a', 'coco'), ('b', 'coco'), ('again', 'coco')]
    read = []
    for (name, save), video_id in zip(names, (7, 8, 7), strict=True):
        data = json.loads((written(tmp_path / name, [save], video_id=video_id) / 'coco.json').read_text())
        read.append({key: [one['id'] for one in data[key]] for key in ('videos', 'images', 'annotations')})
    assert read[0] == read[2]
    for key in ('videos', 'images', 'annotations'):
        both = read[0][key] + read[1][key]
        assert len(set(both)) == len(both)
    assert stable_id('a', 'b') != stable_id('ab')
    assert stable_id('x') < 2**53, 'a JavaScript reader keeps it'


# ---------------------------------------------------------------------- supervision
def test_supervision_reads_the_coco_file(tmp_path):
    supervision = pytest.importorskip('supervision')
    folder = written(tmp_path, ['coco', 'frames'])
    data = supervision.DetectionDataset.from_coco(str(folder), str(folder / 'coco.json'), force_masks=True)
    results = two_results()
    assert data.classes == [result.text for result in results]
    for path, detections in data.annotations.items():
        frame = int(Path(path).stem)
        for class_id, mask in zip(detections.class_id, detections.mask, strict=True):
            assert (mask == results[class_id].masks[frame]).all()
    assert sum(len(detections) for detections in data.annotations.values()) == 5


def test_to_supervision():
    pytest.importorskip('supervision')
    results = two_results()
    detections = to_supervision(results, 1)
    assert detections.data['class_name'].tolist() == [results[0].text]
    detections = to_supervision(results, 2)
    assert detections.class_id.tolist() == [0, 1]
    assert detections.tracker_id.tolist() == [1, 2]
    assert (detections.mask == np.stack([result.masks[2] for result in results])).all()
    assert detections.confidence.tolist() == pytest.approx([0.6, 0.4])
    assert detections.xyxy[1].tolist() == [2, 2, 7, 5]
    assert len(to_supervision(results[1:], 1)) == 0
    with pytest.raises(InputError, match='no frame 3'):
        to_supervision(results, 3)


def test_without_supervision_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'supervision', None)
    with pytest.raises(InputError, match='pip install supervision'):
        to_supervision(two_results(), 0)


# ---------------------------------------------------------------------- CVAT
def cvat_mask(element, size) -> np.ndarray:
    """By the format's description: runs within the box, row by row, background first."""
    box = {key: int(element.get(key)) for key in ('left', 'top', 'width', 'height')}
    runs = [int(run) for run in element.get('rle').split(',')]
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    mask = np.zeros(size, bool)
    mask[box['top'] : box['top'] + box['height'], box['left'] : box['left'] + box['width']] = flat.reshape(
        box['height'], box['width']
    )
    return mask


def test_cvat(tmp_path):
    folder = written(tmp_path, ['cvat'])
    root = ElementTree.parse(folder / 'cvat.xml').getroot()
    results = two_results()
    assert root.find('version').text == '1.1'
    labels = [label['name'] for label in json.loads((folder / 'cvat_labels.json').read_text())]
    assert labels == [result.text for result in results]
    images = root.findall('image')
    assert [image.get('name') for image in images] == ['frame_000000', 'frame_000001', 'frame_000002']
    for image in images:
        masks = {mask.get('label'): cvat_mask(mask, (HEIGHT, WIDTH)) for mask in image.findall('mask')}
        frame = int(image.get('id'))
        assert masks.keys() == {result.text for result in results if result.present[frame]}
        for result in results:
            if result.present[frame]:
                assert (masks[result.text] == result.masks[frame]).all()


def test_cvat_run_lengths_by_hand():
    assert run_lengths(np.array([[1, 1, 0], [0, 1, 1]], bool)) == [0, 2, 2, 2]
    assert run_lengths(np.array([[0, 1], [1, 0]], bool)) == [1, 2, 1]


def test_labels_are_short_and_distinct():
    assert distinct_labels(['a' * 70, 'a' * 80, 'b'], 64) == ['a' * 64, f'{"a" * 60} (2)', 'b']


# ---------------------------------------------------------------------- Label Studio
def thing_rle_decode(data: list[int]) -> np.ndarray:
    """thi.ng's rle-pack, as Label Studio's documentation describes it."""
    bits = ''.join(f'{byte:08b}' for byte in data)
    at = 0

    def read(size: int) -> int:
        nonlocal at
        at += size
        return int(bits[at - size : at], 2)

    count, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        repeated, length = read(1), None
        length = read(sizes[read(2)]) + 1
        values += [read(word)] * length if repeated else [read(word) for _ in range(length)]
    return np.array(values, np.uint8)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_brush_masks_come_back(mask):
    rgba = thing_rle_decode(brush_rle(mask)).reshape(*mask.shape, 4)
    assert ((rgba[..., 3] > 0) == mask).all()


def test_a_run_longer_than_its_counter():
    mask = np.ones((200, 200), bool)  # 160,000 values
    assert (thing_rle_decode(brush_rle(mask)) == 255).all()


def test_label_studios_own_decoder_agrees():
    spec = importlib.util.find_spec('label_studio_sdk')
    if spec is None:
        pytest.skip('label_studio_sdk is not installed')
    path = Path(spec.submodule_search_locations[0]) / 'converter/brush.py'  # the package itself wants much more
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location('brush', path))
    module.__spec__.loader.exec_module(module)
    mask = two_results()[1].masks[0]
    assert (module.decode_rle(brush_rle(mask)).reshape(HEIGHT, WIDTH, 4)[..., 3] > 0).tolist() == mask.tolist()


def test_label_studio(tmp_path):
    folder = written(tmp_path, ['label-studio'])
    results = two_results()
    tasks = json.loads((folder / 'label_studio.json').read_text())
    labels = [e.get('value') for e in ElementTree.parse(folder / 'label_studio_config.xml').iter('Label')]
    assert labels == [result.text for result in results]
    for frame, task in enumerate(tasks):
        assert task['data']['image'].endswith(f'frames/{frame:05d}.jpg')
        assert (folder / f'frames/{frame:05d}.jpg').is_file()
        regions = task['predictions'][0]['result']
        assert [r['value']['brushlabels'] for r in regions] == [[r.text] for r in results if r.present[frame]]
        for region in regions:
            (text,) = region['value']['brushlabels']
            mask = thing_rle_decode(region['value']['rle']).reshape(
                region['original_height'], region['original_width'], 4
            )
            assert (mask[..., 0] > 0).tolist() == results[labels.index(text)].masks[frame].tolist()
    (task,) = json.loads((folder / 'label_studio_video.json').read_text())
    first, second = task['predictions'][0]['result']
    assert [(k['frame'], k['enabled']) for k in first['value']['sequence']] == [(1, True), (2, True), (3, False)]
    assert [(k['frame'], k['enabled']) for k in second['value']['sequence']] == [(1, False), (3, False)]
    box = second['value']['sequence'][0]
    assert [box[key] for key in ('x', 'y', 'width', 'height')] == pytest.approx([25, 100 / 3, 62.5, 50])
    assert first['value']['framesCount'] == 3
    tags = {tag.tag: tag for tag in ElementTree.parse(folder / 'label_studio_video_config.xml').iter()}
    assert 'VideoRectangle' in tags
    assert tags['Video'].get('frameRate') == '$fps', 'else it counts 24 frames a second'
    assert task['data']['fps'] == '10'


def test_names_that_an_address_does_not_hold_are_quoted(tmp_path):
    name = 'me & you #1 50%.mp4'
    with label_studio(Together(tmp_path, ['a cat'], Fraction(30000, 1001), (HEIGHT, WIDTH), name, 1, [2])):
        pass
    (task,) = json.loads((tmp_path / 'label_studio_video.json').read_text())
    path, _, query = task['data']['video'].partition('?')
    assert (path, parse_qs(query)['d']) == ('/data/local-files/', [f'video/{name}'])
    assert task['data']['fps'] == '29.97'


def test_characters_that_xml_does_not_have_are_left_out(tmp_path):
    one, other = two_results()
    folder = written(tmp_path, ['cvat', 'label-studio'], [replace(one, text='the red\x0bstar\x08'), other])
    for name in ('cvat.xml', 'label_studio_config.xml', 'label_studio_video_config.xml'):
        ElementTree.parse(folder / name)
    assert json.loads((folder / 'cvat_labels.json').read_text())[0]['name'] == 'the red star'


def test_videos_of_frames_have_ids_of_their_own(tmp_path):
    found = [json.loads((written(tmp_path / name, ['coco']) / 'coco.json').read_text()) for name in 'ab']
    assert found[0]['videos'][0]['id'] != found[1]['videos'][0]['id']


# ---------------------------------------------------------------------- one picture of all objects, the frames
def test_one_palette_png_of_several_objects(tmp_path):
    folder = written(tmp_path, ['objects'])
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[1:3, 1:4] = 1
    expected[2:5, 2:7] = 2  # the second has the higher score in frame 0 ...
    assert (read_palette_png(folder / 'objects/00000.png') == expected).all()
    expected[1:3, 1:4] = 1  # ... the first in frame 2
    assert (read_palette_png(folder / 'objects/00002.png') == expected).all()
    assert set(np.unique(read_palette_png(folder / 'objects/00001.png'))) == {0, 1}
    assert Image.open(folder / 'objects/00000.png').mode == 'P'


def test_the_folder_is_replaced_like_the_others(tmp_path):
    written(tmp_path, ['objects'])
    with pytest.raises(FileExistsError, match='--overwrite'):
        written(tmp_path, ['objects'])
    folders = [tmp_path / name for name in ('first', 'second')]
    with ResultWriter(folders, ['a', 'b'], save=['csv', 'frames'], overwrite=True) as writer:
        frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        writer.write(WindowResult(0, [frame], [0], [result.part(0, 1) for result in two_results()]))
    assert sorted(p.name for p in (tmp_path / 'all_sentences').iterdir()) == ['frames', 'result.json']


def test_what_an_export_refers_to_is_written_too():
    assert check_saves(['label-studio']) == ('label-studio', 'frames')
    assert check_saves(SAVES) == SAVES


# ---------------------------------------------------------------------- SAM 2
class StandIn:
    """What sam2's video predictor documents: masks move one pixel to the right a frame, from the prompt both ways."""

    def init_state(self, video_path, offload_video_to_cpu=False, offload_state_to_cpu=False):
        self.video_path, self.prompts = video_path, {}
        return self

    def add_new_mask(self, inference_state, frame_idx, obj_id, mask):
        assert inference_state is self
        assert mask.dtype == bool
        assert mask.ndim == 2
        self.prompts[obj_id] = frame_idx, mask

    def propagate_in_video(self, inference_state, start_frame_idx=None, max_frame_num_to_track=None, reverse=False):
        order = range(start_frame_idx, -1, -1) if reverse else range(start_frame_idx, LENGTH)
        for frame in order:
            moved = [np.roll(mask, frame - at, axis=1) for at, mask in self.prompts.values()]
            yield frame, list(self.prompts), torch.from_numpy(np.stack(moved)[:, None].astype(np.float32)) - 0.5


def test_sam2_starts_from_the_best_frame_both_ways():
    results = two_results()
    assert [best_frame(result) for result in results] == [1, 0]
    predictor = StandIn()
    refined = refine_with_sam2(results, Path('frames'), predictor)
    assert predictor.video_path == 'frames'
    assert {number: frame for number, (frame, _) in predictor.prompts.items()} == {1: 1, 2: 0}
    for result, new, frame in zip(results, refined, (1, 0), strict=True):
        assert (new.masks[:] == [np.roll(result.masks[frame], t - frame, axis=1) for t in range(LENGTH)]).all()
        assert new.present.all()
        assert (new.scores == result.scores).all()
    assert refined[0].boxes.tolist() == [[0, 1, 3, 3], [1, 1, 4, 3], [2, 1, 5, 3]]


def test_an_object_that_was_never_seen_gives_no_prompt():
    first, second = two_results()
    nothing = SentenceResult('gone', second.masks & False, second.scores, second.boxes, 0, second.present & False)
    assert refine_with_sam2([nothing], 'clip.mp4', StandIn()) == [nothing]
    predictor = StandIn()
    refined = refine_with_sam2([nothing, first], 'clip.mp4', predictor)
    assert list(predictor.prompts) == [2]
    assert refined[0] is nothing


def test_without_sam2_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'sam2', None)
    with pytest.raises(InputError, match='facebookresearch/sam2'):
        refine_with_sam2(two_results(), 'clip.mp4')
