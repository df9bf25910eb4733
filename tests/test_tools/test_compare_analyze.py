"""compare.py and analyze.py of tools/analysis_tools on a tiny SynthRVOS, with masks of files and of a checkpoint."""

import csv
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from PIL import Image

from ifirvos.evaluation.metrics.samples import union
from ifirvos.evaluation.submission.files import write_expression
from ifirvos.registry import DATASETS, METRICS, MODELS
from ifirvos.structures import frame_name
from ifirvos.testing import shrink, write_demo_dataset
from ifirvos.video.reader import VideoReader
from ifirvos.video.writer import video_suffix
from ifirvos_cli.common import reported

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def tools():
    """Both, imported as from a shell: the folder of the tools is on the path."""
    sys.path.insert(0, str(ROOT / 'tools/analysis_tools'))
    try:
        import analyze
        import compare

        yield compare, analyze
    finally:
        sys.path.remove(str(ROOT / 'tools/analysis_tools'))


@pytest.fixture(scope='module')
def compare(tools):
    return tools[0]


@pytest.fixture(scope='module')
def analyze(tools):
    return tools[1]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """A data set of one clip, its config, and what two runs leave: good masks, and masks moved in the last frames."""
    folder = tmp_path_factory.mktemp('compare')
    cfg = shrink(ROOT / 'configs/ifirvos/r18_synth.py')
    cfg.val_dataloader.dataset.data_root = str(write_demo_dataset(folder / 'data', num_clips=1))
    cfg.dump(folder / 'tiny.py')
    init_default_scope('mmdet')
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    for run, shift in (('good', 0), ('bad', 12)):
        evaluator = Evaluator(METRICS.build(dict(type='RVOSMetric', group_by='kind', out_dir=str(folder / run))))
        for number, item in enumerate(dataset):
            sample = item['data_samples']
            frames, masks = sample.video_data_samples, []
            for t, frame in enumerate(frames):
                masks.append(np.roll(union(frame.gt_instances.masks), shift * (t > 8) * (number > 0), axis=1))
                frame.pred_track_instances = InstanceData(masks=torch.from_numpy(masks[-1][None]).bool())
            names = [frame_name(frame) for frame in frames]
            write_expression(folder / run / 'masks', sample.video_id, sample.exp_id, names, masks)
            evaluator.process([sample])
        evaluator.evaluate(len(dataset))
    return folder


@pytest.fixture(scope='module')
def checkpoint(root):
    """A random model that carries its config, as mmengine's checkpoints do."""
    cfg = Config.fromfile(root / 'tiny.py')
    init_default_scope('mmdet')
    torch.manual_seed(0)
    path = root / 'random.pth'
    torch.save(dict(meta=dict(cfg=cfg.pretty_text), state_dict=MODELS.build(cfg.model).state_dict()), path)
    return path


def arguments(root, *runs, out, video='valid_00000', expression='1'):
    return [
        str(root / 'tiny.py'), *runs, '--video', video, '--expression', expression,
        '--out', str(out), '--split', 'val', '--frames', '3',
    ]  # fmt: skip


def test_compare_draws_figure_and_video(compare, root, checkpoint, tmp_path, capsys):
    out = tmp_path / 'out'
    runs = [f'good={root}/good/masks', f'bad={root}/bad/masks', f'net={checkpoint}']
    compare.main(arguments(root, *runs, out=out))
    printed = capsys.readouterr().out
    assert ' 100.0  J of good' in printed
    with open(root / 'bad/rvos_expressions.csv', encoding='utf-8') as file:
        row = next(row for row in csv.DictReader(file) if row['exp_id'] == '1')
    assert f'{float(row["J [%]"]):6.1f}  J of bad' in printed
    assert 0 < float(row['J [%]']) < 99
    assert row['text'] in printed
    with Image.open(out / 'valid_00000_1.png') as picture:
        assert picture.size[0] == 3 * 246 + 6
    frames = list(VideoReader(out / f'valid_00000_1{video_suffix()}'))
    assert len(frames) == 12
    assert frames[0].shape == (48, 4 * 72, 3)
    assert sorted(path.suffix for path in out.iterdir()) == sorted(['.png', video_suffix()])
    assert reported(lambda: compare.main(arguments(root, *runs, out=out))) == 2
    assert '--overwrite' in capsys.readouterr().err
    compare.main([*arguments(root, *runs, out=out), '--overwrite'])


def test_checkpoint_gives_the_masks_that_the_model_predicts(compare, root, checkpoint):
    clip = compare.load_clip(compare.open_dataset(root / 'tiny.py', 'val'), 'valid_00000', '0')
    assert clip.frames.shape == (12, 48, 72, 3), 'the original size, not the 64x96 of the network'
    with Image.open(root / 'data/valid/JPEGImages/valid_00000/00000.jpg') as picture:
        assert (clip.frames[0] == np.asarray(picture)).mean() > 0.99, 'RGB'
    masks = compare.Run(f'{root / "tiny.py"},{checkpoint}').masks(clip)

    cfg = Config.fromfile(root / 'tiny.py')
    item = next(iter(DATASETS.build(cfg.val_dataloader.dataset)))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.eval()
    with torch.no_grad():
        (sample,) = model.test_step(dict(inputs=[item['inputs']], data_samples=[item['data_samples']]))
    expected = np.stack([frame.pred_track_instances.masks[0].numpy() for frame in sample])
    assert masks.any()
    assert not masks.all()
    assert (masks == expected).mean() > 0.999


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(video='v'), "no video 'v'.*valid_00000"),
        (dict(expression='999'), "no expression '999'.*it has 0, 1"),
        (dict(runs=['nowhere']), 'nowhere is neither'),
        (dict(runs=['data']), r'00000\.png'),
    ],
)
def test_compare_says_what_is_wrong(compare, root, tmp_path, capsys, change, message):
    runs = [str(root / run) for run in change.pop('runs', ['good/masks'])]
    assert reported(lambda: compare.main(arguments(root, *runs, out=tmp_path / 'out', **change))) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not (tmp_path / 'out').exists()


def test_analyze_lists_and_draws(analyze, root, tmp_path, capsys):
    out = tmp_path / 'analysis'
    command = [f'good={root}/good', f'bad={root}/bad', '--out', str(out), '--top', '2', '--by', 'J']
    pictures = ['--config', str(root / 'tiny.py'), '--models', f'{root}/good/masks', f'{root}/bad/masks']
    analyze.main([*command, *pictures, '--split', 'val', '--frames', '3'])
    text = (out / 'analysis.md').read_text()
    assert capsys.readouterr().out.startswith(text)
    with open(out / 'expressions.csv', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    good, bad, difference = ([float(row[key]) for row in rows] for key in ('good J [%]', 'bad J [%]', 'difference'))
    assert good == [100] * len(rows)
    assert bad[0] == 100, 'this one was not moved'
    np.testing.assert_allclose(difference, np.subtract(bad, good))
    order = np.argsort(difference, kind='stable')
    for title in ('good better than bad by most', 'Worst of bad'):
        section = text.split(f'## {title}')[1].split('##')[0]
        assert section.index(rows[order[0]]['text']) < section.index(rows[order[1]]['text'])
    assert rows[0]['text'] in text.split('## Best of bad')[1].split('##')[0]
    assert 'None.' in text.split('## bad better than good by most')[1].split('##')[0]
    mean = f'| all | 100.0 | {np.mean(bad):.1f} | {np.mean(difference):.1f} | {len(rows)} |'
    assert mean in text
    listed = {part.split(')')[0] for part in text.split('](pictures/')[1:]}
    assert listed == {path.name for path in (out / 'pictures').iterdir()}
    assert 0 < len(listed) <= 8
    assert reported(lambda: analyze.main(command)) == 2, 'it exists'


def test_one_run_without_pictures(analyze, root, tmp_path):
    out = tmp_path / 'a'
    with open(root / 'good/rvos_expressions.csv', encoding='utf-8') as file:
        kind = next(csv.DictReader(file))['group']
    analyze.main([str(root / 'good'), '--out', str(out), '--group', kind])
    text = (out / 'analysis.md').read_text()
    assert '## Worst of good' in text
    assert 'better than' not in text
    assert sorted(path.name for path in out.iterdir()) == ['analysis.md', 'expressions.csv']


def test_the_frame_of_most_interest_is_a_column(analyze):
    def scores(curve):
        return analyze.Scores('', {}, {('v', '0'): np.array(curve, float)})

    assert analyze.columns([scores([9, 8, 1, 9, 9, 9, 9, 9])], ('v', '0'), 3) == [2, 4, 7]
    assert analyze.columns([scores([9] * 8), scores([9] * 6 + [0, 9])], ('v', '0'), 3) == [0, 4, 6]
    assert analyze.columns([scores([5])], ('v', '0'), 3) == [0]


def test_sentences_cannot_break_a_table(analyze):
    assert analyze.table(['a'], [['x | <b>y\nz']]) == '| a |\n| --- |\n| x \\| &lt;b&gt;y z |'


def test_analyze_says_what_is_wrong(analyze, root, tmp_path, capsys):
    def fails(*command):
        assert reported(lambda: analyze.main([*command, '--out', str(tmp_path / 'out')])) == 2
        assert not (tmp_path / 'out').exists()
        return capsys.readouterr().err

    assert 'tools/test.py writes it' in fails(str(tmp_path))
    assert 'No expression is left' in fails(str(root / 'good'), '--group', 'colour')
    (tmp_path / 'rvos_expressions.csv').write_text('video_id,exp_id\nv,0\n')
    (tmp_path / 'rvos_frames.csv').write_text('video_id,exp_id,J [%]\nv,0,50\n')
    assert 'not what RVOSMetric writes' in fails(str(tmp_path))
    models = ['--config', str(root / 'tiny.py'), '--models', str(root / 'data'), '--split', 'val']
    assert '00000.png' in fails(str(root / 'good'), *models)
    with pytest.raises(SystemExit):
        analyze.parse_args(['a', 'b', '--out', 'x', '--config', 'c', '--models', 'm'])
