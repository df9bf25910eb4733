"""Masks in the format of evaluation servers."""

from .loop import SubmissionLoop
from .writer import SubmissionWriter

__all__ = ['SubmissionLoop', 'SubmissionWriter']
