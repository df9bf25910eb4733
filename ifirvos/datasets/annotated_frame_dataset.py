"""Base class of A2D-Sentences and JHMDB-Sentences: a sample is a sentence and one annotated frame of a video."""

import csv
import io
from collections.abc import Sequence

from ifirvos.errors import AnnotationError
from ifirvos.json_files import read_regular

from .base_rvos_dataset import BaseRVOSDataset


class AnnotatedFrameDataset(BaseRVOSDataset):
    """A data set with one record per sentence and annotated frame, in training and test mode.

    ``load_annotations`` sets the index of the frame as ``key_frame_id`` of every expression. The frames of a record
    have ``key_frame_flags``, from which model and metric get ``sample.key_frames_inds``; the other frames of the clip
    have no ``mask_path`` and are neither trained nor evaluated.

    Args:
        **kwargs: Arguments of :class:`BaseRVOSDataset`.
    """

    def __init__(self, *args, records: str = 'expression', **kwargs) -> None:
        super().__init__(*args, records=records, **kwargs)

    def key_frames(self, expression: dict) -> Sequence[int]:
        """Return the annotated frame."""
        return (expression['key_frame_id'],)

    def get_data_info(self, idx: int) -> dict:
        """See :meth:`BaseRVOSDataset.get_data_info`."""
        info = super().get_data_info(idx)
        for index, image in enumerate(info['images']):
            image['key_frame_flags'] = index == info['key_frame_id']
            if not image['key_frame_flags']:
                image['mask_path'] = None
        return info


def read_sentence_table(path: str, columns: Sequence[str]) -> list[list[str]]:
    """Read a table of sentences: comma-separated, with a header, the sentence last.

    Args:
        path: The file, utf-8 or latin-1.
        columns: Its header.

    Returns:
        Its rows. Commas of an unquoted sentence stay in the sentence, and a sentence may be empty.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the header is another, or a row is too short; names the line.
    """
    rows = read_rows(path)
    header, *rows = rows or [[]]
    if [name.strip() for name in header] != list(columns):
        raise ValueError(f'{path} starts with the columns {header}, not with {list(columns)}: is it the right file?')
    count = len(columns) - 1
    for number, row in enumerate(rows, 2):
        if len(row) <= count:
            raise ValueError(f'{path}: row {number} has {len(row)} columns of {len(columns)}: {row}.')
    return [[*(value.strip() for value in row[:count]), ','.join(row[count:])] for row in rows]


def read_rows(path: str) -> list[list[str]]:
    """Return the rows of a comma-separated file, utf-8 or latin-1, without empty lines.

    Raises:
        FileNotFoundError: If the file is missing.
    """
    content = read_regular(path, what='table (set data_root to the folder that holds it)')
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError:
        text = content.decode('latin-1')
    try:
        return [row for row in csv.reader(io.StringIO(text, newline='')) if row]
    except csv.Error as error:
        raise AnnotationError(f'{path} is no table of sentences: {error}.') from error
