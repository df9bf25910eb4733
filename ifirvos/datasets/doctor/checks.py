"""Check of a split: records, counts, sentences, every frame and mask."""

from collections import Counter
from collections.abc import Mapping

from tqdm import tqdm

from ifirvos.datasets import BaseRVOSDataset, releases
from ifirvos.datasets.base_rvos_dataset import records_by_video
from ifirvos.errors import one_line
from ifirvos.parallel import map_forked
from ifirvos.registry import DATASETS

from .data_set_kinds import Kind
from .examiner import Examiner
from .findings import KINDS, Findings


def build(kind: Kind, root: str, split: str) -> BaseRVOSDataset:
    """Return the data set as used in training (split train) or evaluation, with one record per expression."""
    options = dict(kind.options, **(dict(split=split) if kind.has_split else {}))
    # Not serialized: for that mmengine collects garbage, which takes longer than reading a small data set.
    options.update(records='expression', test_mode=split != 'train', serialize_data=False)
    return DATASETS.build(dict(type=kind.type, data_root=root, **options))


def count(dataset: BaseRVOSDataset, units: tuple[str, str]) -> dict[str, int]:
    """Return the counts to compare with the official ones."""
    counts = {units[0]: len(dataset.videos), units[1]: len(dataset.expressions) + dataset.num_left_out}
    annotators = {expression['annotator'] for expression in dataset.expressions if 'annotator' in expression}
    return counts | (dict(annotators=len(annotators)) if annotators else {})


def spell(counts: Mapping[str, int]) -> str:
    """Count as words."""
    return ', '.join(f'{number:,} {what}' for what, number in counts.items())


def name_release(kind: Kind, split: str, counts: dict[str, int], generated: dict | None, found: Findings) -> str:
    """Identify the release; add a finding if it is unknown."""
    if generated is not None:
        name = f'SynthRVOS (generator {generated["generator_version"]}, seed {generated["seed"]})'
        written = generated['splits'].get(split) if kind.type == 'SynthRVOSDataset' else None
        expected = None if written is None else dict(videos=written['clips'], expressions=written['expressions'])
        if expected not in (None, counts):
            found.add('counts', f'{spell(counts)}, but synth_rvos.json says {spell(expected)}')
        return name
    release = releases.recognise(kind.official, split, counts)
    if release is None:
        known = '; '.join(f'{name}: {spell(official)}' for name, official in kind.official.get(split, {}).items())
        found.add('counts', f'{spell(counts)}: no known release ({known or "none is known"})')
    return release or 'no known release'


# RoBERTa takes 512 tokens, two of which are its own; a word is one or more.
MOST_WORDS = 510


def check_sentences(dataset: BaseRVOSDataset, found: Findings) -> None:
    """Check for empty and very long sentences, and for records with the same ids."""
    ids = Counter((expression['video_id'], expression['exp_id']) for expression in dataset.expressions)
    for (video_id, exp_id), times in ids.items():
        if times > 1:
            found.add('shared id', f'expression {exp_id} of {video_id} is there {times} times: metrics count it once')
    for expression in dataset.expressions:
        if not expression['text']:
            found.add('empty sentence', f'expression {expression["exp_id"]} of {expression["video_id"]}')
        elif len(expression['text'].split()) > MOST_WORDS:
            found.add(
                'sentence that is cut',
                f'expression {expression["exp_id"]} of {expression["video_id"]} has '
                f'{len(expression["text"].split())} words: text encoders cut it',
            )


def check_split(
    kind: Kind, root: str, split: str, generated: dict | None, quick: bool = False, workers: int = 1
) -> dict:
    """Check a split; return ``ok``, ``release``, counts and ``problems`` by kind, for the json file."""
    found, release, counts, fit_nothing = Findings(), 'no known release', {}, 0
    try:
        dataset = build(kind, root, split)
    except Exception as error:  # whatever a reader raises is a finding, never the end of the doctor
        found.add('not readable', one_line(error))
    else:
        counts = count(dataset, kind.units)
        fit_nothing = dataset.num_left_out + sum(expression['obj_id'] == 0 for expression in dataset.expressions)
        release = name_release(kind, split, counts, generated, found)
        check_sentences(dataset, found)
        examiner = Examiner(dataset, kind, quick)
        parts = list(records_by_video(dataset.expressions).values())
        for part in tqdm(map_forked(examiner, parts, workers), split, len(parts), unit=kind.units[0][:-1]):
            found.merge(part)
        judge(split, len(dataset.expressions), found, kind.secret)
    problems = {name: found.problems[name] for name in KINDS if found.problems[name]}
    return dict(
        ok=not any(KINDS[name] for name in problems),
        release=release,
        counts=counts,
        fit_nothing=fit_nothing,
        frames=found.frames,
        masks=found.masks,
        without_masks=found.unknown,
        problems=problems,
    )


def judge(split: str, total: int, found: Findings, secret: bool = True) -> None:
    """Check what needs the whole split."""
    if not total:
        found.add('no expressions', 'the split has no expression')
    elif found.unknown and (
        split == 'train' or found.unknown < total or not secret
    ):  # all secret: the split is for submission
        found.add('no masks', f'{found.unknown} of {total} expressions have no masks')
    if split == 'train' and total and len(found.problems['object in no frame']) == total:
        found.add('nothing to learn', 'no expression shows its object in any frame')
