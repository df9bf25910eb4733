"""The table of odd sentences, with an inferencer that knows words."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tool_scripts import load_tool

from ifirvos.inference.model_index import SHIPPED_MODEL
from ifirvos.synth.predicates import referent

PATH = Path(__file__).resolve().parents[2] / 'tools/analysis_tools/odd_sentences.py'


@pytest.fixture(scope='module')
def tool():
    return load_tool('analysis_tools/odd_sentences.py', register=True)


def test_each_target_is_the_only_one_of_its_colour_and_shape(tool):
    found = tool.targets(5, 12)
    assert len(found) == 5
    for clip, noun, object_id in found:
        assert noun.size is None
        assert referent(noun, clip.facts) == object_id - 1


def test_twenty_ways_that_all_differ(tool):
    for colour, shape in (('red', 'star'), ('cyan', 'circle'), ('orange', 'cross')):
        texts = [ask(colour, shape) for ask in tool.WAYS.values()]
        assert len(set(texts)) == len(texts) == 21  # the plain one, and twenty


def test_the_table(tool, monkeypatch, tmp_path, capsys):
    """A reader of lower-case words only: it finds the object where colour and shape stand as they are."""
    clips = tool.targets(3, 12)

    def answer(frames, texts):
        assert frames.shape == (12, 192, 288, 3)
        clip, noun, object_id = next(c for c in clips if (c[0].facts.labels.shape == (12, 192, 288)) and c not in done)
        done.append((clip, noun, object_id))
        truth = clip.facts.labels == object_id
        read = [{noun.colour, noun.shape} <= set(text.split()) for text in texts]
        return [SimpleNamespace(masks=truth & np.array(ok), clip_score=0.9 * ok) for ok in read]

    done = []
    monkeypatch.setattr(tool, 'targets', lambda number, frames: clips[:number])
    answer.model_name = SHIPPED_MODEL
    monkeypatch.setattr(tool, 'RVOSInferencer', lambda *args, **kwargs: answer)
    rows = {row['way']: row for row in tool.main(['--clips', '3', '--out', str(tmp_path / 'odd.csv')])}
    assert rows['plain'] | dict(J=100, same=100, score=90, refused=0) == rows['plain']
    assert rows['noun first']['J'] == 100
    assert rows['upper case']['J'] < 50
    assert rows['something else']['same'] < 50
    assert (rows['something else']['score'], rows['something else']['refused']) == (0, 100)
    assert len(list(csv.DictReader((tmp_path / 'odd.csv').open()))) == 21
    assert '| upper case | THE RED STAR |' in capsys.readouterr().out
