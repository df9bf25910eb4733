"""Every tool reads its arguments before it imports what takes seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
# Helpers of other tools, without a command line.
WITHOUT_COMMAND_LINE = {
    'benchmark_checkouts.py',
    'benchmark_data.py',
    'benchmark_model.py',
    'benchmark_process.py',
    'benchmark_report.py',
    'benchmark_stages.py',
    'benchmark_targets.py',
    'benchmark_video.py',
    'straightforward.py',
    'build_config_types.py',
}
RUN = """
import runpy, sys
path, option = sys.argv[1:]
sys.argv = [path, option]
sys.path.insert(0, path.rpartition('/')[0])
try:
    runpy.run_path(path, run_name='__main__')
except SystemExit as end:
    slow = {'torch', 'mmengine', 'mmdet', 'cv2', 'transformers'} & sys.modules.keys()
    assert not slow, slow
    raise
raise AssertionError('it did not stop')
"""


@pytest.mark.parametrize(
    'path', sorted(p.relative_to(TOOLS).as_posix() for p in TOOLS.rglob('*.py') if p.name not in WITHOUT_COMMAND_LINE)
)
@pytest.mark.parametrize(('option', 'code'), [('--help', 0), ('--no-such-option', 2)])
def test_a_tool_answers_at_once(path, option, code):
    done = subprocess.run([sys.executable, '-c', RUN, str(TOOLS / path), option], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert 'usage:' in (done.stderr if code else done.stdout)
