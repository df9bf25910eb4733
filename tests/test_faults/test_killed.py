"""Killed at 20 random moments of writing: what was complete stays, no half file has a final name, a rerun finishes."""

import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from faults import KILLS, in_child, killed_at_random, wait
from writers_of_all import WORKS

from ifirvos.inference import zoo

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test_inference'))
from test_zoo import FILE, Handler

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('make', WORKS, ids=lambda make: make.__name__)
def test_what_is_killed_leaves_nothing_half_written(make, tmp_path):
    work = make(tmp_path)
    hit = killed_at_random(work.write, work.check)
    assert hit >= KILLS // 2, 'it was in the middle'
    assert wait(in_child(work.write)) == 0
    work.check()
    assert work.is_done()


class SlowHandler(Handler):
    """In small blocks, with a short wait between them."""

    def answer(self, status, body, start=0, **kwargs):
        wfile, self.wfile = self.wfile, Slow(self.wfile)
        try:
            super().answer(status, body, start, **kwargs)
        except (BrokenPipeError, ConnectionResetError):  # the client was killed
            pass
        finally:
            self.wfile = wfile


class Slow:
    def __init__(self, file) -> None:
        self.file, self.wait = file, threading.Event()

    def write(self, data) -> None:
        for start in range(0, len(data), 10_000):
            self.file.write(data[start : start + 10_000])
            self.wait.wait(0.003)

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_download_that_is_killed_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv('IFIRVOS_HOME', str(tmp_path))
    monkeypatch.setattr(zoo, 'BLOCK', 10_000)  # as the server sends it
    for name in ('IFIRVOS_MIRROR', 'IFIRVOS_OFFLINE', 'http_proxy', 'HTTP_PROXY'):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(('127.0.0.1', 0), SlowHandler) as server:
        server.requests, server.mode, server.etag, server.claimed = [], 'good', '"one"', None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f'http://127.0.0.1:{server.server_address[1]}/some.pth'
        entry = dict(Name='some-model', Config='configs/x.py', Weights=address, Metadata={})
        place = zoo.place_of(entry)

        def write() -> None:
            place.unlink(missing_ok=True)
            zoo.local_weights(entry, show_progress=False)

        def check() -> None:
            assert not place.exists() or place.read_bytes() == FILE

        hit = killed_at_random(write, check)
        assert wait(in_child(write)) == 0
        assert place.read_bytes() == FILE
        ranges = [asked for _, asked in server.requests if asked]
        server.shutdown()
    assert hit >= KILLS // 4, 'a download that goes on has less to do than the one that was timed'
    assert ranges, 'some went on where they were killed'
