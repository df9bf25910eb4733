"""Evaluates unusual sentences: unknown words, typos, upper case, other word orders.

    python tools/analysis_tools/odd_sentences.py [--config CONFIG --weights WEIGHTS] [--clips N] [--out FILE.csv]

For every kind of sentence, in percent: J of the object, the share of clips with the same answer as for "the red star"
(IoU of the masks above 0.5), the clip's score, and the share of clips in which it is below the threshold of the model,
so that the object counts as absent. Without --config and --weights the default model is used.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


from ifirvos_cli.common import main_of, output_path, positive_int, tool_arguments


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config', help='a config file or a name of model-index.yml')
    parser.add_argument('--weights', help='a checkpoint')
    parser.add_argument('--clips', type=positive_int, default=40, help='number of clips')
    parser.add_argument('--frames', type=positive_int, default=12, help='frames per clip')
    parser.add_argument('--out', type=output_path, help='a csv file to write the table to')
    parser.add_argument('--device', help="'cpu', 'cuda:1' and so on")
    return parser.parse_args(argv)


if __name__ == '__main__':
    parse_args(tool_arguments())  # so that --help and a wrong option answer before the slow imports

import numpy as np
from tqdm import tqdm

from ifirvos import RVOSInferencer
from ifirvos.evaluation.functional import region_similarity
from ifirvos.files import check_file, csv_text, write_whole
from ifirvos.inference.absence import clip_threshold_of
from ifirvos.synth import Clip, draw_frames, make_clip
from ifirvos.synth.predicates import Noun, referent

FIRST_CLIP = 300_000  # of the split 'valid': no data set holds so many
OTHER_COLOUR = dict(
    red='crimson', orange='tangerine', yellow='golden', green='emerald', cyan='turquoise', blue='azure', pink='rosy'
)
OTHER_SHAPE = dict(circle='ball', square='box', triangle='wedge', star='asterisk', cross='plus')
PLAIN = 'plain'
# How to ask for the colour c and the shape s.
WAYS: dict[str, Callable[[str, str], str]] = {
    PLAIN: lambda c, s: f'the {c} {s}',
    'upper case': lambda c, s: f'THE {c} {s}'.upper(),
    'capitals and a full stop': lambda c, s: f'The {c.title()} {s.title()}.',
    'noun first': lambda c, s: f'{s} {c}',
    'backwards': lambda c, s: f'{s} {c} the',
    'commas': lambda c, s: f'{s}, {c}',
    'no space': lambda c, s: f'the{c}{s}',
    'letter missing in the colour': lambda c, s: f'the {c[0]}{c[2:]} {s}',
    'letters swapped in the shape': lambda c, s: f'the {c} {s[0]}{s[2]}{s[1]}{s[3:]}',
    'typo in another word': lambda c, s: f'teh {c} {s}',
    'unknown adjective': lambda c, s: f'the shiny {c} {s}',
    'unknown colour': lambda c, s: f'the {OTHER_COLOUR[c]} {s}',
    'unknown shape': lambda c, s: f'the {c} {OTHER_SHAPE[s]}',
    'both unknown': lambda c, s: f'the {OTHER_COLOUR[c]} {OTHER_SHAPE[s]}',
    'a request': lambda c, s: f'please segment the {c} {s} for me',
    'a question': lambda c, s: f'where is the {c} {s}?',
    'plural': lambda c, s: f'the {c} {s}s',
    'negation': lambda c, s: f'everything but the {c} {s}',
    'long-winded': lambda c, s: (
        f'i have been looking at this video for quite a while and what i would like to see is the {c} {s} and only that'
    ),
    'emoji and symbols': lambda c, s: f'>>> {c} {s} \N{LARGE RED CIRCLE} !!',
    'something else': lambda c, s: 'a dog on a skateboard',
}


COLUMNS = ('J', 'same', 'score', 'refused')


def targets(number: int, num_frames: int) -> list[tuple[Clip, Noun, int]]:
    """Return so many clips, each with a noun of colour and shape that fits one object, and the id of that."""
    found, index = [], FIRST_CLIP
    while len(found) < number:
        clip = make_clip(0, 'valid', index, num_frames=num_frames)
        index += 1
        for thing in clip.facts.scene.objects:
            noun = Noun.of(thing.appearance, ('colour', 'shape'))
            place = referent(noun, clip.facts)
            if place is not None:
                found.append((clip, noun, place + 1))
                break
    return found


def table(inferencer: RVOSInferencer, clips: list[tuple[Clip, Noun, int]]) -> list[dict]:
    """Return a row for every way of asking."""
    seen, threshold = {way: [] for way in WAYS}, clip_threshold_of(inferencer.model_name)
    for clip, noun, object_id in tqdm(clips, unit='clip'):
        frames = draw_frames(clip.facts.scene)[..., ::-1]
        texts = [ask(noun.colour, noun.shape) for ask in WAYS.values()]
        results = dict(zip(WAYS, inferencer(np.ascontiguousarray(frames), texts), strict=True))
        truth = clip.facts.labels == object_id
        for way, result in results.items():
            same = region_similarity(results[PLAIN].masks, result.masks).mean() > 0.5
            score = result.clip_score
            refused = np.nan if threshold is None else score < threshold
            seen[way].append((region_similarity(truth, result.masks).mean(), same, score, refused))
    return [
        dict(way=way, example=ask('red', 'star'), **dict(zip(COLUMNS, means, strict=True)))
        for way, ask in WAYS.items()
        for means in [(100 * np.mean(seen[way], axis=0)).round(1).tolist()]
    ]


def main(argv: list[str] | None = None) -> list[dict]:
    """Run the command line; return the rows."""
    args = parse_args(argv)
    if args.out:
        check_file(args.out)
    inferencer = RVOSInferencer(args.config, args.weights, args.device, show_progress=False, dtype='fp32')
    rows = table(inferencer, targets(args.clips, args.frames))
    print('| sentence | example | J | same answer | score | refused |\n| --- | --- | --- | --- | --- | --- |')
    for row in rows:
        print(f'| {row["way"]} | {row["example"]} | {" | ".join(str(row[name]) for name in COLUMNS)} |')
    if args.out:
        write_whole(args.out, csv_text(rows))
    return rows


if __name__ == '__main__':
    sys.exit(main_of(main))
