"""The data sets in whose layout SynthRVOS can be written, by the name that `make_synth_rvos.py --layout` takes."""

from .layout import Layout
from .ref_youtube_vos import REF_YOUTUBE_VOS

LAYOUTS: dict[str, Layout] = {
    'ref-youtube-vos': REF_YOUTUBE_VOS,
}

__all__ = ['LAYOUTS', 'Layout']
