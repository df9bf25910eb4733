"""Names of result folders."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ifirvos.names import slug, unique_slugs

RESERVED = {'con', 'prn', 'aux', 'nul'} | {f'{port}{n}' for port in ('com', 'lpt') for n in range(10)}


SENTENCES = st.lists(
    st.one_of(
        st.text(max_size=300), st.sampled_from(['../../etc', 'CON', 'nul', 'a b', 'A-B', 'a-2', '', '.', 'x' * 200])
    ),
    max_size=12,
)


@given(SENTENCES)
def test_names_are_safe_and_unique(texts):
    names = unique_slugs(texts)
    assert len(set(names)) == len(names) == len(texts)
    for name in names:
        assert re.fullmatch(r'[a-z0-9]+(-[a-z0-9]+)*', name), 'no separators, no dots, nothing to strip'
        assert len(name) <= 60
        assert name not in RESERVED


def test_names_can_be_read():
    assert slug('The dog, LEFT of the Käfer!') == 'the-dog-left-of-the-kafer'
    assert slug('../../etc/passwd') == 'etc-passwd'
    assert slug('左边的狗') == 'sentence'
    assert unique_slugs(['a b', 'a-b', 'c', 'A b']) == ['a-b', 'a-b-2', 'c', 'a-b-3']
