"""One limit of pixels for videos, frames and masks, checked before anything is decoded."""

import io
import warnings
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from PIL import ExifTags, Image

from ifirvos.datasets.doctor.examiner import Examiner
from ifirvos.datasets.doctor.findings import Findings
from ifirvos.datasets.transforms import LoadRVOSMasks, RVOSClipSample
from ifirvos.errors import AnnotationError, LimitError, UserError, VideoError
from ifirvos.frame_sizes import VARIABLE, check_picture, most_pixels, size_as_read
from ifirvos.label_maps import read_palette_png
from ifirvos.run_lengths import decode_segmentation
from ifirvos.video.reader import VideoReader, read_video_frames
from ifirvos.video.sources import read_picture


def bomb(kind: str, side: int = 16_000, mode: str = 'L') -> bytes:
    """A picture of 256 million pixels in a few hundred kB; only its header is real where that is enough."""
    small = io.BytesIO()
    Image.new(mode, (64, 64)).save(small, kind)
    content = bytearray(small.getvalue())
    if kind == 'PNG':
        content[16:24] = side.to_bytes(4, 'big') * 2
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, 'big')
    else:
        at = content.index(b'\xff\xc0') + 5
        content[at : at + 4] = side.to_bytes(2, 'big') * 2
    return bytes(content)


@pytest.fixture
def limit(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', Image.MAX_IMAGE_PIXELS)
    return lambda pixels: monkeypatch.setenv(VARIABLE, str(pixels))


@pytest.mark.parametrize(('kind', 'name'), [('PNG', 'a.png'), ('JPEG', 'a.jpg'), ('PNG', 'a.jpg')])
@pytest.mark.parametrize('side', [16_000, 11_000])  # above Pillow's own limit, and below it
def test_a_frame_of_a_data_set_with_too_many_pixels_is_refused_by_its_header(tmp_path, kind, name, side):
    path = tmp_path / name
    path.write_bytes(bomb(kind, side, 'RGB'))
    record = dict(video_id='v', exp_id='3', text='a', kind='', obj_id=1, video_length=1)
    record['images'] = [dict(frame_id=0, img_id=0, img_path=str(path), mask_path=None)]
    init_default_scope('mmdet')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)
        with pytest.raises(LimitError, match=rf'video v, expression 3 cannot be used: .*{name} has .*pixels'):
            RVOSClipSample(mode='all')(record)
        found = Findings()
        assert Examiner.picture_sizes(_Quick, [record], found) == {}  # header only: --quick sees it too
        assert 'pixels' in found.problems['unreadable frame'][0]
        with pytest.raises(VideoError, match='pixels'):
            read_picture(path)


class _Quick:
    quick = True


def test_a_mask_with_too_many_pixels_is_refused_by_its_header(tmp_path):
    path = tmp_path / 'a.png'
    path.write_bytes(bomb('PNG'))
    with pytest.raises(LimitError, match=r'a\.png has far too many pixels'):
        read_palette_png(path)
    frame = dict(mask_path=str(path), img_path='a.jpg', ori_shape=(4, 4), obj_id=1)
    with pytest.raises(UserError, match=r'a\.png has far too many pixels'):
        LoadRVOSMasks()(frame)


def test_one_option_moves_the_limit_of_all(tmp_path, limit):
    Image.new('L', (48, 32)).save(tmp_path / 'a.png')
    with av.open(str(tmp_path / 'a.mp4'), 'w') as container:
        stream = container.add_stream('mpeg4', rate=5)
        stream.width, stream.height = 48, 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 48, 3), np.uint8), format='rgb24')
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    code = dict(size=[32, 48], counts=[1536])
    tries = [
        lambda: check_picture(tmp_path / 'a.png'),
        lambda: read_palette_png(tmp_path / 'a.png'),
        lambda: read_picture(tmp_path / 'a.png'),
        lambda: decode_segmentation(code, (32, 48)),
        lambda: list(VideoReader(tmp_path / 'a.mp4')),
        lambda: list(VideoReader(tmp_path)),
        lambda: read_video_frames(str(tmp_path / 'a.mp4'), {0}),
    ]
    limit(1536)
    for read in tries:
        read()
    limit(1535)
    for read in tries:
        with pytest.raises(UserError, match=r'1,?535'):
            read()


def test_a_larger_limit_is_pillows_too(tmp_path, limit):
    path = tmp_path / 'a.png'
    path.write_bytes(bomb('PNG'))
    with pytest.raises(LimitError):
        check_picture(path)
    limit(300_000_000)
    check_picture(path)
    assert most_pixels() == Image.MAX_IMAGE_PIXELS == 300_000_000


@pytest.mark.parametrize(
    ('name', 'content', 'says'), [('a.jpg', b'', 'it is empty'), ('a.png', b'GET /', 'no picture')]
)
def test_what_is_called_a_picture_must_be_one(tmp_path, name, content, says):
    Path(tmp_path, name).write_bytes(content)
    with pytest.raises(AnnotationError, match=f'{name} cannot be read: .*{says}'):
        check_picture(tmp_path / name)


def test_a_video_is_no_picture_and_passes(tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'\0\0\0 ftypisom')
    check_picture(tmp_path / 'a.mp4')


def test_a_limit_that_is_no_number_is_named(limit):
    limit('many')
    with pytest.raises(LimitError, match=VARIABLE):
        most_pixels()


@pytest.mark.parametrize('orientation', range(1, 9))
def test_sizes_are_those_that_opencv_reads(tmp_path, orientation):
    path, exif = tmp_path / 'a.jpg', Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new('RGB', (48, 32)).save(path, exif=exif)
    with Image.open(path) as picture:
        assert size_as_read(picture) == cv2.imread(str(path)).shape[:2]
