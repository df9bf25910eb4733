"""HDR, wide colours, deep grey, mirrors and fields: what players show is what the model sees."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from clips import encode, matrix_in, moving_bar, write

from ifirvos.video.pixels import to_rgb
from ifirvos.video.reader import VideoReader

WHITE = 247  # SDR's white: highlights above it want room


def pq(nits):
    """SMPTE ST 2084's inverse EOTF: cd/m2 to a signal of 0 to 1."""
    y = (np.asarray(nits, np.float64) / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def frame_of(signal, transfer, primaries=9):
    """A 4x4 frame of one colour, given as signal of 0 to 1."""
    pixels = np.broadcast_to(np.round(np.asarray(signal) * 65535), (4, 4, 3)).astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format='rgb48le')
    frame.color_trc, frame.color_primaries = transfer, primaries
    return frame


@pytest.mark.parametrize('level', [0, 16, 64, 128, 200])
def test_pq_gives_back_the_greys_that_were_graded_at_203_nits(level):
    signal = pq(203 * (level / 255) ** 2.4)
    assert np.abs(to_rgb(frame_of(signal, 16), 4, 4).astype(int) - level).max() <= 1


def test_white_highlights_and_colours():
    assert (to_rgb(frame_of(pq(203), 16), 4, 4) == WHITE).all()
    assert (to_rgb(frame_of(0.75, 18), 4, 4) == WHITE).all(), "HLG's reference white is 75 %, BT.2408"
    assert (to_rgb(frame_of(pq(4000), 16), 4, 4) == 255).all()
    assert (to_rgb(frame_of(pq(400), 16), 4, 4) > WHITE).all()
    red = pq(203 * 0.5 * np.array([0.6274, 0.0691, 0.0164]))  # BT.709's red in BT.2020, at half the light
    red = to_rgb(frame_of(red, 16), 4, 4)[0, 0]
    assert red[0] == pytest.approx(255 * 0.5 ** (1 / 2.4), abs=2)
    assert red[1:].max() < 15, 'red, and not brown'
    wide = np.array([0.6274, 0.0691, 0.0164]) ** (1 / 2.4)  # the same of standard range
    assert to_rgb(frame_of(wide, 1), 4, 4)[0, 0].tolist() == pytest.approx([255, 0, 0], abs=12)


@pytest.mark.parametrize(('transfer', 'name'), [(16, 'PQ'), (18, 'HLG')])
def test_an_hdr_file_is_mapped_and_noted(tmp_path, transfer, name):
    level = np.full((32, 32, 3), round(65535 * (0.75 if transfer == 18 else float(pq(203)))), np.uint16)
    path = tmp_path / 'hdr.mkv'
    encode(path, 'libx265', [level] * 2, 'yuv420p10le', 'rgb48le', color_trc=transfer, color_primaries=9, colorspace=9)
    reader = VideoReader(path)
    assert np.abs(np.stack(list(reader)).astype(int) - WHITE).max() <= 4
    assert reader.problem is None
    assert any(f'HDR ({name})' in note for note in reader.notes)


@pytest.mark.parametrize(('color_range', 'black', 'white'), [(2, 0, 65535), (1, 16 * 256, 235 * 256)])
def test_deep_grey_by_its_range(tmp_path, color_range, black, white):
    grey = [np.linspace(black, white, 64 * 48).round().astype(np.uint16).reshape(48, 64)]
    path = encode(tmp_path / 'deep.mkv', 'ffv1', grey, 'gray16le', 'gray16le', color_range=color_range)
    (back,) = VideoReader(path)
    assert np.abs(back[..., 0].reshape(-1) - np.linspace(0, 255, 64 * 48)).max() <= 1
    assert (back == back[..., :1]).all()


def corner_frames():
    """White top left corner, grey top right, dark rest: every turn and mirror is told apart."""
    frames = np.full((3, 32, 64, 3), 20, np.uint8)
    frames[:, :16, :32], frames[:, :16, 32:] = 250, 120
    return frames


ONE = 1 << 16
# a, b, c, d of the matrix -> what players show.
TURNS = {
    (1, 0, 0, 1): lambda x: x,
    (-1, 0, 0, 1): lambda x: x[:, ::-1],  # a front camera's mirror
    (1, 0, 0, -1): lambda x: x[::-1],
    (-1, 0, 0, -1): lambda x: x[::-1, ::-1],
    (0, 1, -1, 0): lambda x: np.rot90(x, -1),
    (0, -1, 1, 0): lambda x: np.rot90(x),
    (0, 1, 1, 0): lambda x: x.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda x: np.rot90(x.transpose(1, 0, 2), 2),
}


@pytest.mark.parametrize('turn', TURNS)
def test_all_eight_turns_and_mirrors_of_the_display_matrix(tmp_path, turn):
    path = write(tmp_path / 'turned.mp4', corner_frames(), encoder='libx264')
    data = bytearray(path.read_bytes())
    a, b, c, d = turn
    struct.pack_into('>9i', data, matrix_in(data), a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    expected = TURNS[turn](corner_frames()[0])
    back = next(iter(VideoReader(path)))
    assert back.shape == expected.shape
    assert np.abs(back.astype(int) - expected).mean() < 6


def test_pixels_that_are_not_square_turn_with_the_picture(tmp_path):
    path = write(tmp_path / 'wide.mp4', moving_bar(), encoder='libx264', pixel_aspect=2)
    reader = VideoReader(path)
    list(reader)
    assert reader.pixel_aspect == 2
    assert any('not square' in note for note in reader.notes)
    data = bytearray(path.read_bytes())
    struct.pack_into('>9i', data, matrix_in(data), 0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    assert VideoReader(path).pixel_aspect == 0.5


def as_fields(array):
    """A frame whose flags say that its top field comes first."""
    picture = av.VideoFrame.from_ndarray(array, format='rgb24').reformat(format='yuv422p')
    graph = av.filter.Graph()
    source = graph.add_buffer(width=96, height=64, format=picture.format, time_base=Fraction(1, 25))
    source.link_to(field := graph.add('setfield', 'tff'))
    field.link_to(graph.add('buffersink'))
    graph.configure()
    graph.push(picture)
    return graph.pull()


@pytest.mark.parametrize('suffix', ['.mkv', '.ts'])
def test_interlaced_is_said_and_mended_on_request(tmp_path, suffix):
    frames = []
    for t in range(8):  # a bar that moves 8 pixels from one field to the next
        frame = np.full((64, 96), 30, np.uint8)
        frame[0::2, 8 * t : 8 * t + 16] = 230
        frame[1::2, 8 * t + 8 : 8 * t + 24] = 230
        frames.append(np.repeat(frame[..., None], 3, 2))
    options = {'flags': '+ilme+ildct', 'alternate_scan': '1', 'top': '1'}
    path = tmp_path / f'fields{suffix}'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg2video', rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 96, 64, 'yuv422p', 10_000_000
        for array in frames:
            container.mux(stream.encode(as_fields(array)))
        container.mux(stream.encode())

    def combing(images):
        """Difference of neighbouring lines, in grey levels."""
        return np.abs(np.diff(np.stack(images)[2:6, 8:56].astype(int), axis=1)).mean()

    plain = VideoReader(path)
    combed = combing(list(plain))
    assert any('interlaced' in note for note in plain.notes)
    mended = VideoReader(path, deinterlace=True)
    smooth = list(mended.timed())
    assert len(smooth) == 8, 'a frame for every frame'
    assert combing([image for image, _ in smooth]) < combed / 3
    assert [time for _, time in smooth] == [time for _, time in plain.timed()]
    assert (mended.notes, mended.problem) == ([], None)
