"""Weights by name, against a server on this machine that misbehaves in every way that was seen or is to be expected."""

import errno
import hashlib
import http.server
import io
import os
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config

from ifirvos.errors import DownloadError, InputError
from ifirvos.inference import zoo
from ifirvos.inference.loading import named_weights
from ifirvos.inference.model_index import ROOT, find_entry, list_models


def _checkpoint() -> bytes:
    file = io.BytesIO()
    torch.save(dict(weight=torch.arange(50_000.0)), file)
    return file.getvalue()


FILE = _checkpoint()
QUOTA_PAGE = b'<!DOCTYPE html><title>Google Drive - Quota exceeded</title>Too many users have viewed or downloaded it.'
FORM_PAGE = (
    b'<!DOCTYPE html><form id="download-form" action="/file" method="get"><input type="hidden" name="id" value="x">'
    b'<input type="hidden" name="confirm" value="t"></form>'
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the server's ``mode`` says."""

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get('Range')))
        mode = server.mode(len(server.requests)) if callable(server.mode) else server.mode
        start = 0
        if mode in ('quota', 'login', 'form') and not self.path.startswith('/file'):
            page = dict(quota=QUOTA_PAGE, login=b'<html>Sign in</html>', form=FORM_PAGE)[mode]
            return self.answer(200, page, kind='text/html; charset=utf-8')
        if mode == 'missing':
            return self.answer(404, b'none', kind='text/plain')
        if mode == 'busy':
            return self.answer(503, b'later', kind='text/plain')
        if mode == 'no checkpoint':
            return self.answer(200, b'hello world')
        asked = self.headers.get('Range')
        if asked and mode != 'cannot resume':
            same = self.headers.get('If-Range') in (None, server.etag)
            start = int(asked.removeprefix('bytes=').rstrip('-')) if same else 0
        return self.answer(206 if start else 200, FILE, start, cut=mode == 'cut')

    def answer(self, status, body, start=0, kind='application/octet-stream', cut=False):
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(self.server.claimed or len(body) - start))
        self.send_header('ETag', self.server.etag)
        if status == 206:
            self.send_header('Content-Range', f'bytes {start}-{len(body) - 1}/{len(body)}')
        self.end_headers()
        self.wfile.write(body[start : start + 60_000] if cut else body[start:])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        server.requests, server.mode, server.etag, server.claimed = [], 'good', '"one"', None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.base = f'http://127.0.0.1:{server.server_address[1]}'
        yield server
        server.shutdown()


@pytest.fixture
def entry(server, tmp_path, monkeypatch):
    monkeypatch.setenv('IFIRVOS_HOME', str(tmp_path / 'home'))
    for name in ('IFIRVOS_MIRROR', 'IFIRVOS_OFFLINE', 'http_proxy', 'HTTP_PROXY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(zoo, 'WAIT', 0)
    return dict(Name='some-model', Config='configs/x.py', Weights=f'{server.base}/some.pth', Metadata={})


def get(entry, **options) -> Path:
    return zoo.local_weights(entry, show_progress=False, **options)


def left(entry) -> set[str]:
    """What is in the cache but for the lock."""
    return {path.name for path in zoo.cache_dir().iterdir() if not path.name.endswith('.lock')}


def test_a_file_is_downloaded_once_and_its_digest_written_down(server, entry, tmp_path):
    path = get(entry)
    assert path == tmp_path / 'home/weights/some-model.pth'
    assert path.read_bytes() == FILE
    assert left(entry) == {'some-model.pth', 'some-model.pth.sha256'}
    assert hashlib.sha256(FILE).hexdigest() in path.with_name('some-model.pth.sha256').read_text()
    assert get(entry, offline=True) == path
    assert len(server.requests) == 1


def test_what_breaks_off_goes_on_from_there(server, entry):
    server.mode = 'cut'  # 60,000 bytes at a time
    assert get(entry).read_bytes() == FILE
    starts = [asked for _, asked in server.requests]
    assert starts == [None, 'bytes=60000-', 'bytes=120000-', 'bytes=180000-'][: len(starts)]
    assert len(starts) > 1


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(server, entry, monkeypatch):
    monkeypatch.setattr(zoo, 'TRIES', 1)
    server.mode = 'cut'
    with pytest.raises(DownloadError, match=r'broke off after 60,000 bytes.*are kept'):
        get(entry)
    server.mode = 'good'
    assert get(entry).read_bytes() == FILE
    assert server.requests[-1][1] == 'bytes=60000-'


@pytest.mark.parametrize('change', ['cannot resume', 'another file'])
def test_where_it_cannot_go_on_it_begins_anew(server, entry, monkeypatch, change):
    monkeypatch.setattr(zoo, 'TRIES', 1)
    server.mode = 'cut'
    with pytest.raises(DownloadError):
        get(entry)
    server.mode, server.etag = ('cannot resume', '"one"') if change == 'cannot resume' else ('good', '"two"')
    assert get(entry).read_bytes() == FILE


@pytest.mark.parametrize(
    ('mode', 'says'),
    [
        ('quota', 'too many people have downloaded it lately'),
        ('login', 'a web page came in place of the file'),
        ('missing', 'the server answers 404'),
        ('busy', 'the server answers 503, tried 4 times'),
        ('no checkpoint', 'what came is something else than a checkpoint'),
    ],
)
def test_what_goes_wrong_is_said_with_the_address_and_the_place(server, entry, mode, says):
    server.mode = mode
    with pytest.raises(DownloadError) as caught:
        get(entry)
    message = str(caught.value)
    assert says in message
    assert f'Open {server.base}/some.pth in a browser' in message
    assert f'put the file at {zoo.place_of(entry)}' in message
    assert not left(entry) - {'.some-model.pth.part.json'}
    assert '\n' not in message


def test_the_form_about_viruses_is_answered(server, entry):
    server.mode = 'form'
    assert get(entry).read_bytes() == FILE
    assert server.requests[-1][0] == '/file?id=x&confirm=t'


def test_a_form_may_not_lead_elsewhere():
    page = FORM_PAGE.decode().replace('action="/file"', 'action="http://elsewhere.example/file"')
    assert zoo._confirmation(page, 'https://drive.usercontent.google.com/download') is None


def test_nobody_answers(server, entry):
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match=r'127\.0\.0\.1:\d+ cannot be reached.*tried 4 times'):
        get(entry)


def test_a_disk_that_is_too_small_is_known_in_advance(server, entry):
    server.claimed = 10**15
    with pytest.raises(DownloadError, match=r'it takes 953,674,316 MiB, and .* has [\d,]+ MiB left'):
        get(entry)


def test_a_disk_that_fills_up(entry, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(zoo, 'write_whole', full)
    with pytest.raises(DownloadError, match=r'the disk of .* is full; IFIRVOS_HOME names another'):
        get(entry)


def test_the_digest_of_the_index_decides(server, entry):
    entry['Metadata']['SHA256'] = hashlib.sha256(FILE).hexdigest()
    assert get(entry).is_file()
    entry['Name'], entry['Metadata']['SHA256'] = 'other', '0' * 64
    with pytest.raises(DownloadError, match='its SHA-256 is another'):
        get(entry)
    assert 'other.pth' not in left(entry)


def test_a_file_that_changes_after_its_first_use_is_refused(entry):
    path = get(entry)
    path.write_bytes(FILE[:-1] + b'x')
    with pytest.raises(DownloadError, match=r'SHA-256 of its first use.*Remove it and some-model\.pth\.sha256'):
        get(entry)


def test_a_file_put_there_by_hand_is_taken(server, entry):
    place = zoo.place_of(entry)
    place.parent.mkdir(parents=True)
    place.write_bytes(FILE)
    assert get(entry) == place
    assert not server.requests


def test_a_cache_that_is_only_read(server, entry, monkeypatch):
    """An administrator's, for all users of a machine: nothing is written there, but what is there is checked."""
    place = zoo.place_of(entry)
    place.parent.mkdir(parents=True)
    place.write_bytes(FILE)
    monkeypatch.setattr(zoo.os, 'access', lambda path, mode: mode != os.W_OK)
    assert get(entry) == place
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    place.with_name(f'{place.name}.sha256').write_text(f'{"0" * 64}  {place.name}\n')
    with pytest.raises(DownloadError, match='SHA-256 of its first use'):
        get(entry)


def test_what_is_in_the_cache_needs_no_lock(server, entry, monkeypatch):
    """Another user's lock cannot be opened, and some file systems have none."""
    place = get(entry)
    place.with_name(f'{place.name}.sha256').write_text('')  # of a disk that was full

    def refused(*args, **kwargs):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(zoo, 'FileLock', refused)
    assert get(entry) == place


@pytest.mark.parametrize('error', [ssl.SSLError(1, 'bad record mac'), OSError(errno.EHOSTUNREACH, 'No route to host')])
def test_a_network_that_goes_away_is_no_fault_of_the_disk(server, entry, monkeypatch, error):
    tried = []

    def broken(*args, **kwargs):
        tried.append(args)
        raise error

    monkeypatch.setattr(zoo, '_transfer', broken)
    with pytest.raises(DownloadError, match=f'cannot be reached .*tried {zoo.TRIES} times'):
        get(entry)
    assert len(tried) == zoo.TRIES


@pytest.mark.parametrize('how', ['argument', 'environment'])
def test_offline_touches_no_network(server, entry, how, monkeypatch):
    if how == 'environment':
        monkeypatch.setenv('IFIRVOS_OFFLINE', '1')
    with pytest.raises(DownloadError, match='not in the cache, and the network is not to be used'):
        get(entry, **(dict(offline=True) if how == 'argument' else {}))
    assert not server.requests


@pytest.mark.parametrize('kind', ['address', 'folder'])
def test_a_mirror(server, entry, kind, tmp_path, monkeypatch):
    entry['Weights'] = 'https://drive.google.com/uc?export=download&id=abc'
    if kind == 'folder':
        (tmp_path / 'mirror').mkdir()
        (tmp_path / 'mirror/some-model.pth').write_bytes(FILE)
    monkeypatch.setenv('IFIRVOS_MIRROR', f'{server.base}/m/' if kind == 'address' else str(tmp_path / 'mirror'))
    assert get(entry, offline=kind == 'folder').read_bytes() == FILE
    assert [path for path, _ in server.requests] == (['/m/some-model.pth'] if kind == 'address' else [])


def test_two_at_once_download_once(server, entry):
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(get(entry))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 3
    assert len(server.requests) == 1


def test_two_first_uses_at_once_note_the_digest(entry, monkeypatch):
    place = zoo.place_of(entry)
    place.parent.mkdir(parents=True)
    place.write_bytes(FILE)
    both = threading.Barrier(2, timeout=60)
    monkeypatch.setattr('ifirvos.files.os.fsync', lambda file: both.wait())  # both have written, none has renamed
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(get, [entry, entry])) == [place, place]
    assert place.with_name(f'{place.name}.sha256').read_text().split() == [hashlib.sha256(FILE).hexdigest(), place.name]
    assert left(entry) == {place.name, f'{place.name}.sha256'}


def test_addresses_of_google_drive():
    for address in (
        'https://drive.google.com/uc?export=download&id=a-b_1',
        'https://drive.google.com/file/d/a-b_1/view',
    ):
        assert zoo.direct(address) == 'https://drive.usercontent.google.com/download?id=a-b_1&export=download&confirm=t'
        assert zoo.by_hand(address) == 'https://drive.google.com/file/d/a-b_1/view'
    assert zoo.direct('https://example.org/w.pth') == 'https://example.org/w.pth'


def test_names_and_paths_of_weights(entry, monkeypatch, tmp_path):
    monkeypatch.setattr('ifirvos.inference.loading.find_entry', dict(known=entry).__getitem__)
    assert named_weights('known') == str(zoo.place_of(entry))
    assert named_weights('unknown') == 'unknown'
    monkeypatch.chdir(tmp_path)  # where the shipped configs' load_from is not
    assert named_weights('weights/r18_synth.pth') == str(ROOT / 'weights/r18_synth.pth')
    assert named_weights(tmp_path / 'known') == str(tmp_path / 'known')
    with pytest.raises(InputError, match='No weights of bare are published: train them with'):
        zoo.local_weights(dict(Name='bare', Config='configs/bare.py', Weights=None))
    with pytest.raises(InputError, match="no model 'yolo'"):
        zoo.download('yolo')


class TestIndex:
    """The metafiles, in OpenMMLab's schema."""

    def test_every_entry_has_what_the_schema_asks_for(self):
        for part in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']:
            content = yaml.safe_load((ROOT / part).read_text())
            collections = {collection['Name'] for collection in content['Collections']}
            for collection in content['Collections']:
                assert collection['Paper']['URL'].startswith('https://arxiv.org/abs/')
                assert collection['Metadata']['Architecture']
                assert (ROOT / collection['README']).is_file()
            for model in content['Models']:
                assert model.keys() <= {'Name', 'Alias', 'In Collection', 'Config', 'Weights', 'Metadata', 'Results'}
                assert model['In Collection'] in collections
                assert model['Metadata']['Training Data']
                for result in model.get('Results', ()):
                    assert result.keys() == {'Task', 'Dataset', 'Metrics'}
                    assert all(isinstance(value, float) for value in result['Metrics'].values())

    def test_every_published_model_has_a_config_a_licence_and_an_address(self):
        published = {name: model for name, model in list_models().items() if zoo.address_of(model)}
        assert len(published) == 25
        assert len({model['Weights'] for model in published.values()}) == 25
        for name, model in published.items():
            assert name.startswith('referformer-')
            assert (ROOT / model['Config']).is_file()
            assert model['Metadata']['License'] == 'Apache-2.0'
            assert zoo.by_hand(model['Weights']).startswith('https://drive.google.com/file/d/1')

    @pytest.mark.parametrize(
        ('name', 'config', 'dataset', 'metrics'),
        [
            ('referformer-r50-ytvos', 'r50_ytvos', 'Ref-DAVIS17', {'J&F': 58.5, 'J': 55.8, 'F': 61.3}),
            (
                'referformer-video-swin-b-ytvos-joint',
                'video_swin_b_ytvos_joint',
                'Ref-YouTube-VOS',
                {'J&F': 64.9, 'J': 62.8, 'F': 67.0},
            ),
            ('referformer-swin-l-refcoco', 'swin_l_refcoco_pretrain', 'RefCOCOg', {'P@0.5': 83.9}),
            (
                'referformer-video-swin-t-a2d',
                'video_swin_t_a2d',
                'JHMDB-Sentences',
                {'Overall IoU': 71.9, 'Mean IoU': 71.0, 'mAP': 42.2},
            ),
        ],
    )
    def test_some_rows_of_the_authors_tables(self, name, config, dataset, metrics):
        entry = find_entry(name)
        assert entry['Config'] == f'configs/referformer/{config}.py'
        assert metrics in [result['Metrics'] for result in entry['Results'] if result['Dataset'] == dataset]

    @pytest.mark.parametrize('config', ['r50', 'video_swin_t'])
    def test_warm_starts_begin_with_a_model_of_the_index(self, config):
        cfg = Config.fromfile(ROOT / f'configs/ifirvos/{config}_ytvos_from_referformer.py')
        start = Config.fromfile(ROOT / find_entry(cfg.load_from)['Config'])
        assert start.model.backbone == cfg.model.backbone
