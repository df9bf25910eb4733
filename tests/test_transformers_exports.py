"""transformers lists the same as without us, and each folder once."""

import subprocess
import sys
from pathlib import Path

import pytest
import transformers.utils.import_utils as import_utils

from ifirvos.transformers_exports import _from_its_end, listed_once

pytestmark = pytest.mark.skipif(
    not hasattr(import_utils, 'fetch__all__'), reason='this transformers has other lists, which nothing changes'
)
IN_A_PROCESS = """
import sys
from ifirvos.transformers_exports import listed_once
opened = []
sys.addaudithook(lambda event, args: event == 'open' and opened.append(str(args[0])))
with listed_once():
    import transformers.utils.import_utils as lists
read = [path for path in opened if path.endswith('modeling_bert.py')]
assert len(read) == 1, read
from transformers import RobertaModel
read = [path for path in opened if path.endswith('modeling_bert.py')]
assert len(read) == 1, read
import pathlib
models = pathlib.Path(lists.__file__).parents[1] / 'models'
ours = lists.create_import_structure_from_path(models)
lists.fetch__all__ = lists.fetch__all__.__wrapped__
lists.create_import_structure_from_path.cache_clear()
assert ours == lists.create_import_structure_from_path(models)
"""


OF_THE_ENCODER = """
import sys
opened = []
sys.addaudithook(lambda event, args: event == 'open' and opened.append(str(args[0])))
from ifirvos.models.text_encoder import RobertaTextEncoder
config = dict(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
RobertaTextEncoder('synth_tokenizer', pretrained=False, config=config)
assert len([path for path in opened if path.endswith('modeling_bert.py')]) == 1
"""


def test_the_text_encoder_reads_them_once():
    done = subprocess.run([sys.executable, '-c', OF_THE_ENCODER], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def test_lists_are_the_same_and_made_once():
    done = subprocess.run([sys.executable, '-c', IN_A_PROCESS], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def test_the_last_list_of_a_file_counts():
    fetch, theirs = _from_its_end(import_utils.fetch__all__), import_utils.fetch__all__
    theirs = getattr(theirs, '__wrapped__', theirs)
    for text, names in (
        ('__all__ = ["A"]', ['A']),
        ('x = 1\n__all__ = ["A", "B"]\n', ['A', 'B']),
        ('__all__ = ["A"]\ny = 2\n__all__ = [\n    "B",\n    "C",\n]\nz = 3\n', ['B', 'C']),
        ('x = __all__\n', []),
        ('x = 1\n', []),
        ('', []),
    ):
        assert fetch(text) == theirs(text) == names


def test_nothing_happens_to_what_is_imported():
    before, finders = dict(vars(import_utils)), list(sys.meta_path)
    with listed_once():
        import transformers

        assert Path(transformers.__file__).is_file()
    assert vars(import_utils) == before
    assert sys.meta_path == finders
