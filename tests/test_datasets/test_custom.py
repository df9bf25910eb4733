"""One's own annotations: every format gives the same masks, sentences and frames, and what is wrong is said."""

import csv
import json
import shutil
from collections.abc import Container
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle_tools

from ifirvos.datasets import RefYouTubeVOSDataset
from ifirvos.datasets.custom import conversion, convert, find_format, read_annotations, read_sentences
from ifirvos.datasets.custom.label_studio import decode_brush
from ifirvos.datasets.custom.video import to_rle
from ifirvos.errors import AnnotationError, InputError, OutputExistsError, UserError
from ifirvos.inference.exporters.cvat import cvat, mask_element
from ifirvos.inference.exporters.label_studio import brush_rle
from ifirvos.inference.exporters.together import Together
from ifirvos.inference.results import FrameResult
from ifirvos.label_maps import read_palette_png, write_palette_png
from ifirvos.video.writer import VideoWriter

HEIGHT, WIDTH, LENGTH = 16, 24, 4
SIZE = (HEIGHT, WIDTH)
TEXTS = {1: 'the large square', 2: 'the bar that comes later'}


def mask_of(number: int, frame: int) -> np.ndarray:
    """Object 1 moves right a pixel a frame, object 2 is there from frame 2 on."""
    mask = np.zeros(SIZE, bool)
    if number == 1:
        mask[2:8, 3 + frame : 10 + frame] = True
    elif frame >= 2:
        mask[10:13, 5:20] = True
    return mask


def labels_of(frame: int) -> np.ndarray:
    return mask_of(1, frame).astype(np.uint8) + 2 * mask_of(2, frame).astype(np.uint8)


def rle(mask: np.ndarray) -> dict:
    coded = rle_tools.encode(np.asfortranarray(mask, np.uint8))
    return dict(size=list(SIZE), counts=coded['counts'].decode())


@pytest.fixture
def frames(tmp_path) -> Path:
    """frames/clip/0.png ... 3.png."""
    folder = tmp_path / 'frames' / 'clip'
    folder.mkdir(parents=True)
    for frame in range(LENGTH):
        cv2.imwrite(str(folder / f'{frame}.png'), np.full((*SIZE, 3), 40 * frame, np.uint8))
    return folder.parent


def as_youtube_vis(tmp_path) -> Path:
    content = dict(
        videos=[
            dict(id=1, name='clip', height=HEIGHT, width=WIDTH, file_names=[f'clip/{t}.png' for t in range(LENGTH)])
        ],
        categories=[dict(id=3, name='thing')],
        annotations=[
            dict(
                id=number,
                video_id=1,
                category_id=3,
                sentence=TEXTS[number],
                segmentations=[rle(mask_of(number, t)) if mask_of(number, t).any() else None for t in range(LENGTH)],
            )
            for number in (1, 2)
        ],
    )
    (tmp_path / 'ytvis.json').write_text(json.dumps(content))
    return tmp_path / 'ytvis.json'


def as_coco_vid(tmp_path) -> Path:
    """Uncompressed runs and, for the square, polygons; images out of order."""
    images = [
        dict(id=10 + t, video_id=7, frame_id=t, file_name=f'clip/{t}.png', height=HEIGHT, width=WIDTH)
        for t in range(LENGTH)
    ]
    annotations = []
    for t in range(LENGTH):
        box = [3 + t, 2, 10 + t, 2, 10 + t, 8, 3 + t, 8]
        annotations.append(
            dict(id=100 + t, image_id=10 + t, instance_id=1, category_id=3, segmentation=[box], caption=TEXTS[1])
        )
        if t >= 2:
            flat = mask_of(2, t).ravel(order='F')
            edges = np.flatnonzero(np.diff(flat)) + 1
            counts = np.diff([0, *edges, flat.size]).tolist()
            segment = dict(size=list(SIZE), counts=counts)
            annotations.append(
                dict(id=200 + t, image_id=10 + t, instance_id=2, category_id=3, segmentation=segment, caption=TEXTS[2])
            )
    content = dict(
        videos=[dict(id=7, name='clip')],
        images=images[::-1],
        categories=[dict(id=3, name='thing')],
        annotations=annotations,
    )
    (tmp_path / 'vid.json').write_text(json.dumps(content))
    return tmp_path / 'vid.json'


def as_cvat_video(tmp_path) -> Path:
    """A track of masks, a track of polygons; what is outside is not there."""
    tracks = []
    for number in (1, 2):
        shapes = []
        for t in range(LENGTH):
            mask = mask_of(number, t)
            outside = int(not mask.any())
            if number == 1:
                shapes.append(
                    f'<polygon frame="{t}" outside="{outside}" occluded="0" keyframe="1" '
                    f'points="{3 + t}.0,2.0;{10 + t}.0,2.0;{10 + t}.0,8.0;{3 + t}.0,8.0" z_order="0">'
                    f'<attribute name="sentence">{TEXTS[1]}</attribute></polygon>'
                )
            else:
                shapes.append(
                    f'<mask frame="{t}" outside="{outside}" occluded="0" keyframe="1" rle="0, 45" left="5" top="10" '
                    f'width="15" height="3" z_order="0"><attribute name="sentence">{TEXTS[2]}</attribute></mask>'
                )
        tracks.append(f'<track id="{number}" label="thing" source="manual">{"".join(shapes)}</track>')
    text = (
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task><name>my task</name>'
        f'<size>{LENGTH}</size><mode>interpolation</mode><start_frame>0</start_frame>'
        f'<stop_frame>{LENGTH - 1}</stop_frame>'
        f'<frame_filter></frame_filter><original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>'
        f'<source>clip.mp4</source></task></meta>{"".join(tracks)}</annotations>'
    )
    (tmp_path / 'annotations.xml').write_text(text)
    return tmp_path / 'annotations.xml'


def as_cvat_shapes(tmp_path) -> Path:
    """Masks drawn in a video, as CVAT exports them: a track of one frame for every mask; the bar is a group."""
    path = as_cvat_video(tmp_path)
    root = ElementTree.parse(path).getroot()
    for track in root.findall('track'):
        root.remove(track)
    for t in range(LENGTH):
        for number in (1, 2) if t >= 2 else (1,):
            track = ElementTree.SubElement(root, 'track', id=str(len(root)), label='thing', source='manual')
            if number == 2:
                track.set('group_id', '5')
            for frame, outside in ((t, '0'), (t + 1, '1')):
                mask = ElementTree.fromstring(mask_element(mask_of(number, t), 'thing'))
                mask.attrib.update(frame=str(frame), outside=outside)
                said = ElementTree.SubElement(mask, 'attribute', name='sentence')
                said.text = TEXTS[number] if t < 3 or number == 1 else ''  # a group needs it once
                track.append(mask)
    ElementTree.ElementTree(root).write(path)
    return path


def as_cvat_images(tmp_path) -> Path:
    """What our own export writes."""
    folder = tmp_path / 'clip'
    folder.mkdir()
    together = Together(folder, list(TEXTS.values()), Fraction(10), SIZE, 'clip', 1, [1, 2])
    with cvat(together) as write:
        for t in range(LENGTH):
            write(
                [
                    FrameResult(
                        t, Fraction(t, 10), None, mask_of(n, t), 0.9, bool(mask_of(n, t).any()), (0, 0, 0, 0), 0
                    )
                    for n in (1, 2)
                ]
            )
    return (folder / 'cvat.xml').rename(folder / 'annotations.xml')


def as_label_studio(tmp_path) -> Path:
    tasks = []
    for t in range(LENGTH):
        regions = []
        for number in (1, 2):
            if mask_of(number, t).any():
                regions += [
                    dict(
                        id=f'r{number}',
                        type='brushlabels',
                        original_width=WIDTH,
                        original_height=HEIGHT,
                        value=dict(format='rle', rle=brush_rle(mask_of(number, t)), brushlabels=[f'thing {number}']),
                    ),
                    dict(id=f'r{number}', type='textarea', value=dict(text=[TEXTS[number]])),
                ]
        data = dict(image=f'/data/local-files/?d=clip/{t}.png')
        tasks.append(dict(id=50 - t, data=data, annotations=[dict(result=regions)]))
    (tmp_path / 'ls.json').write_text(json.dumps(tasks[::-1]))
    return tmp_path / 'ls.json'


def as_masks(tmp_path) -> Path:
    for t in range(LENGTH):
        (tmp_path / 'masks' / 'clip').mkdir(parents=True, exist_ok=True)
        write_palette_png(tmp_path / 'masks' / 'clip' / f'{t:02d}.png', labels_of(t))
    with (tmp_path / 'sentences.csv').open('w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['video', 'object', 'sentence'])
        rows.writerows(['clip', number, text] for number, text in TEXTS.items())
    return tmp_path / 'masks'


WAYS = [as_youtube_vis, as_coco_vid, as_cvat_video, as_cvat_shapes, as_cvat_images, as_label_studio, as_masks]


@pytest.mark.parametrize('way', WAYS, ids=lambda way: way.__name__)
def test_every_format_gives_the_same_data_set(way, tmp_path, frames):
    source = way(tmp_path)
    sentences = read_sentences(tmp_path / 'sentences.csv') if way is as_masks else None
    report = convert(read_annotations(source), frames, tmp_path / 'out', sentences, val_share=0)
    assert (dict(report.videos), dict(report.expressions), report.frames) == ({'train': 1}, {'train': 2}, LENGTH)
    assert report.from_labels == (2 if way is as_cvat_images else 0)  # there the label is the sentence
    data = RefYouTubeVOSDataset(str(tmp_path / 'out'), split='train', records='expression')
    records = [data.get_data_info(index) for index in range(len(data))]
    assert [record['text'] for record in records] == list(TEXTS.values())
    for record in records:
        assert record['video_id'] == 'clip'
        for t, image in enumerate(record['images']):
            mask = read_palette_png(image['mask_path']) == record['obj_id']
            assert (mask == mask_of(record['obj_id'], t)).all(), (record['text'], t)
            assert abs(cv2.imread(image['img_path']).astype(int) - 40 * t).max() <= 2


@pytest.mark.parametrize('way', [as_coco_vid, as_label_studio])
def test_frames_without_a_number_come_in_the_order_of_their_names(way, tmp_path):
    """'10' behind '9', as a video of them would be read."""
    path = way(tmp_path)
    content = json.loads(path.read_text())
    entries = content if way is as_label_studio else content['images']
    for number, entry in enumerate(entries):
        name = f'clip/{(9, 10, 11, 100)[number]}.png'
        if way is as_label_studio:
            entry['data'].pop('frame', None)
            entry['data']['image'] = name
        else:
            entry.pop('frame_id', None)
            entry['file_name'] = name
    path.write_text(json.dumps(content))
    (video,) = read_annotations(path)
    assert [Path(name).stem for name in video.files] == ['9', '10', '11', '100']


def test_the_data_set_can_be_read_by_others(tmp_path, frames):
    convert(read_annotations(as_label_studio(tmp_path)), frames, tmp_path / 'out', val_share=0)
    (tmp_path / 'usual').mkdir()
    assert (tmp_path / 'out').stat().st_mode == (tmp_path / 'usual').stat().st_mode


@pytest.mark.parametrize('way', WAYS, ids=lambda way: way.__name__)
def test_the_format_is_found(way, tmp_path):
    expected = dict(
        as_youtube_vis='coco',
        as_coco_vid='coco',
        as_cvat_video='cvat',
        as_cvat_shapes='cvat',
        as_cvat_images='cvat',
        as_masks='masks',
    )
    assert find_format(way(tmp_path)) == expected.get(way.__name__, 'label-studio')


def test_a_video_file_and_every_second_frame(tmp_path):
    with VideoWriter(tmp_path / 'clip.mp4', 10) as writer:
        for frame in range(LENGTH):
            writer.write(np.full((*SIZE, 3), 40 * frame, np.uint8))
    convert(read_annotations(as_cvat_video(tmp_path)), tmp_path, tmp_path / 'out', val_share=0, every=2)
    names = [path.stem for path in sorted((tmp_path / 'out/train/Annotations/clip').iterdir())]
    assert names == ['00000', '00002']
    assert (read_palette_png(tmp_path / 'out/train/Annotations/clip/00002.png') == labels_of(2)).all()


def names_of_frames(out: Path) -> list[str]:
    return [path.stem for path in sorted((out / 'train/JPEGImages/clip').iterdir())]


def cut_cvat(path: Path, keep: Container[int], *replacements: tuple[str, str]) -> Path:
    """Take the shapes of other frames out of an export."""
    text = path.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    tree = ElementTree.parse(path)
    for track in tree.iter('track'):
        for shape in [shape for shape in track if int(shape.get('frame')) not in keep]:
            track.remove(shape)
    tree.write(path)
    return path


def test_a_cvat_task_of_every_second_frame(tmp_path, frames):
    every_second = ('<frame_filter></frame_filter>', '<frame_filter>step=2</frame_filter>')
    path = cut_cvat(as_cvat_video(tmp_path), (0, 2), every_second)
    convert(read_annotations(path), frames, tmp_path / 'out', val_share=0)
    assert names_of_frames(tmp_path / 'out') == ['00000', '00002']
    cut_cvat(as_cvat_video(tmp_path), range(LENGTH), every_second)
    with pytest.raises(InputError, match='frame 1, which is not of its task'):
        read_annotations(path)


@pytest.mark.parametrize('part', ['task', 'job'])
def test_frames_outside_a_cvat_task_or_job_are_left_out(tmp_path, frames, part):
    """Nobody looked at them: they are not frames without the object."""
    of_part = [('<task>', f'<{part}>'), ('</task>', f'</{part}>'), ('<stop_frame>3', '<stop_frame>2')]
    path = cut_cvat(as_cvat_video(tmp_path), range(3), *of_part)
    convert(read_annotations(path), frames, tmp_path / 'out', val_share=0)
    assert names_of_frames(tmp_path / 'out') == ['00000', '00001', '00002']


def test_a_cvat_project_is_refused(tmp_path):
    path = cut_cvat(as_cvat_video(tmp_path), range(LENGTH), ('<task>', '<project>'), ('</task>', '</project>'))
    with pytest.raises(InputError, match='export each task'):
        read_annotations(path)


def test_masks_of_some_frames_go_to_the_frames_of_their_names(tmp_path, frames):
    path = as_masks(tmp_path)
    for t in (0, 1, 3):
        (path / 'clip' / f'0{t}.png').rename(path / 'clip' / f'{t}.png')
    (path / 'clip' / '02.png').unlink()
    said = read_sentences(tmp_path / 'sentences.csv')
    convert(read_annotations(path), frames, tmp_path / 'out', said, val_share=0)
    assert names_of_frames(tmp_path / 'out') == ['00000', '00001', '00003']
    assert (read_palette_png(tmp_path / 'out/train/Annotations/clip/00003.png') == labels_of(3)).all()


def test_masks_of_some_frames_without_their_names_are_refused(tmp_path, frames):
    path = as_masks(tmp_path)  # 00.png and so on; the frames are 0.png and so on
    (path / 'clip' / '02.png').unlink()
    said = read_sentences(tmp_path / 'sentences.csv')
    with pytest.raises(InputError, match='has 4 frames in .*, but 3 are annotated, and none is called 00'):
        convert(read_annotations(path), frames, tmp_path / 'out', said, val_share=0)
    with VideoWriter(tmp_path / 'clip.mp4', 10) as writer:
        for _ in range(LENGTH):
            writer.write(np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(InputError, match='has 4 frames, but 3 are annotated: which ones is not known'):
        convert(read_annotations(path), tmp_path / 'clip.mp4', tmp_path / 'out', said, val_share=0)


def test_listed_files_that_lie_elsewhere_are_found_by_their_names(tmp_path, frames):
    path = as_youtube_vis(tmp_path)
    content = json.loads(path.read_text())
    content['videos'][0]['file_names'] = [f'other/clip/{t}.png' for t in (0, 1, 3)]
    for one in content['annotations']:
        one['segmentations'] = [one['segmentations'][t] for t in (0, 1, 3)]
    path.write_text(json.dumps(content))
    convert(read_annotations(path), frames, tmp_path / 'out', val_share=0)
    assert names_of_frames(tmp_path / 'out') == ['00000', '00001', '00002']
    assert (read_palette_png(tmp_path / 'out/train/Annotations/clip/00002.png') == labels_of(3)).all()


def test_videos_with_a_dot_in_their_name_have_sentences_of_their_own(tmp_path):
    for name in ('scene.01', 'scene.02'):
        for folder, picture in (('frames', np.zeros((*SIZE, 3), np.uint8)), ('masks', labels_of(0))):
            (tmp_path / folder / name).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / folder / name / '0.png'), picture)
    rows = ['scene.01,1,the dog', 'scene.02.mp4,1,the cat']
    (tmp_path / 'said.csv').write_text('\n'.join(['video,object,sentence', *rows]))
    said = read_sentences(tmp_path / 'said.csv')
    convert(read_annotations(tmp_path / 'masks'), tmp_path / 'frames', tmp_path / 'out', said, val_share=0)
    index = json.loads((tmp_path / 'out/meta_expressions/train/meta_expressions.json').read_text())['videos']
    texts = {name: [one['exp'] for one in video['expressions'].values()] for name, video in index.items()}
    assert texts == {'scene-01': ['the dog'], 'scene-02': ['the cat']}


def test_a_sentence_that_is_no_text_is_named_before_a_frame_is_written(tmp_path, frames):
    videos = read_annotations(as_cvat_video(tmp_path))
    videos[0].objects[0].sentences[:] = ['the dog \ud83d']
    with pytest.raises(AnnotationError, match='video .clip.mp4., object .1.: the sentence .* half of a character pair'):
        convert(videos, frames, tmp_path / 'out', val_share=0)


def test_two_videos_of_one_name_are_refused(tmp_path, frames):
    videos = [*read_annotations(as_cvat_video(tmp_path)), *read_annotations(as_cvat_video(tmp_path))]
    with pytest.raises(InputError, match='Two videos are called clip'):
        convert(videos, frames, tmp_path / 'out')


def test_masks_of_one_bit_are_object_1(tmp_path, frames):
    for t in range(LENGTH):
        (tmp_path / 'masks/clip').mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask_of(1, t)).save(tmp_path / f'masks/clip/{t}.png')
    (video,) = read_annotations(tmp_path / 'masks')
    assert [one.name for one in video.objects] == ['1']


def label_studio_boxes(tmp_path, **extra) -> Path:
    """By hand: key frames 1 and 3 (of 4), then gone; in percent of 24x16."""
    box = dict(y=25, width=50, height=50, enabled=True)
    sequence = [dict(box, frame=1, x=0), dict(box, frame=3, x=25, enabled=False)]
    value = dict(framesCount=4, sequence=sequence, labels=['the cat'])
    region = dict(id='a', type='videorectangle', value=value)
    data = dict(video='/data/upload/1/clip.mp4', **extra)
    (tmp_path / 'boxes.json').write_text(json.dumps([dict(id=1, data=data, annotations=[dict(result=[region])])]))
    return tmp_path / 'boxes.json'


def test_boxes_over_a_video_are_refused_or_filled(tmp_path):
    path = label_studio_boxes(tmp_path, width=WIDTH, height=HEIGHT)
    with pytest.raises(InputError, match='--boxes fill'):
        read_annotations(path)
    (video,) = read_annotations(path, fill_boxes=True)
    assert Path(video.name).stem == 'clip'
    (cat,) = video.objects
    assert cat.label == 'the cat'
    assert sorted(cat.masks) == [0, 1, 2]
    for frame, left in enumerate((0, 3, 6)):
        expected = np.zeros(SIZE, bool)
        expected[4:12, left : left + 12] = True
        assert (rle_tools.decode(cat.masks[frame]) == expected).all()
    with pytest.raises(InputError, match='size of the video'):
        read_annotations(label_studio_boxes(tmp_path), fill_boxes=True)


def test_brush_decoder_reads_single_values_too():
    """By hand: 4 values, words of 8 bits, sizes 3 4 8 16; one block of 4 values that are not repeated: 255 0 255 0."""
    bits = f'{4:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}' + f'0{0:02b}{3:03b}' + f'{255:08b}{0:08b}' * 2
    data = [int(bits.ljust(-(-len(bits) // 8) * 8, '0')[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert decode_brush(data).tolist() == [255, 0, 255, 0]
    with pytest.raises(InputError, match='cut off'):
        decode_brush(data[:8])


def test_some_videos_are_for_validation(tmp_path):
    for name in 'abcde':
        for folder, picture in (('frames', np.zeros((*SIZE, 3), np.uint8)), ('masks', labels_of(0))):
            (tmp_path / folder / name).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / folder / name / '0.png'), picture)
    videos = read_annotations(tmp_path / 'masks')
    said = {(name, '1'): ['a square'] for name in 'abcde'}
    report = convert(videos, tmp_path / 'frames', tmp_path / 'out', said, val_share=0.4, seed=3)
    assert dict(report.videos) == dict(train=3, valid=2)
    splits = [{p.name for p in (tmp_path / 'out' / s / 'JPEGImages').iterdir()} for s in ('train', 'valid')]
    assert splits[0] | splits[1] == set('abcde')
    convert(videos, tmp_path / 'frames', tmp_path / 'again', said, val_share=0.4, seed=3)
    assert {p.name for p in (tmp_path / 'again/valid/JPEGImages').iterdir()} == splits[1]


def test_overlapping_objects_are_counted(tmp_path, frames):
    path = as_youtube_vis(tmp_path)
    content = json.loads(path.read_text())
    content['annotations'][1]['segmentations'][0] = rle(mask_of(1, 0))
    path.write_text(json.dumps(content))
    report = convert(read_annotations(path), frames, tmp_path / 'out', val_share=0)
    assert report.shared_pixels == 42
    assert set(np.unique(read_palette_png(tmp_path / 'out/train/Annotations/clip/00000.png'))) == {0, 2}


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        (dict(name='../../evil', file_names=['../../secret.png'] * 4), 'which is not in'),
        (dict(height=99), '24x16 lies on a frame of 24x99'),
        (dict(file_names=[f'none/{t}.png' for t in range(4)], name='none'), "frames of video 'none' are missing"),
        (dict(file_names=[f'clip/{t}.png' for t in range(2)]), 'has 4 masks, but its video 2 frames'),
    ],
)
def test_what_does_not_fit_is_said_and_leaves_nothing(change, says, tmp_path, frames):
    path = as_youtube_vis(tmp_path)
    content = json.loads(path.read_text())
    content['videos'][0].update(change)
    path.write_text(json.dumps(content))
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises((InputError, FileNotFoundError), match=says):
        convert(read_annotations(path), frames, tmp_path / 'out', val_share=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_frames_that_were_not_annotated(tmp_path, frames):
    (frames / 'clip' / '3.png').unlink()
    with pytest.raises(InputError, match='has 3 frames, but frame 3'):
        convert(read_annotations(as_cvat_video(tmp_path)), frames, tmp_path / 'out', val_share=0)
    assert not (tmp_path / 'out').exists()


def test_nothing_is_overwritten(tmp_path, frames):
    (tmp_path / 'out').mkdir()
    with pytest.raises(OutputExistsError, match='another --out'):
        convert(read_annotations(as_youtube_vis(tmp_path)), frames, tmp_path / 'out')


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('video,object\nclip,1\n', "no column 'sentence'"),
        ('video,object,sentence\nclip,1,\n', 'line 2'),
        ('video,object,sentence\nother,1,a cat\n', "video 'other', object '1'.*clip: 1, 2"),
    ],
)
def test_a_wrong_csv(text, says, tmp_path, frames):
    (tmp_path / 'masks.csv').write_text(text)
    with pytest.raises(InputError, match=says):
        convert(read_annotations(as_masks(tmp_path)), frames, tmp_path / 'out', read_sentences(tmp_path / 'masks.csv'))


@pytest.mark.parametrize(
    ('name', 'text', 'says'),
    [
        ('a.json', '[{"data": ', 'is not json'),
        ('a.json', '[' * 100_000, 'nested too deeply'),
        ('a.json', '{"annotations": 1, "annotations": 2}', 'twice'),
        (
            'a.json',
            '{"annotations": [{"segmentations": 1}], "videos": [{"id": 1, "file_names": []}]}',
            'cannot be read as coco',
        ),
        (
            'a.json',
            '[{"data": {"image": "a"}, "annotations": [{"result": [{"type": "brushlabels", "original_height": 1,'
            '"original_width": 1, "value": {"brushlabels": []}}]}]}]',
            'cannot be read as label-studio',
        ),
        (
            'a.xml',
            '<annotations><meta><original_size><width>a</width><height>1</height></original_size></meta></annotations>',
            'cannot be read as cvat',
        ),
        ('a.json', '{"annotations": [{}], "images": 3}', 'neither COCO-VID nor YouTube-VIS'),
        ('a.json', '[{"data": {}}]', 'no json export of Label Studio'),
        ('a.json', '{}', 'no export that is known'),
        ('a.zip', '', 'a zip must be unpacked'),
        ('a.xml', '<!DOCTYPE x [<!ENTITY e "e">]><annotations/>', 'document type'),
        ('a.xml', '<opencv/>', 'not with the <annotations>'),
        ('a.xml', '<annotations><track id="1"/></annotations>', 'original_size'),
        ('a.xml', '<annotations', 'is not XML'),
    ],
)
def test_files_of_no_such_kind(name, text, says, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=says):
        read_annotations(tmp_path / name)


def test_segmentations_of_no_such_kind():
    with pytest.raises(InputError, match='here: a mask is neither'):
        to_rle(dict(size=[16, 24]), SIZE, 'here')


def changed(content: dict | list, path: str, value) -> dict | list:
    node = content
    *above, last = [int(part) if part.isdecimal() else part for part in path.split('.')]
    for part in above:
        node = node[part]
    node[last] = value
    return content


MASK = 'annotations.0.segmentations.0'


@pytest.mark.parametrize(
    ('place', 'value', 'says'),
    [
        (MASK, [[1e300, 1, 2, 3, 4, 5]], 'coordinate 1e'),  # each of these four ended the process in native code
        (MASK, [[10**9, 1, 2, 10**9, 4, 5]], 'coordinate 1000000000'),
        (MASK, [[float('nan')] * 6], 'coordinate nan'),
        ('videos.0.height', 10**8, 'pixels are read'),
        (MASK, [[1, 2]], 'at least three points'),
        (MASK, [[]], 'at least three points'),
        (MASK, {'size': list(SIZE), 'counts': [3, 10**6]}, 'covers'),
        (MASK, {'size': list(SIZE), 'counts': 'a'}, 'no run-length code'),
        (MASK, {'size': list(SIZE), 'counts': 'é'}, 'no run-length code'),
        ('videos.0.file_names.0', 'a\0b', 'can be none'),
        ('videos.0.file_names', ['clip/0.png', 3, 'clip/2.png', 'clip/3.png'], 'name the file 3'),
        ('videos.0.height', -4, 'size is'),
    ],
)
def test_numbers_that_native_code_would_trust_are_refused(tmp_path, frames, place, value, says):
    path = as_youtube_vis(tmp_path)
    path.write_text(json.dumps(changed(json.loads(path.read_text()), place, value)))
    with pytest.raises(InputError, match=says):
        convert(read_annotations(path), frames, tmp_path / 'new')
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize(
    ('value', 'says'),
    [
        # it went on for hours
        (dict(framesCount=10**9, sequence=[dict(frame=1, x=0, y=0, width=9, height=9)]), 'has a mask in frame 50'),
        (dict(sequence=[dict(frame=-5, x=0, y=0, width=9, height=9)]), 'has a mask in frame -6'),
        (dict(sequence=[dict(frame=1, x=0, y=0, width=float('inf'), height=9)]), 'a box has the sides'),
    ],
)
def test_tracks_of_label_studio_that_never_end_are_refused(tmp_path, monkeypatch, value, says):
    monkeypatch.setenv('IFIRVOS_MAX_VIDEO_FRAMES', '50')
    path = label_studio_boxes(tmp_path, width=WIDTH, height=HEIGHT)
    tasks = json.loads(path.read_text())
    tasks[0]['annotations'][0]['result'][0]['value'].update(value)
    path.write_text(json.dumps(tasks))
    with pytest.raises(InputError, match=says):
        read_annotations(path, fill_boxes=True)


def test_a_brush_mask_is_no_larger_than_its_frame():
    with pytest.raises(InputError, match='4,294,967,295 values, more than the 40'):
        decode_brush([255, 255, 255, 255, 0, 0, 0, 0], most=40)


@pytest.mark.parametrize(
    ('mask', 'says'),
    [
        ('left="0" top="0" width="2" height="2" rle="0,4000000000"', 'cover 4000000000 pixels'),
        ('left="0" top="0" width="2" height="2" rle="-4,8"', 'cover'),
        ('left="900" top="0" width="2" height="2" rle="0,4"', 'leaves the frame'),
        ('left="-1" top="0" width="2" height="2" rle="0,4"', 'leaves the frame'),
    ],
)
def test_a_mask_of_cvat_that_is_none(tmp_path, mask, says):
    text = '<annotations><meta><original_size><width>64</width><height>48</height></original_size></meta>'
    (tmp_path / 'a.xml').write_text(f'{text}<track id="0"><mask frame="0" {mask}/></track></annotations>')
    with pytest.raises(InputError, match=says):
        read_annotations(tmp_path / 'a.xml')


def test_uploads_of_label_studio_are_in_the_order_of_their_own_names(tmp_path, frames):
    """It stores '0.png' as '3f0c1d2e-0.png'; the random prefixes would put them into another order."""
    prefixes = ['ffff0000', '0000ffff', '8888aaaa', '44440000']
    path = as_label_studio(tmp_path)
    tasks = json.loads(path.read_text())
    for task in tasks:
        number = int(Path(task['data']['image']).stem)
        task['data'] = dict(image=f'/data/upload/7/{prefixes[number]}-{number}.png')
    path.write_text(json.dumps(tasks))
    (video,) = read_annotations(path)
    assert [Path(name).stem.partition('-')[2] for name in video.files] == ['0', '1', '2', '3']
    uploads = tmp_path / 'media/upload/7'
    uploads.mkdir(parents=True)
    for number, prefix in enumerate(prefixes):
        shutil.copy(frames / f'clip/{number}.png', uploads / f'{prefix}-{number}.png')
    for source, out in ((frames / 'clip', 'original'), (uploads, 'uploaded')):
        convert([video], source, tmp_path / out, val_share=0)
        for t in range(LENGTH):
            (folder,) = (tmp_path / out / 'train/JPEGImages').iterdir()
            assert abs(cv2.imread(str(folder / f'{t:05d}.jpg')).astype(int) - 40 * t).max() <= 2
            labels = read_palette_png(tmp_path / out / 'train/Annotations' / folder.name / f'{t:05d}.png')
            assert (labels == labels_of(t)).all()


def test_listed_files_are_not_taken_for_others(tmp_path, frames):
    path = as_youtube_vis(tmp_path)
    content = json.loads(path.read_text())
    content['videos'][0]['file_names'] = [f'other/clip/shot{t}.png' for t in range(LENGTH)]
    path.write_text(json.dumps(content))
    with pytest.raises(FileNotFoundError, match='none called shot0'):
        convert(read_annotations(path), frames, tmp_path / 'out', val_share=0)


def test_tasks_that_nobody_annotated_are_left_out(tmp_path, frames):
    path = as_label_studio(tmp_path)
    tasks = json.loads(path.read_text())
    for task in tasks:
        if task['data']['image'].endswith('2.png'):
            task['annotations'] = []
    tasks.append(dict(id=99, data=dict(video='/data/upload/1/other.mp4'), annotations=[dict(result=[])]))
    path.write_text(json.dumps(tasks))
    report = convert(read_annotations(path), frames, tmp_path / 'out', val_share=0)
    assert (report.frames, report.empty) == (LENGTH - 1, 0)
    for task in tasks:
        if task['data'].get('image', '').endswith('2.png'):
            task['annotations'] = [dict(result=[])]  # looked at, and nothing there
    path.write_text(json.dumps(tasks))
    report = convert(read_annotations(path), frames, tmp_path / 'again', val_share=0)
    assert (report.frames, report.empty) == (LENGTH, 1)


def test_pictures_of_cvat_go_by_their_names(tmp_path):
    """CVAT numbers frame10 before frame2."""

    def column(number):
        return np.broadcast_to(np.arange(WIDTH) == number, SIZE)

    names = sorted(f'frame{t}.png' for t in range(12))
    images = ''.join(
        f'<image id="{number}" name="{name}" width="{WIDTH}" height="{HEIGHT}">'
        + mask_element(column(int(name[5:-4])), 'thing')
        + '</image>'
        for number, name in enumerate(names)
    )
    (tmp_path / 'annotations.xml').write_text(f'<annotations><meta><task/></meta>{images}</annotations>')
    (tmp_path / 'frames').mkdir()
    for name in names:
        cv2.imwrite(str(tmp_path / 'frames' / name), np.full((*SIZE, 3), 20 * int(name[5:-4]), np.uint8))
    convert(read_annotations(tmp_path / 'annotations.xml'), tmp_path / 'frames', tmp_path / 'out', val_share=0)
    (folder,) = (tmp_path / 'out/train/Annotations').iterdir()
    for t in range(12):
        labels = read_palette_png(folder / f'{t:05d}.png')
        assert ((labels > 0) == column(t)).all(), t


def test_rows_by_number_and_by_label_are_both_taken(tmp_path, frames):
    (tmp_path / 'said.csv').write_text('video,object,sentence\nclip,1,brown dog\nclip,thing,the dog\n')
    path = as_cvat_video(tmp_path)
    path.write_text(path.read_text().replace('<track id="2" label="thing"', '<track id="2" label="other"'))
    convert(read_annotations(path), frames, tmp_path / 'out', read_sentences(tmp_path / 'said.csv'), val_share=0)
    index = json.loads((tmp_path / 'out/meta_expressions/train/meta_expressions.json').read_text())['videos']['clip']
    assert [one['exp'] for one in index['expressions'].values()][:2] == ['brown dog', 'the dog']


@pytest.mark.parametrize(('number', 'share', 'valid'), [(2, 0.8, 1), (3, 0.9, 2), (1, 0.5, 0), (5, 0.2, 1)])
def test_one_video_at_least_is_for_training(number, share, valid):
    assert conversion._split(number, share, 0).count('valid') == valid
