"""The list of many videos: what is read of it, and what is said of a wrong one."""

import json
from pathlib import Path

import pytest

from ifirvos.errors import InputError
from ifirvos.inference.manifest import Job, read_manifest, shard, shard_from_environment


def test_rows_of_one_video_are_one_job(tmp_path):
    (tmp_path / 'a.csv').write_text(
        'video,sentences,max_frames,name\n'
        'one.mp4,"the cat; the dog",,\n'
        'sub/one.mp4,a car,,\n'
        'one.mp4,the dog;a bird,,\n'
        'one.mp4,the cat,5,\n'
        'https://example.org/x.mp4?a=1,a tree,,my clip\n'
    )
    jobs = read_manifest(tmp_path / 'a.csv')
    assert [job.name for job in jobs] == ['one', 'one-2', 'one-3', 'my-clip']
    assert jobs[0] == Job('one', str(tmp_path / 'one.mp4'), ('the cat', 'the dog', 'a bird'))
    assert (jobs[2].sentences, jobs[2].max_frames) == (('the cat',), 5)
    assert jobs[3].video == 'https://example.org/x.mp4?a=1'


def test_jsonl(tmp_path):
    rows = [
        dict(video='/x/a.mp4', sentences=['the cat; or so', 'b'], score_threshold=0.5, fps=12),
        dict(video='b', sentence='c'),
    ]
    (tmp_path / 'a.jsonl').write_text('\n\n'.join(map(json.dumps, rows)))
    jobs = read_manifest(tmp_path / 'a.jsonl')
    assert jobs[0] == Job('a', '/x/a.mp4', ('the cat; or so', 'b'), 12.0, None, 0.5)
    assert jobs[1].sentences == ('c',)


@pytest.mark.parametrize(
    ('name', 'text', 'says'),
    [
        ('a.csv', 'video,sentences\n', 'names no video'),
        ('a.csv', 'film,sentences\na,b\n', "'film', which is not of video, sentences"),
        ('a.csv', 'video\na\n', "no 'sentences'"),
        ('a.csv', 'video,sentences\na,\n', 'line 2 has no sentence'),
        ('a.csv', 'video,sentences\n,a\n', 'line 2 has no video'),
        ('a.csv', 'video,sentences\na,b,c\n', 'line 2 has more fields'),
        ('a.csv', 'video,video,sentences\na,b,c\n', "the column 'video' twice"),
        ('a.csv', 'video,sentences,fps\na,b,fast\n', "fps is 'fast'"),
        ('a.csv', 'video,sentences,max_frames\na,b,0\n', 'max_frames must be above 0'),
        ('a.csv', f'video,sentences,max_frames\na,b,{"9" * 400}\n', 'max_frames is .*, not a whole number'),
        ('a.jsonl', '{"video": "a", "sentences": ["b"], "max_frames": 2.5}', 'max_frames is 2.5, not a whole number'),
        ('a.jsonl', '{"video": "a", "sentences": ["b"], "fps": true}', 'fps is True, not a number'),
        ('a.csv', 'video,sentences,score_threshold\na,b,32\n', 'line 2: score_threshold is a score'),
        ('a.jsonl', '{"video": "a", "sentences": ["\\ud83d"]}', 'line 1: Sentence 1 has a character'),
        ('a.jsonl', '{"video": "\\ud83d", "sentences": ["b"]}', 'line 1: the name of the video is no text'),
        (
            'a.jsonl',
            '{"video": "a", "sentences": ["' + 'b' * 20_000 + '"]}',
            'line 1: Sentence 1 has 20,000 characters',
        ),
        ('a.jsonl', '{"video": "a"', 'line 1 is not json'),
        ('a.jsonl', '["a"]', 'line 1 is a list'),
        ('a.jsonl', '{"video": "a", "sentences": [3]}', 'not a string'),
        ('a.txt', 'a', 'must end in .csv or .jsonl'),
    ],
)
def test_what_is_wrong_is_said(name, text, says, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=says):
        read_manifest(tmp_path / name)


def test_every_job_has_one_machine():
    jobs = [Job(str(n), '', ('a',)) for n in range(10)]
    shares = [shard(jobs, index, 3) for index in range(3)]
    assert sorted(job.name for share in shares for job in share) == [job.name for job in jobs]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    with pytest.raises(InputError, match='no share 3 of 3'):
        shard(jobs, 3, 3)


@pytest.mark.parametrize(
    ('environment', 'expected'),
    [
        ({}, (0, 1)),
        (
            dict(
                SLURM_ARRAY_TASK_ID='7', SLURM_ARRAY_TASK_MIN='1', SLURM_ARRAY_TASK_COUNT='4', SLURM_ARRAY_TASK_STEP='2'
            ),
            (3, 4),
        ),
        (dict(SLURM_ARRAY_TASK_ID='2', SLURM_ARRAY_TASK_COUNT='4', RANK='0', WORLD_SIZE='1'), (2, 4)),
        (dict(RANK='1', WORLD_SIZE='2'), (1, 2)),
    ],
)
def test_the_share_of_the_environment(environment, expected):
    assert shard_from_environment(environment) == expected


def test_a_missing_manifest():
    with pytest.raises(FileNotFoundError, match='No such manifest'):
        read_manifest(Path('none.csv'))
