"""Errors for users: one line, whatever is in them, and readable when a worker hands them over."""

import pickle

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from ifirvos import errors
from ifirvos.errors import AnnotationError, UserError, one_line

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UserError)]


class Broken(Dataset):
    def __init__(self, kind):
        self.kind = kind

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.kind('a.png is no mask: do this.')


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_carries_its_message(kind):
    assert str(kind('a.png is gone')) == 'a.png is gone'
    assert str(pickle.loads(pickle.dumps(kind('a.png is gone')))) == 'a.png is gone'  # noqa: S301
    with pytest.raises(UserError):
        raise kind('x')


@pytest.mark.parametrize('kind', [AnnotationError, errors.MissingFileError])
def test_a_workers_error_is_its_message(kind):
    loader = DataLoader(Broken(kind), num_workers=1)
    with pytest.raises(kind) as caught:
        next(iter(loader))
    assert str(caught.value) == 'a.png is no mask: do this.'
    assert 'Traceback' in caught.value.worker_traceback
    assert torch.utils.data.get_worker_info() is None


def test_one_line():
    assert one_line(ValueError('a\n  b\x1b[31m\u202e \ud800')) == r'a b\x1b[31m\u202e \ud800'
    assert one_line(KeyError()) == 'KeyError'
    assert len(one_line(ValueError('x' * 9999))) < 2100


def test_what_the_system_says_of_a_file_is_a_sentence(tmp_path):
    (tmp_path / 'file').touch()
    for path, says in (
        (tmp_path / 'none', 'no such file'),
        (tmp_path / 'file/a', 'not a folder'),
        (tmp_path, 'folder'),
    ):
        with pytest.raises(OSError, match='Errno') as caught:
            path.read_bytes()
        assert one_line(caught.value).startswith(f'{path}: ')
        assert says in one_line(caught.value)
        assert 'Errno' not in one_line(caught.value)
    assert one_line(OSError('as it is')) == 'as it is'
