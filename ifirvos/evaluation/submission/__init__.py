"""Masks in the form that evaluation servers take."""

from .loop import SubmissionLoop
from .writer import SubmissionWriter

__all__ = ['SubmissionLoop', 'SubmissionWriter']
