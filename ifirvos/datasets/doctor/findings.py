"""Findings of the doctor."""

from collections import defaultdict
from dataclasses import dataclass, field

# Kind of a finding -> whether training or evaluation would fail of it.
KINDS = {
    'not readable': True,
    'no expressions': True,
    'no masks': True,
    'missing frame': True,
    'unreadable frame': True,
    'frames of several sizes': True,
    'missing mask': True,
    'unreadable mask': True,
    'mask of another size': True,
    'nothing to learn': True,
    'object in no frame': False,
    'empty sentence': True,
    'sentence that is cut': False,
    'shared id': False,
    'counts': False,
}


@dataclass
class Findings:
    """Counts and problems of some records."""

    frames: int = 0
    masks: int = 0
    unknown: int = 0  # records whose masks are not there, or secret
    problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, text: str) -> None:
        """Add a problem, once."""
        if text not in self.problems[kind]:
            self.problems[kind].append(text)

    def merge(self, other: 'Findings') -> None:
        """Merge other findings."""
        self.frames += other.frames
        self.masks += other.masks
        self.unknown += other.unknown
        for kind, texts in other.problems.items():
            self.problems[kind] += texts
