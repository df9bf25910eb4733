"""Masks in the layouts of the Ref-YouTube-VOS and MeViS servers, and their check.

``Annotations/VIDEO/EXPRESSION/FRAME.png``: 8-bit grey, 0 or 255, of the original size, a file for every frame that the
expression file lists. In MeViS's zip (the guideline in its repository) the folders of the videos stand at the top.
"""

import io
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from ifirvos.errors import InputError, LimitError, OutputError
from ifirvos.files import make_folder, not_written, written_whole
from ifirvos.frame_sizes import most_pixels
from ifirvos.json_files import check_regular, read_regular
from ifirvos.safe_names import checked_name, shown

ROOT = 'Annotations'
ZIP_ROOTS = dict(ytvos=ROOT, mevis='')
_MASK_BYTES = 100_000_000  # of a file in a submission; a mask takes some kilobytes
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the same masks give the same zip

# Raised by Pillow, zipfile and zlib for a damaged image in a damaged zip.
_DAMAGE = (OSError, EOFError, SyntaxError, ValueError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile)

Expected = Mapping[tuple[str, str], Sequence[str]]  # (video, expression) -> names of its frames


def write_expression(
    out_dir: str | Path, video_id: str, exp_id: str, frames: Sequence[str], masks: Sequence[np.ndarray]
) -> Path:
    """Write the masks of one expression; its folder appears when it is complete, and replaces an earlier one.

    Args:
        out_dir: The folder that holds ``Annotations``.
        video_id: Name of the video's folder.
        exp_id: Name of the expression's folder.
        frames: (T,) names of the frames, without extension.
        masks: (T,) bool (H, W) each, at the size of the original frame.

    Returns:
        The folder.

    Raises:
        OutputError: a link is in the way, the disk is full, or the folder cannot be written to.
        ValueError: if an id cannot be a folder's name, or frames and masks differ in number.
    """
    if len(frames) != len(masks):
        raise ValueError(f'{video_id}/{exp_id}: {len(frames)} frames but {len(masks)} masks')
    for part in (video_id, exp_id, *frames):
        checked_name(part, 'part', f'{shown(video_id)}/{shown(exp_id)}')
    folder = Path(out_dir) / ROOT / video_id / exp_id
    for link in (folder.parent.parent, folder.parent, folder):
        if link.is_symlink():
            raise OutputError(f'{link} is a link: masks are not written through it. Remove it.')
    staged = None
    try:
        make_folder(folder.parent)
        # Not inside Annotations, so that leftovers of a killed process are not mistaken for an expression.
        staged = Path(tempfile.mkdtemp(prefix='.unfinished-', dir=out_dir))
        new = staged / 'new'
        new.mkdir()
        for frame, mask in zip(frames, masks, strict=True):
            Image.fromarray(np.asarray(mask, bool).astype(np.uint8) * 255).save(new / f'{frame}.png')
        if folder.exists():
            os.replace(folder, staged / 'old')  # removing it takes a while, in which it would be incomplete
        os.replace(new, folder)
        shutil.rmtree(staged, ignore_errors=True)
    except BaseException as error:
        if staged is not None:
            shutil.rmtree(staged, ignore_errors=True)
        if reason := not_written(error):
            raise OutputError(f'{folder} cannot be written: {reason}.') from error
        raise
    return folder


def is_written(out_dir: str | Path, video_id: str, exp_id: str, frames: Sequence[str]) -> bool:
    """Return whether an expression's folder holds the masks of exactly these frames."""
    folder = Path(out_dir) / ROOT / video_id / exp_id
    if not folder.is_dir():
        return False
    # Hidden files (.DS_Store, ._a.png) are made by file systems.
    names = {path.name for path in folder.iterdir() if not path.name.startswith('.')}
    return names == {f'{frame}.png' for frame in frames}


def missing_expressions(out_dir: str | Path, expected: Expected) -> list[tuple[str, str]]:
    """Return the (video, expression) pairs that are not written yet."""
    return [key for key, frames in expected.items() if not is_written(out_dir, *key, frames)]


def pack_submission(
    out_dir: str | Path,
    zip_path: str | Path,
    expressions: Collection[tuple[str, str]] | None = None,
    layout: str = 'ytvos',
) -> int:
    """Zip ``Annotations`` of a folder; the zip appears when it is complete.

    Args:
        out_dir: The folder that holds ``Annotations``.
        zip_path: The zip.
        expressions: The (video, expression) to pack; None: all that are there.
        layout: 'ytvos', or 'mevis': without ``Annotations``.

    Returns:
        The number of masks.

    Raises:
        FileNotFoundError: there are no masks.
    """
    root, zip_path = Path(out_dir) / ROOT, Path(zip_path)
    files = sorted(
        file
        for file in root.glob('[!.]*/[!.]*/[!.]*.png')
        if expressions is None or (file.parts[-3], file.parts[-2]) in expressions
    )
    if not files:
        raise FileNotFoundError(f'{root} holds no masks (VIDEO/EXPRESSION/FRAME.png) to put into {zip_path}')
    # PNGs are compressed already.
    with written_whole(zip_path) as part, zipfile.ZipFile(part, 'w', zipfile.ZIP_STORED) as archive:
        for file in files:
            entry = zipfile.ZipInfo((ZIP_ROOTS[layout] / file.relative_to(root)).as_posix(), date_time=_ZIP_TIME)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, file.read_bytes())
    return len(files)


def check_submission(
    path: str | Path,
    expected: Expected,
    sizes: Mapping[str, tuple[int, int]] | None = None,
    layout: str = 'ytvos',
) -> Iterator[str]:
    """Yield everything that a server would refuse, one sentence each.

    Args:
        path: The zip, or the folder that holds ``Annotations``; for MeViS also one that holds the videos' folders.
        expected: The frames of every (video, expression).
        sizes: (height, width) of the frames of every video; without it, masks of a video must be of one size.
        layout: 'ytvos', or 'mevis': in a zip without ``Annotations``.

    Raises:
        FileNotFoundError: there is nothing.
        InputError: it is neither a folder nor a zip.
    """
    path = Path(path)
    root = ROOT if (path / ROOT).is_dir() else ZIP_ROOTS[layout]
    wanted = {
        str(PurePosixPath(root, video, exp, f'{frame}.png')): video
        for (video, exp), names in expected.items()
        for frame in names
    }
    sizes = dict(sizes or {})
    with _Files(path) as files:
        for name in sorted(wanted.keys() - files.names):
            yield f'{name} is missing'
        for name in sorted(files.names - wanted.keys()):
            yield f'{name} does not belong there'
        for name in sorted(files.names & wanted.keys()):
            try:
                with Image.open(io.BytesIO(files.read(name))) as picture:
                    if picture.width * picture.height > most_pixels():
                        raise LimitError(f'{name} has {picture.width}x{picture.height} pixels')
                    mode, mask = picture.mode, np.asarray(picture)
            except LimitError as error:
                yield str(error)
                continue
            except Image.DecompressionBombError:
                yield f'{name} has far too many pixels'
                continue
            # RuntimeError: a password; NotImplementedError: a compression that zipfile does not know.
            except _DAMAGE as error:
                yield f'{name} cannot be read as a picture ({type(error).__name__})'
                continue
            size = sizes.setdefault(wanted[name], mask.shape[:2])
            if mode != 'L':
                yield f'{name} is a {mode} picture: it must be 8-bit grey'
            elif mask.shape != tuple(size):
                yield f'{name} is {mask.shape[1]}x{mask.shape[0]}: it must be {size[1]}x{size[0]}'
            elif not np.isin(mask, (0, 255)).all():
                yield f'{name} holds values beside 0 and 255'


class _Files:
    """The files of a folder or a zip, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            check_regular(path, 'submission')  # a pipe would be waited for, a device read for ever
        try:
            self.archive = None if path.is_dir() else zipfile.ZipFile(path)
        except FileNotFoundError:
            raise
        # Raised by zipfile for damaged files.
        except _DAMAGE as error:
            raise InputError(f'{path} is neither a folder nor a zip: {error}.') from error
        if self.archive is None:
            self.names = {file.relative_to(path).as_posix() for file in path.rglob('*') if file.is_file()}
        else:
            self.names = {name for name in self.archive.namelist() if not name.endswith('/')}

    def read(self, name: str) -> bytes:
        if self.archive is None:
            return read_regular(self.path / name, _MASK_BYTES, 'mask')
        size = self.archive.getinfo(name).file_size
        if size > _MASK_BYTES:
            raise LimitError(f'{name} unpacks to {size:,} bytes')
        return self.archive.read(name)

    def __enter__(self) -> '_Files':
        return self

    def __exit__(self, *_) -> None:
        if self.archive is not None:
            self.archive.close()
