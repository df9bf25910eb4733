"""The error for boxes where masks are needed."""

from ifirvos.errors import InputError


def refuse_box(where: str) -> None:
    """Raise for a box instead of a mask.

    Raises:
        InputError: Always.
    """
    raise InputError(
        f'{where} has a box and no mask: draw masks or polygons, or take the boxes as masks with --boxes fill (the '
        'model then learns boxes).'
    )
