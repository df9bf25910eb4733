"""The layouts of SynthRVOS, by their names for `make_synth_rvos.py --layout`."""

from .a2d_sentences import A2D_SENTENCES
from .jhmdb_sentences import JHMDB_SENTENCES
from .layout import Layout
from .mevis import MEVIS
from .ref_davis17 import REF_DAVIS17, REF_DAVIS17_CONVERTED
from .ref_youtube_vos import REF_YOUTUBE_VOS
from .refcoco import REFCOCO

LAYOUTS: dict[str, Layout] = {
    'ref-youtube-vos': REF_YOUTUBE_VOS,
    'ref-davis17': REF_DAVIS17,
    'ref-davis17-converted': REF_DAVIS17_CONVERTED,
    'mevis': MEVIS,
    'a2d-sentences': A2D_SENTENCES,
    'jhmdb-sentences': JHMDB_SENTENCES,
    'refcoco': REFCOCO,
}

__all__ = ['LAYOUTS', 'Layout']
