"""What `ifirvos web` leaves on the disk, however it ends; the page itself is tested in tests/test_webdemo."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ifirvos_cli import web

ROOT = Path(__file__).parents[2]
# The command with stand-ins for the model and the page, whose imports take seconds: the page writes an upload.
SERVER = """
import signal, sys, time
from pathlib import Path
from types import SimpleNamespace

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests were started in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and this one under nohup

def build_page(inferencer, folder, limits):
    (folder / 'gradio').mkdir()
    (folder / 'gradio' / 'upload.mp4').touch()

def launch(*_):
    print('serving', flush=True)
    time.sleep(60)

class Module(SimpleNamespace):
    __path__ = []

for name in ('ifirvos', 'ifirvos.inference', 'ifirvos.webdemo'):
    sys.modules[name] = Module()
sys.modules['ifirvos.allocator'] = Module(keep_freed_memory=lambda: None)
sys.modules['ifirvos.inference.inferencer'] = Module(RVOSInferencer=lambda *args, **options: None)
sys.modules['ifirvos.webdemo.job'] = Module(Limits=lambda **limits: limits)
sys.modules['ifirvos.webdemo.page'] = Module(build_page=build_page, launch=launch)
from ifirvos_cli import web
sys.exit(web.main([]))
"""


def serve(temporary):
    environment = {**os.environ, 'TMPDIR': str(temporary), 'PYTHONPATH': str(ROOT)}
    server = subprocess.Popen([sys.executable, '-c', SERVER], stdout=subprocess.PIPE, env=environment, text=True)
    assert server.stdout.readline() == 'serving\n'
    return server


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_server_that_is_stopped_leaves_nothing(tmp_path, number):
    server = serve(tmp_path)
    assert [path.name for path in tmp_path.glob('*/gradio/*')] == ['upload.mp4']
    server.send_signal(number)
    assert server.wait(30) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_server_left_goes_at_the_next_start(tmp_path):
    other = tmp_path / f'{web.PREFIX}being-made'  # has no owner yet
    elsewhere = tmp_path / 'elsewhere'
    for folder in (other, elsewhere):
        folder.mkdir()
    (tmp_path / f'{web.PREFIX}link').symlink_to(elsewhere)
    killed, running = serve(tmp_path), serve(tmp_path)
    before = set(tmp_path.glob('*/gradio'))
    killed.kill()
    killed.wait(30)
    assert set(tmp_path.glob('*/gradio')) == before
    again = serve(tmp_path)
    assert len(before & set(tmp_path.glob('*/gradio'))) == 1, "the running server's stays"
    assert other.is_dir()
    assert elsewhere.is_dir()
    for server in (running, again):
        server.terminate()
        assert server.wait(30) == 0
    assert not list(tmp_path.glob('*/gradio'))


@pytest.mark.parametrize('options', [['--config', 'a.py'], ['--config', 'a.py', '--weights', 'a.pth', '--model', 'b']])
def test_a_random_model_or_two_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        web.parse_args(options)
    assert '--config' in capsys.readouterr().err
