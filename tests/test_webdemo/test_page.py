"""The page in a real Chromium: files, sentences, awkward inputs, and what the server gives away.

Runs in `make test-web`, which installs Gradio and Playwright; the browser is the system's (apt install chromium).
"""

import io
import json
import os
import re
import shutil
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ifirvos import RVOSInferencer
from ifirvos.evaluation.functional import region_similarity
from ifirvos.inference.model_index import ROOT
from ifirvos.synth import draw_frames, make_clip
from ifirvos.video.writer import VideoWriter, video_suffix
from ifirvos.webdemo.job import Limits

pytest.importorskip('gradio', reason='Gradio is not installed: make test-web does it')
sync_api = pytest.importorskip('playwright.sync_api', reason='Playwright is not installed: make test-web does it')
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
if CHROMIUM is None:
    pytest.skip('there is no Chromium: apt install chromium', allow_module_level=True)

from ifirvos.webdemo.page import EXAMPLES, build_page, launch, render_examples  # noqa: E402  (it imports Gradio)

LIMITS = Limits(megabytes=2, seconds=10, frames=100)
PATIENCE = 120_000  # milliseconds; a busy machine takes its time
HTML = '<img src=x onerror="window.owned=1"><script>window.owned=2</script> the red star'


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    return tmp_path_factory.mktemp('web')


@pytest.fixture(scope='module')
def address(work_dir):
    """The page with the shipped model."""
    proxies = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith('_proxy')}
    page = build_page(RVOSInferencer(device='cpu', show_progress=False), work_dir / 'server', LIMITS)
    yield launch(page, '127.0.0.1', None, LIMITS, block=False)
    page.close()
    os.environ.update(proxies)


@pytest.fixture(scope='module')
def clip():
    """A held-out clip, and sentences about looks or places of two of its objects."""
    for index in range(200_000, 200_400):
        clip = make_clip(0, 'valid', index)
        by_object = {e.object_id: e for e in clip.expressions if e.kind in ('attr', 'spatial')}
        if len(by_object) > 1:
            return clip, list(by_object.values())[:2]
    raise AssertionError('no such clip')


@pytest.fixture(scope='module')
def video(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / f'clip{video_suffix()}'
    with VideoWriter(path, 8) as writer:
        for frame in draw_frames(clip[0].facts.scene):
            writer.write(frame[..., ::-1])
    return path


@pytest.fixture(scope='module')
def tall_video(clip, tmp_path_factory):
    """The same clip in the middle of a picture as tall as a phone's, 288x624."""
    path = tmp_path_factory.mktemp('video') / f'tall{video_suffix()}'
    with VideoWriter(path, 8) as writer:
        for frame in list(draw_frames(clip[0].facts.scene))[:4]:
            writer.write(np.pad(frame[..., ::-1], ((216, 216), (0, 0), (0, 0)), mode='reflect'))
    return path


@pytest.fixture(scope='module')
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """A fresh visit; nothing may be loaded from elsewhere, and no script may fail."""
    context = browser.new_context(viewport=dict(width=1280, height=900), accept_downloads=True)
    page = context.new_page()
    elsewhere, errors = [], []
    page.on('request', lambda r: r.url.startswith((address, 'data:', 'blob:')) or elsewhere.append(r.url))
    page.on('pageerror', lambda error: errors.append(error))
    page.goto(address)
    page.get_by_role('button', name='Segment').wait_for(timeout=PATIENCE)
    yield page
    context.close()
    assert elsewhere == []
    assert errors == []


def upload(page, path):
    page.locator('input[type=file]').first.set_input_files(path)
    page.locator('#video').get_by_role('button', name='Clear').wait_for(timeout=PATIENCE)


def segment(page, text):
    page.get_by_label('One sentence per line').fill(text)
    page.get_by_role('button', name='Segment').click()


def frame_source(page) -> str:
    return page.locator('#frame img[src*="/file="]').last.get_attribute('src')


def shown_frame(page) -> np.ndarray:
    """The picture under "One frame"."""
    with urllib.request.urlopen(frame_source(page)) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert('RGB'))


def wait_for_frame(page, number):
    about = page.get_by_label('About this frame')
    sync_api.expect(about).to_have_value(re.compile(rf'^frame {number} of 0 to'), timeout=PATIENCE)


def message(page, expected) -> str:
    """What the page says is wrong, once it says what is expected."""
    toast = page.get_by_test_id('toast-body').filter(has_text=expected)
    toast.wait_for(timeout=PATIENCE)
    return toast.inner_text()


def test_two_sentences_two_overlays_and_their_masks(page, clip, video, tmp_path):
    scene, expressions = clip
    upload(page, video)
    segment(page, '\n'.join(expression.text for expression in expressions))
    wait_for_frame(page, 0)
    first = shown_frame(page)
    first_video, first_source = page.locator('video').last.get_attribute('src'), frame_source(page)

    page.get_by_label(f'2. {expressions[1].text}').check()
    page.wait_for_function('src => [...document.querySelectorAll("video")].at(-1).src != src', arg=first_video)
    page.wait_for_function(
        'src => [...document.querySelectorAll("#frame img")].at(-1).src != src', arg=first_source, timeout=PATIENCE
    )
    second = shown_frame(page)
    strip = 24  # the sentence's
    assert (np.abs(first[strip:].astype(int) - second[strip:]).max(2) > 30).sum() > 20, 'other pixels are painted'
    width = page.evaluate('[...document.querySelectorAll("video")].at(-1).videoWidth')
    assert width == 288, 'the browser can play the overlay'

    page.get_by_label('number input for Frame').fill('23')
    page.keyboard.press('Enter')
    wait_for_frame(page, 23)
    assert (np.abs(shown_frame(page)[strip:].astype(int) - second[strip:]).max(2) > 30).any(), 'another frame'

    with page.expect_download() as download:
        page.get_by_text('Download the masks').click()
    download.value.save_as(tmp_path / 'masks.zip')
    with zipfile.ZipFile(tmp_path / 'masks.zip') as archive:
        folders = [line.split(':')[0] for line in archive.read('sentences.txt').decode().splitlines()]
        masks = [
            np.stack(
                [
                    np.asarray(Image.open(io.BytesIO(archive.read(name)))) > 0
                    for name in sorted(archive.namelist())
                    if name.startswith(f'{folder}/masks/')
                ]
            )
            for folder in folders
        ]
    assert [mask.shape for mask in masks] == [(24, 192, 288)] * 2
    truths = [scene.facts.labels == expression.object_id for expression in expressions]
    own = [region_similarity(truth, mask).mean() for truth, mask in zip(truths, masks)]
    other = [region_similarity(truth, mask).mean() for truth, mask in zip(truths, masks[::-1])]
    assert np.mean(own) > np.mean(other) + 0.2, 'each sentence got its own object'


def test_an_example_is_ready(page, tmp_path):
    assert page.get_by_text('referformer-r50-ytvos-joint').count() == 1, 'what to start it with for real video'
    example = page.locator('.gallery-item').first
    assert ' · ' in example.inner_text(), 'its sentences are told apart'
    example.click()
    sentences = page.get_by_label('One sentence per line')
    sync_api.expect(sentences).to_have_value(re.compile('.+'), timeout=PATIENCE)
    assert len(sentences.input_value().splitlines()) == 2
    page.get_by_role('button', name='Segment').click()
    wait_for_frame(page, 0)
    page.wait_for_timeout(1000)
    picture = Path(os.environ.get('SCREENSHOT', tmp_path / 'page.png'))
    page.mouse.move(0, 0)
    page.screenshot(path=picture)
    assert picture.stat().st_size > 20_000, 'more than an empty page'


@pytest.mark.parametrize('shape', ['video', 'tall_video'])
@pytest.mark.parametrize('size', [(390, 844), (1280, 900)], ids=['phone', 'desk'])
def test_results_are_seen_without_scrolling_and_old_errors_go(page, request, shape, size):
    video = request.getfixturevalue(shape)
    page.set_viewport_size(dict(width=size[0], height=size[1]))
    segment(page, '')
    message(page, 'at least one sentence')
    upload(page, video)
    segment(page, 'the circle')
    wait_for_frame(page, 0)
    assert page.get_by_test_id('toast-body').count() == 0
    page.wait_for_timeout(1500)  # it scrolls smoothly
    for part in ('#overlay', '#frame'):
        box = page.locator(part).bounding_box()
        assert box['y'] >= 0, f'{part} begins on the screen'
        assert box['y'] + box['height'] <= size[1], f'{part} ends on the screen'
    for part in ('#video video', '#overlay video', '#frame img'):
        picture = page.locator(part).last.bounding_box()
        assert 100 < picture['height'] <= 0.35 * size[1], f'{part} is limited in height, and seen'
        assert picture['x'] + picture['width'] <= size[0], f'{part} is not cut at the side'
    for part in ('#segment', '#download', '#choice label'):
        assert page.locator(part).first.bounding_box()['height'] >= 44, 'a finger wide'


def test_examples_ask_what_the_shipped_model_can_know(tmp_path):
    clips = [make_clip(0, 'valid', index) for index in EXAMPLES]
    ordered = {e.text for clip in clips for e in clip.expressions if e.kind in ('direction', 'order')}
    assert ordered, 'there is something to leave out'
    assert ordered.isdisjoint('\n'.join(text for _, text in render_examples(tmp_path)).splitlines())


def test_a_text_file_as_video(page, tmp_path, work_dir):
    path = tmp_path / 'notes.mp4'
    path.write_text('This is not a video.\n' * 50)
    upload(page, path)
    segment(page, 'the red star')
    said = message(page, 'The file is')
    assert not any(name in said for name in ('/', 'Traceback', str(work_dir)))


@pytest.mark.parametrize(
    ('text', 'expected'),
    [('', 'Write at least one sentence'), ('  \n ', 'Write at least one sentence'), ('x' * 5000, '5000 characters')],
)
def test_sentences_that_are_refused(page, video, text, expected):
    upload(page, video)
    segment(page, text)
    message(page, expected)


def test_no_video(page):
    segment(page, 'the red star')
    message(page, 'Choose a video')


def test_html_in_a_sentence_is_text(page, video):
    upload(page, video)
    segment(page, HTML)
    wait_for_frame(page, 0)
    assert page.get_by_text(HTML).count() == 1
    page.wait_for_timeout(500)
    assert page.evaluate('window.owned') is None
    segment(page, (HTML + ' ') * 9)
    message(page, 'Sentence 1 has')
    assert page.evaluate('window.owned') is None


def get(url):
    with urllib.request.urlopen(url) as answer:
        return answer.status, answer.read()


@pytest.mark.parametrize('path', ['/etc/hostname', str(ROOT / 'setup.cfg'), 'setup.cfg', '../../../etc/hostname'])
@pytest.mark.parametrize('route', ['gradio_api/file=', 'file=', 'gradio_api/file/', 'static/', 'assets/'])
def test_no_file_of_the_server_is_served(address, path, route):
    with pytest.raises(urllib.error.HTTPError) as info:
        get(address + route + path)
    assert info.value.code in (403, 404)


def ask(address, data):
    """The request of the button, made by hand."""
    config = json.loads(get(address + 'config')[1])
    number = next(d['id'] for d in config['dependencies'] if len(d['inputs']) == 2 and len(d['outputs']) == 6)
    body = json.dumps(dict(data=data, fn_index=number, session_hash='by-hand')).encode()
    request = urllib.request.Request(
        address + 'gradio_api/queue/join', body, {'Content-Type': 'application/json'}, method='POST'
    )
    urllib.request.urlopen(request).read()
    with urllib.request.urlopen(address + 'gradio_api/queue/data?session_hash=by-hand', timeout=60) as stream:
        for line in stream:
            if line.startswith(b'data:'):
                event = json.loads(line[5:])
                if event['msg'] == 'process_completed':
                    return event
    raise AssertionError('no answer')


def test_an_uploaded_video_is_taken(address, video):
    """The request by hand is a proper one, so that the next test means something."""
    head = '--end\r\nContent-Disposition: form-data; name="files"; filename="clip.mp4"\r\n\r\n'
    body = head.encode() + Path(video).read_bytes() + b'\r\n--end--\r\n'
    request = urllib.request.Request(
        address + 'gradio_api/upload', body, {'Content-Type': 'multipart/form-data; boundary=end'}, method='POST'
    )
    (path,) = json.loads(urllib.request.urlopen(request).read())
    event = ask(address, [dict(path=path, meta={'_type': 'gradio.FileData'}), 'the red star'])
    assert event['success'] is True, event


@pytest.mark.parametrize('path', ['/etc/hostname', str(ROOT / 'docs/images/demo.png'), 'http://127.0.0.1:9/clip.mp4'])
def test_no_path_of_the_server_is_taken_as_video(address, path):
    event = ask(address, [dict(path=path, meta={'_type': 'gradio.FileData'}), 'the red star'])
    assert event['success'] is False
    assert 'ifirvos' not in json.dumps(event['output'])


def test_no_address_is_fetched_for_a_stranger(address, monkeypatch):
    """Gradio refuses private addresses alone; this server's own stands for a public one."""
    asked = []

    async def validated(url):
        asked.append(url)
        return '127.0.0.1'

    monkeypatch.setattr('safehttpx.async_validate_url', validated)
    path = f'{address}gradio_api/info'
    event = ask(address, [dict(path=path, meta={'_type': 'gradio.FileData'}), 'the red star'])
    assert event['success'] is False
    assert not asked


def test_no_endpoint_is_listed(address):
    info = json.loads(get(address + 'gradio_api/info')[1])
    assert info['named_endpoints'] == {}


def test_what_is_too_large_is_refused_before_it_is_read(address):
    boundary = 'x' * 20
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'.encode()
        + b'0' * 2_500_000
        + f'\r\n--{boundary}--\r\n'.encode()
    )
    request = urllib.request.Request(
        address + 'gradio_api/upload', body, {'Content-Type': f'multipart/form-data; boundary={boundary}'}
    )
    with pytest.raises(urllib.error.HTTPError) as info:
        urllib.request.urlopen(request)
    assert info.value.code == 413
