"""Every tool with files, options and output folders that are none: one line that says so, exit code 2, nothing written.

Each tool is given a command that would work, in which one thing is wrong at a time.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from ifirvos.registry import MODELS
from ifirvos.testing import shrink, write_demo_dataset
from ifirvos.video.writer import VideoWriter
from ifirvos_cli.common import reported

pytestmark = pytest.mark.usefixtures('process_state')
ROOT = Path(__file__).resolve().parents[2]
VIDEO = 'valid_00000'
# Tool -> a command that works; what stands in braces is of the world below.
GOOD = {
    'ifirvos_cli.train': '{config} --work-dir {out}',
    'ifirvos_cli.test': '{config} {weights} --work-dir {out}',
    'ifirvos_cli.infer': '{clip} star --out {out} --weights {weights}',
    'ifirvos_cli.demo': '--video {clip} --text star --out {out} --weights {weights}',
    'ifirvos_cli.synth': '--out {out} --splits train --train 1 --workers 0',
    'ifirvos_cli.doctor': 'synth-rvos {data} --out {out_file} --workers 1',
    'dataset_converters/custom_to_rvos': '{annotations} --frames {frames} --out {out}',
    'model_converters/publish_model': '{weights} {config} {out_file}',
    'model_converters/referformer_to_ifirvos': '{official} {out_file} --config {config}',
    'analysis_tools/compare': f'{{config}} {{masks}} --video {VIDEO} --expression 0 --out {{out}} --split val',
    'analysis_tools/analyze': '{scores} --out {out}',
    'analysis_tools/probe': '{config} {weights} --out {out_file}',
    'analysis_tools/eval_masks': '{config} {masks} --out {out} --split val --workers 1',
    'analysis_tools/browse_dataset': '{config} --output-dir {out} --not-show --phase val --show-number 1',
    'analysis_tools/ablate': '{config} --stages {config} --out {out}',
    'analysis_tools/odd_sentences': '--config {config} --weights {weights} --clips 1 --frames 2 --out {out_file}',
    'check_submission': '{submission} --expressions {expressions} --frames {jpegs}',
    'dataset_converters/refcoco_to_json': '{refcoco}',
    'deployment/export_onnx': '--weights {weights} --out {out_file} --size 48 72',
}


def load_tool(name):
    if name.startswith('ifirvos_cli'):
        return importlib.import_module(name)
    path = ROOT / 'tools' / f'{name}.py'
    sys.path.insert(0, str(path.parent))  # analyze.py imports compare.py
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Name -> file or folder that is as it should be."""
    folder = tmp_path_factory.mktemp('world')
    data = write_demo_dataset(folder / 'data', num_clips=1)
    cfg = shrink(ROOT / 'configs/ifirvos/r18_synth.py')
    cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.datasets[0]
    for dataset in (cfg.train_dataloader, cfg.val_dataloader, *cfg.test_dataloader.dataset.datasets):
        dataset.get('dataset', dataset).data_root = str(data)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.load_from = None
    cfg.train_cfg.update(max_iters=1, val_interval=1)
    cfg.dump(folder / 'tiny.py')
    init_default_scope('mmdet')
    text = Config.fromfile(folder / 'tiny.py').pretty_text
    state = MODELS.build(cfg.model).state_dict()
    torch.save(dict(meta=dict(config_text=text), state_dict=state), folder / 'w.pth')
    with VideoWriter(folder / 'clip.mp4', 10) as writer:
        for _ in range(2):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    for run in ('masks/0', 'frames'):
        (folder / run).mkdir(parents=True)
    (folder / 'scores').mkdir()
    (folder / 'scores/rvos_expressions.csv').write_text(
        'video_id,exp_id,group,text,J&F [%],J [%],F [%]\nv,0,a,star,50,50,50\n'
    )
    (folder / 'scores/rvos_frames.csv').write_text('video_id,exp_id,frame,J [%]\nv,0,00000,50\n')
    for number, frame in enumerate(sorted((data / 'valid/JPEGImages' / VIDEO).iterdir())):
        target = folder / f'masks/{VIDEO}/0'
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((48, 72), np.uint8)).save(target / f'{frame.stem}.png')
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / f'frames/{number:05d}.jpg')
    shapes = dict(size=[16, 16], counts=[0, 20, 236])
    tracks = dict(
        videos=[dict(id=1, width=16, height=16, file_names=[f'{n:05d}.jpg' for n in range(12)])],
        categories=[dict(id=1, name='star')],
        annotations=[dict(id=1, video_id=1, category_id=1, segmentations=[shapes] * 12)],
    )
    (folder / 'annotations.json').write_text(json.dumps(tracks))
    torch.save(dict(model={'transformer.level_embed': torch.zeros(4, 8)}), folder / 'official.pth')
    (folder / 'file').write_text('a file')
    (folder / 'refcoco/refcoco').mkdir(parents=True)
    image = dict(id=9, file_name='a.jpg', height=4, width=6)
    shape = dict(id=51, image_id=9, segmentation=[[0, 0, 2, 0, 2, 2]], area=2.0, iscrowd=0, bbox=[0, 0, 2, 2])
    instances = dict(images=[image], annotations=[dict(shape, category_id=1)], categories=[dict(id=1, name='cat')])
    (folder / 'refcoco/refcoco/instances.json').write_text(json.dumps(instances))
    ref = dict(ref_id=1, ann_id=51, image_id=9, split='train', sentences=[dict(sent='the left cat')])
    (folder / 'refcoco/refcoco/refs(unc).p').write_bytes(pickle.dumps([ref]))
    return dict(
        config=folder / 'tiny.py',
        weights=folder / 'w.pth',
        data=data,
        clip=folder / 'clip.mp4',
        masks=folder / 'masks',
        scores=folder / 'scores',
        frames=folder / 'frames',
        annotations=folder / 'annotations.json',
        official=folder / 'official.pth',
        submission=folder / 'masks',
        expressions=data / 'meta_expressions/valid/meta_expressions.json',
        jpegs=data / 'valid/JPEGImages',
        refcoco=folder / 'refcoco',
        file=folder / 'file',
    )


def outcome(module, arguments):
    """Run a tool in this process as its command line does; returns exit code, and what it wrote to stderr."""
    error = io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = reported(lambda: _number(module.main(arguments)), debug=False)
        except SystemExit as stop:
            code = stop.code
        except BaseException as raised:
            return f'{type(raised).__name__}: {raised}', error.getvalue()
    return code, error.getvalue()


def _number(result):
    return result if isinstance(result, int) else 0


def check(name, world, tmp_path, wrong):
    """Give a tool one wrong thing after another; all that is not one line with exit code 2 is reported together."""
    module, failures = load_tool(name), []
    tried = 0
    for number, (key, value, says) in enumerate(wrong):
        out = tmp_path / str(number)
        places = {**world, 'out': out, 'out_file': out / 'out.csv', key: value}
        if f'{{{key}}}' not in GOOD[name] and not key.startswith('--'):
            continue
        arguments = [part.format(**places) for part in GOOD[name].split()]
        if key.startswith('--'):
            arguments += [key, *value]
        tried += 1
        code, error = outcome(module, arguments)
        lines = [line for line in error.splitlines() if ': error: ' in line or line.startswith('error: ')]
        fine = code == 2 and len(lines) == 1 and 'Errno' not in error and 'Traceback' not in error
        left = out.exists() and name != 'ifirvos_cli.test'  # whose log stands in the work directory
        if not (fine and all(part in lines[0] for part in says)) or left:
            failures.append(f'{name} {key}={str(value)[:80]!r}: exit {code!r}, {error[-700:]!r}, left: {left}')
    assert tried
    assert not failures, f'{len(failures)} of {tried}:\n' + '\n'.join(failures)


@pytest.mark.parametrize('name', [name for name in GOOD if '{out' in GOOD[name]])
def test_places_that_cannot_be_written_to(name, world, tmp_path):
    file = world['file']
    wrong = [
        (key, place, says)
        for key in ('out', 'out_file')
        for place, says in [
            (file / 'sub', ['sub', 'is no folder']),
            (file / 'a/b', ['is no folder']),
            (tmp_path / ('x' * 300), ['too long']),
            (tmp_path / 'a' / ('x' * 300) / 'b', ['too long']),
            ('', ['is empty']),
        ]
    ]
    wrong.append(('out', file, [str(file)]))
    wrong.append(('out_file', tmp_path, [str(tmp_path), 'is a folder']))
    check(name, world, tmp_path / 'new', wrong)


SPOILT = {
    'missing': lambda path: None,
    'folder': lambda path: path.mkdir(),
    'empty': lambda path: path.touch(),
    'text': lambda path: path.write_text('hello\nyou'),
    'bytes': lambda path: path.write_bytes(bytes(range(256))),
    'list': lambda path: path.write_text('[1, 2]'),
    'open bracket': lambda path: path.write_text('{"a": [1, '),
}


def spoilt(folder, suffix, kinds=SPOILT):
    """Return one file of every kind."""
    folder.mkdir(parents=True)
    paths = []
    for number, (kind, make) in enumerate(kinds.items()):
        path = folder / f'{kind.replace(" ", "_")}{number}{suffix}'
        make(path)
        paths.append(path)
    return paths


def odd_weights(folder, whole):
    """Return checkpoints that are none, or of another model."""
    paths = spoilt(folder, '.pth')
    content = torch.load(whole, weights_only=True)
    state = content['state_dict']
    (folder / 'half.pth').write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    torch.save([1, 2], folder / 'tensors.pth')
    torch.save(dict(content, state_dict={}), folder / 'nothing.pth')
    torch.save(dict(content, state_dict=dict(list(state.items())[3:])), folder / 'lacks.pth')
    integers = {key: (9 * value).to(torch.int8) for key, value in state.items()}
    torch.save(dict(content, state_dict=integers), folder / 'int8.pth')
    return [*paths, *(folder / f'{name}.pth' for name in ('half', 'tensors', 'nothing', 'lacks', 'int8'))]


def odd_configs(folder):
    """Return configs that do not run, or say nothing that could be built."""
    paths = spoilt(folder, '.py')
    for name, text in dict(
        raises='raise ValueError("no")',
        number='model = 3',
        alone='model = dict(type="IFIRVOS")',
        unknown='model = dict(type="NoSuchModel")\nval_dataloader = test_dataloader = train_dataloader = 3',
        base='_base_ = "nowhere.py"',
    ).items():
        (folder / f'{name}.py').write_text(text)
        paths.append(folder / f'{name}.py')
    return paths


@pytest.mark.parametrize('name', [name for name in GOOD if '{config}' in GOOD[name]])
def test_configs_that_are_none(name, world, tmp_path):
    wrong = [
        ('config', path, [] if path.stem in ('alone', 'unknown') else [path.stem])
        for path in odd_configs(tmp_path / 'configs')
    ]
    check(name, world, tmp_path, wrong)


# Two Runners of one process that begin within a second get the same name.
@pytest.mark.filterwarnings('ignore:.*instance named of')
@pytest.mark.parametrize('name', [name for name in GOOD if '{weights}' in GOOD[name]])
def test_checkpoints_that_are_none(name, world, tmp_path):
    wrong = [('weights', path, [path.name]) for path in odd_weights(tmp_path / 'weights', world['weights'])]
    check(name, world, tmp_path, wrong)


def test_official_checkpoints_that_are_none(world, tmp_path):
    wrong = [('official', path, [path.name]) for path in odd_weights(tmp_path / 'weights', world['weights'])[:9]]
    check('model_converters/referformer_to_ifirvos', world, tmp_path, wrong)


def test_scores_that_are_none(world, tmp_path):
    wrong = [('scores', tmp_path / 'nowhere', ['nowhere']), ('scores', world['file'], ['rvos_expressions.csv'])]
    for name in ('rvos_expressions.csv', 'rvos_frames.csv'):
        for path in spoilt(tmp_path / name, '', {key: make for key, make in SPOILT.items() if key != 'open bracket'}):
            folder = tmp_path / 'runs' / name / path.name
            folder.mkdir(parents=True)
            for other in ('rvos_expressions.csv', 'rvos_frames.csv'):
                if other != name:
                    (folder / other).write_bytes((world['scores'] / other).read_bytes())
            if path.exists():
                path.rename(folder / name)
            wrong.append(('scores', folder, []))
    check('analysis_tools/analyze', world, tmp_path / 'new', wrong)


@pytest.mark.parametrize('name', ['analysis_tools/compare', 'analysis_tools/eval_masks'])
def test_masks_that_are_none(name, world, tmp_path):
    wrong = [('masks', tmp_path / 'nowhere', ['nowhere']), ('masks', world['file'], [str(world['file'])])]
    (tmp_path / 'nothing').mkdir()
    wrong.append(('masks', tmp_path / 'nothing', ['00000.png']))
    picture = next((world['masks'] / VIDEO / '0').iterdir()).read_bytes()
    kinds = {**SPOILT, 'half': lambda path: path.write_bytes(picture[: len(picture) // 2])}
    kinds['RGB'] = lambda path: Image.fromarray(np.zeros((48, 72, 3), np.uint8)).save(path, format='PNG')
    kinds['size'] = lambda path: Image.fromarray(np.zeros((4, 7), np.uint8)).save(path, format='PNG')
    for kind, make in kinds.items():
        folder = tmp_path / kind / VIDEO / '0'
        folder.mkdir(parents=True)
        for path in (world['masks'] / VIDEO / '0').iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / '00000.png').unlink()
        make(folder / '00000.png')
        wrong.append(('masks', tmp_path / kind, ['masks' if kind == 'size' else '00000.png']))
    check(name, world, tmp_path / 'new', wrong)


def test_annotations_that_are_none(world, tmp_path):
    wrong = [('annotations', path, []) for path in spoilt(tmp_path / 'annotations', '.json')]
    wrong += [('frames', path, []) for path in spoilt(tmp_path / 'frames', '.mp4')]
    check('dataset_converters/custom_to_rvos', world, tmp_path / 'new', wrong)


def test_submissions_that_are_none(world, tmp_path):
    zips = spoilt(tmp_path / 'zips', '.zip', {kind: make for kind, make in SPOILT.items() if kind != 'folder'})
    wrong = [('submission', path, [str(path)]) for path in zips]
    wrong += [('expressions', path, [str(path)]) for path in spoilt(tmp_path / 'expressions', '.json')]
    videos = ['"v": 3', '"../v": {}', '"v": {"frames": []}', '"v": {"frames": ["0"], "expressions": 3}']
    for number, video in enumerate(videos):
        path = tmp_path / f'{number}.json'
        path.write_text(f'{{"videos": {{{video}}}}}')
        wrong.append(('expressions', path, [str(path)]))
    for kind, make in SPOILT.items():
        folder = tmp_path / 'frames' / kind
        (folder / VIDEO).mkdir(parents=True)
        make(folder / VIDEO / '00000.jpg')
        wrong.append(('jpegs', folder, [f'{kind}/{VIDEO}/00000.jpg']))
    check('check_submission', world, tmp_path / 'new', wrong)


REFS = [
    [],
    [3],
    dict(no='list'),
    [dict(split='nowhere')],
    [dict(split='train')],
    *(
        [{**dict(ref_id=1, ann_id=51, image_id=9, split='train', sentences=[dict(sent='a cat')]), **changed}]
        for changed in [
            dict(ann_id=10**5000),
            dict(ref_id=10**5000, ann_id=3),
            dict(ref_id=10**5000, ann_id=[]),
            dict(split=10**5000),
            dict(sentences=3),
            dict(sentences=[dict(sent=10**5000)]),
            dict(sentences=[dict(sent='\ud800')]),
        ]
    ),
]


def test_refcoco_files_that_are_none(world, tmp_path):
    wrong = [('refcoco', tmp_path / 'nowhere', ['nowhere']), ('refcoco', world['file'], [str(world['file'])])]
    kinds = {f'refs {number}': pickle.dumps(refs) for number, refs in enumerate(REFS)}
    kinds = {kind: lambda path, content=content: path.write_bytes(content) for kind, content in kinds.items()}
    kinds['deep'] = lambda path: path.write_bytes(b'\x80\x02' + b']' * 100_000 + b'a' * 99_999 + b'.')
    for name, makes in (('refs(unc).p', {**SPOILT, **kinds}), ('instances.json', SPOILT)):
        for kind, make in makes.items():
            root = tmp_path / name / kind
            shutil.copytree(world['refcoco'], root)
            (root / 'refcoco' / name).unlink()
            make(root / 'refcoco' / name)
            wrong.append(('refcoco', root, []))
    check('dataset_converters/refcoco_to_json', world, tmp_path / 'new', wrong)
    assert not list(tmp_path.rglob('instances_refcoco_*'))
