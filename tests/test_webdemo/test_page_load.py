"""The page under load, over its own protocol, without a browser: 500 requests, cancelling, closing, odd addresses.

Runs in `make test-web`, which installs Gradio.
"""

import json
import os
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('gradio', reason='Gradio is not installed: make test-web does it')

from ifirvos.inference.inferencer import RVOSInferencer
from ifirvos.testing import shrink
from ifirvos.video.writer import VideoWriter, video_suffix
from ifirvos.webdemo.job import Limits
from ifirvos.webdemo.page import build_page, launch

CONFIG = Path(__file__).resolve().parents[2] / 'configs/ifirvos/r18_synth.py'
LIMITS = Limits(megabytes=2, seconds=20, frames=200, results=10, disk=5)


class Server:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.page = build_page(RVOSInferencer(shrink(CONFIG), device='cpu', show_progress=False), folder, LIMITS)
        self.base = launch(self.page, '127.0.0.1', None, LIMITS, block=False).rstrip('/')
        self.segment = next(
            number for number, fn in self.page.fns.items() if getattr(fn.fn, '__name__', '') == 'segment'
        )
        self.stop = next(number for number, fn in self.page.fns.items() if fn.name == 'stop_request')

    def post(self, path: str, content: dict) -> dict:
        request = urllib.request.Request(
            f'{self.base}/gradio_api/{path}', json.dumps(content).encode(), {'Content-Type': 'application/json'}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def upload(self, path: Path) -> dict:
        edge = uuid.uuid4().hex
        body = (
            f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n'
            'Content-Type: video/mp4\r\n\r\n'
        ).encode()
        request = urllib.request.Request(
            f'{self.base}/gradio_api/upload',
            body + path.read_bytes() + f'\r\n--{edge}--\r\n'.encode(),
            {'Content-Type': f'multipart/form-data; boundary={edge}'},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            (place,) = json.load(answer)
        return dict(path=place, meta=dict(_type='gradio.FileData'))

    def ask(self, session: str, video: dict, text: str = 'the circle') -> dict:
        """What comes of a request: the last message of its stream."""
        self.post(
            'queue/join',
            dict(data=[video, text], fn_index=self.segment, session_hash=session, event_data=None, trigger_id=None),
        )
        address = f'{self.base}/gradio_api/queue/data?session_hash={session}'
        with urllib.request.urlopen(address, timeout=120) as stream:
            for line in stream:
                if line.startswith(b'data:'):
                    message = json.loads(line[5:])
                    if message['msg'] in ('process_completed', 'unexpected_error'):
                        return message
        raise AssertionError('the stream ended')

    def close(self, session: str) -> None:
        """As a browser whose page is closed: the stream that it holds breaks off."""
        with urllib.request.urlopen(f'{self.base}/gradio_api/heartbeat/{session}', timeout=20) as stream:
            stream.readline()


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    proxies = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith('_proxy')}
    server = Server(tmp_path_factory.mktemp('load') / 'server')
    yield server
    server.page.close()
    os.environ.update(proxies)


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp('clip') / f'clip{video_suffix()}', 4)


def write_clip(path: Path, frames: int) -> Path:
    with VideoWriter(path, 10) as writer:
        for t in range(frames):
            writer.write(np.full((48, 64, 3), 10 * t % 250, np.uint8))
    return path


def jobs_of(server) -> list[Path]:
    return list((server.folder / 'jobs').iterdir())


def wait_until(said, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not said() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert said()


def resident() -> float:
    """MiB of this process, in which the server runs."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 2**20


def test_a_result_goes_when_its_page_is_closed(server, clip):
    session = uuid.uuid4().hex
    message = server.ask(session, server.upload(clip))
    assert message['success'], message
    before = len(jobs_of(server))
    assert before >= 1
    server.close(session)
    wait_until(lambda: len(jobs_of(server)) == before - 1)


def test_a_request_is_stopped_in_the_middle(server, tmp_path):
    session, video = uuid.uuid4().hex, server.upload(write_clip(tmp_path / f'long{video_suffix()}', 190))
    before, answers = set(jobs_of(server)), []
    thread = threading.Thread(target=lambda: answers.append(server.ask(session, video, 'a\nb\nc\nd')))
    thread.start()
    wait_until(lambda: set(jobs_of(server)) - before)
    server.post('run/predict', dict(data=[], fn_index=server.stop, session_hash=session))
    thread.join(120)
    assert not answers[0]['success']
    assert 'Stopped' in json.dumps(answers[0])
    assert set(jobs_of(server)) == before


@pytest.mark.parametrize(
    'address', ['/etc/passwd', '../server', '../../../../etc/passwd', '%2e%2e/%2e%2e/etc/passwd', str(CONFIG)]
)
def test_no_file_outside_the_folder_is_served(server, address):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f'{server.base}/gradio_api/file={address}', timeout=20)
    assert caught.value.code in (400, 403, 404)


def test_no_file_outside_the_folder_is_segmented(server, clip):
    message = server.ask(uuid.uuid4().hex, dict(path=str(clip), meta=dict(_type='gradio.FileData')))
    assert not message['success']


@pytest.mark.slow
def test_500_requests_keep_memory_and_disk(server, clip, record_property):
    """Each by another visitor, none of whom closes the page."""
    sizes = []
    for _ in range(500):
        message = server.ask(uuid.uuid4().hex, server.upload(clip))
        assert message['success'], message
        sizes.append(resident())
    record_property('resident_mib', [sizes[49], sizes[99], sizes[-1]])
    assert len(jobs_of(server)) == LIMITS.results
    held = sum(path.stat().st_size for path in server.folder.rglob('*') if path.is_file())
    assert held < 2 * LIMITS.disk * 1e6
    assert sizes[-1] < 1.05 * sizes[99], f'{sizes[99]:.0f} MiB after 100 requests, {sizes[-1]:.0f} after 500'
