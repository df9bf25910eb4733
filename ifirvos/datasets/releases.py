"""Published counts of the data sets, to recognise a release. They are never enforced."""

from collections.abc import Mapping

# split -> name of the release -> counts
Releases = Mapping[str, Mapping[str, Mapping[str, int]]]

REF_YOUTUBE_VOS: Releases = {
    # Seo et al., URVOS, ECCV 2020, table 1.
    'train': {'the official training set': dict(videos=3471, expressions=12913)},
    'valid': {
        # What is left without the videos of the test set (ReferFormer, inference_ytvos.py); 834 as papers give it.
        'the official validation set': dict(videos=202, expressions=834),
        # Seo et al., table 1.
        'the first release: the validation set together with the test set': dict(videos=507, expressions=2096),
    },
    # 507 - 202 (ReferFormer, inference_ytvos.py).
    'test': {'the official test set': dict(videos=305)},
}
REF_DAVIS17: Releases = {
    # Videos: Pont-Tuset et al., The 2017 DAVIS Challenge, table 1. Annotators: Khoreva et al., ACCV 2018, section 4:
    # two people, each from the first frame and from the whole video.
    'train': {'Ref-DAVIS17, training set': dict(videos=60, annotators=4)},
    'valid': {'Ref-DAVIS17, validation set': dict(videos=30, annotators=4)},
}
# Gavrilyuk et al., CVPR 2018, section 4.1.
A2D_SENTENCES: Releases = {
    'train': {'A2D-Sentences, training set': dict(videos=3017)},
    'test': {'A2D-Sentences, test set': dict(videos=737)},
}
# Videos: Gavrilyuk et al., section 4.1. Samples: three frames per video, MTTR's list (github.com/mttr2021/MTTR).
JHMDB_SENTENCES: Releases = {'test': {'JHMDB-Sentences with three frames a video': dict(videos=928, samples=3 * 928)}}
# Expressions: of the splits by UNC and UMD, as papers since Yu et al., MAttNet, CVPR 2018 give them. Pictures: the
# catalogue of TensorFlow Datasets, ref_coco.
REFCOCO: Releases = {
    'train': {'RefCOCO (unc)': dict(pictures=16994, expressions=120624)},
    'val': {'RefCOCO (unc)': dict(pictures=1500, expressions=10834)},
    'testA': {'RefCOCO (unc)': dict(pictures=750, expressions=5657)},
    'testB': {'RefCOCO (unc)': dict(pictures=750, expressions=5095)},
}
REFCOCO_PLUS: Releases = {
    'train': {'RefCOCO+ (unc)': dict(pictures=16992, expressions=120191)},
    'val': {'RefCOCO+ (unc)': dict(pictures=1500, expressions=10758)},
    'testA': {'RefCOCO+ (unc)': dict(pictures=750, expressions=5726)},
    'testB': {'RefCOCO+ (unc)': dict(pictures=750, expressions=4889)},
}
REFCOCOG: Releases = {
    'train': {'RefCOCOg (umd)': dict(pictures=21899, expressions=80512)},
    'val': {'RefCOCOg (umd)': dict(pictures=1300, expressions=4896)},
    'test': {'RefCOCOg (umd)': dict(pictures=2600, expressions=9602)},
}
# The README of github.com/henghuiding/MeViS, of 2023 and 2025.
MEVIS: Releases = {
    'train': {
        'MeViS': dict(videos=1662, expressions=23051),
        'MeViS, second edition': dict(videos=1662, expressions=27502),
    },
    'valid_u': {
        'MeViS': dict(videos=50, expressions=793),
        'MeViS, second edition': dict(videos=50, expressions=907),
    },
    'valid': {
        'MeViS': dict(videos=140, expressions=2236),
        'MeViS, second edition': dict(videos=140, expressions=2523),
    },
}


def recognise(releases: Releases, split: str, counts: Mapping[str, int]) -> str | None:
    """Return the name of the release of a split that has these counts, or None; counts it does not know may be any."""
    for name, official in releases.get(split, {}).items():
        if all(counts.get(what) == count for what, count in official.items()):
            return name
    return None
