"""Changed inputs: json with a part of another kind in it, bytes with flips, cuts and repeats; all by a seed."""

import copy
import os
import random
import select
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any

from faults import in_child

from ifirvos.errors import UserError

ODD = [
    None,
    True,
    0,
    -1,
    2**31,
    10**30,
    1e308,
    float('nan'),
    float('inf'),
    '',
    '.',
    '..',
    '../../x',
    '/etc',
    'a\0b',
    'x' * 300,
    '\ud800',
    '\u202e',
    'Ünï',
    [],
    {},
    [[]],
    [None],
    {'a': {}},
    [1e300, -1e300, 3, 4, 5, 6],
    {'size': [10**9, 10**9], 'counts': 'abc'},
    {'size': [4, 4], 'counts': [-1, 17]},
]


def places(node: Any, path: tuple = ()) -> Iterable[tuple]:
    """Every place below a node of json, the node itself first."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def changed_json(content: Any, seed: int) -> Any:
    """The content with one to three places replaced by something odd, removed, or doubled."""
    draw = random.Random(seed)
    content = copy.deepcopy(content)
    for _ in range(draw.randint(1, 3)):
        path = draw.choice(list(places(content)))
        if not path:
            if draw.random() < 0.1:
                return copy.deepcopy(draw.choice(ODD))
            continue
        *above, last = path
        parent = content
        for key in above:
            parent = parent[key]
        kind = draw.random()
        if kind < 0.7:
            parent[last] = copy.deepcopy(draw.choice(ODD))
        elif kind < 0.85:
            del parent[last]
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
        else:
            parent[str(draw.choice(ODD))] = parent.pop(last)
    return content


def changed_bytes(content: bytes, seed: int) -> bytes:
    """The bytes with a few of them flipped, a part cut out, zeroed, repeated, or the end missing."""
    draw = random.Random(seed)
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        if not data:
            break
        start = draw.randrange(len(data))
        stop = min(len(data), start + draw.choice([1, 2, 4, 8, 64, 500]))
        kind = draw.randrange(6)
        if kind == 0:
            data[start:stop] = draw.randbytes(stop - start)
        elif kind == 1:
            del data[start:stop]
        elif kind == 2:
            data[start:stop] = bytes(stop - start)
        elif kind == 3:
            data[start:start] = data[start:stop]
        elif kind == 4:
            data[start] ^= 1 << draw.randrange(8)
        else:
            del data[draw.choice([start, len(data) // 2, max(0, len(data) - 3)]) :]
    return bytes(data)


def is_answered(read: Callable[[], object]) -> bool:
    """Return whether something was read; False where one of our errors said why not. Other errors pass through."""
    try:
        read()
    except UserError as error:
        said = str(error)
    else:
        return True
    assert said.strip(), 'an error says something'
    return False


def run_all(try_one: Callable[[int], object], seeds: Iterable[int], seconds: float, each: float = 20) -> dict[str, int]:
    """Try seeds in a forked child, for native code may crash or hang: how many were read, refused, and tried.

    Args:
        try_one: Takes a seed; returns whether something was read; an exception is a finding.
        seeds: In order.
        seconds: Stop after so many.
        each: A seed that takes longer is one that hangs.

    Raises:
        AssertionError: Names the seed and what became of it.
    """
    reading, writing = os.pipe()

    def work() -> None:
        os.close(reading)
        end = time.monotonic() + seconds
        for seed in seeds:
            if time.monotonic() > end:
                break
            os.write(writing, f'{seed} '.encode())
            try:
                answer = 'read' if try_one(seed) else 'refused'
            except BaseException as error:
                answer = f'{type(error).__module__}.{type(error).__name__}: {error}'.replace('\n', ' ')[:2000]
            os.write(writing, f'{answer}\n'.encode(errors='replace'))
        os.write(writing, b'end')

    child = in_child(work)
    os.close(writing)
    told = b''
    try:
        while select.select([reading], [], [], each)[0] and (block := os.read(reading, 1 << 16)):
            told += block
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    *lines, last = told.decode(errors='replace').split('\n')
    assert last == 'end', f'seed {last}hangs or crashes (exit code {code})'
    answers = [line.partition(' ')[::2] for line in lines]
    found = [f'seed {seed}: {answer}' for seed, answer in answers if answer not in ('read', 'refused')]
    assert not found, f'{len(found)} findings: ' + '; '.join(found[:5])
    counts = [answer for _, answer in answers]
    return dict(tried=len(counts), read=counts.count('read'), refused=counts.count('refused'))
