"""RVOSVisualizationHook in a real test run and on batches by hand."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from ifirvos.registry import MODELS
from ifirvos.testing import demo_rvos_inputs, shrink, write_demo_dataset
from ifirvos.visualization import PARTS, RVOSVisualizationHook, explain

CONFIGS = Path(__file__).parents[2] / 'configs/ifirvos'


@pytest.fixture(scope='module')
def runner(tmp_path_factory) -> Runner:
    """r18_synth, shrunk, tested on one clip with the config's own hook, turned on."""
    folder = tmp_path_factory.mktemp('hook')
    cfg = shrink(CONFIGS / 'r18_synth.py')
    cfg.work_dir = str(folder / 'work')
    root = str(write_demo_dataset(folder / 'data', num_clips=1))
    cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.val_dataloader.dataset.data_root = root
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = cfg.param_scheduler = None
    cfg.test_dataloader = cfg.val_dataloader
    cfg.default_hooks.visualization.update(draw=True, interval=3, num_frames=2)
    cfg.visualizer.parts = PARTS
    cfg.load_from, cfg.custom_hooks = None, []
    runner = Runner.from_cfg(Config(cfg.to_dict()))
    runner.test()
    return runner


def drawn_by(runner: Runner) -> list[str]:
    root = Path(runner.work_dir) / runner.timestamp / 'vis_data' / 'vis_image'
    return sorted(path.relative_to(root).as_posix() for path in root.rglob('*.png'))


def test_every_third_expression_two_frames_each(runner):
    expressions = runner.test_dataloader.dataset.expressions
    chosen = expressions[::3]
    assert 1 < len(chosen) < len(expressions)
    names = runner.test_dataloader.dataset.videos[chosen[0]['video_id']]
    assert drawn_by(runner) == sorted(
        f'{e["video_id"]}/{e["exp_id"]}/{name}_0.png' for e in chosen for name in (names[0], names[-1])
    )


def test_the_pictures_hold_truth_prediction_and_a_panel_a_word(runner):
    root = Path(runner.work_dir) / runner.timestamp / 'vis_data' / 'vis_image'
    expression = runner.test_dataloader.dataset.expressions[0]
    path = root / expression['video_id'] / expression['exp_id']
    image = cv2.imread(str(next(path.iterdir())))
    height, width = 48, 72  # of write_demo_dataset
    assert image.shape == (height, width * (2 + min(8, len(expression['text'].split()))), 3)


def batch(texts=('the red circle', 'the blue square')):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(shrink(CONFIGS / 'r18_synth.py').model)
    model.eval()
    data = demo_rvos_inputs(len(texts), 3, (64, 96), original_scale=2, sentences=texts)
    for clip in data['data_samples']:
        for t, frame in enumerate(clip):
            frame.set_metainfo(dict(img_path=f'JPEGImages/v/{t:05d}.jpg'))
    inputs = data['inputs']
    prepared = model.data_preprocessor(dict(inputs=list(inputs), data_samples=data['data_samples']), False)
    with torch.no_grad():
        clips = model.predict(prepared['inputs'], prepared['data_samples'])
    return model, inputs, clips


def test_explain_adds_what_the_model_computes(tmp_path):
    model, inputs, clips = batch()
    clip = clips[0]
    before = [frame.pred_track_instances.masks.clone() for frame in clip]
    explain(model, inputs[0], clip, [0, 2], PARTS)
    assert 'pred_candidates' not in clip[1]
    assert 'word_attention' not in clip[1]
    assert clip[2].word_attention.words == ('the', 'red', 'circle')
    prepared = model.data_preprocessor(dict(inputs=[inputs[0]], data_samples=[clip]), False)
    with torch.no_grad():
        outputs = model(prepared['inputs'], prepared['data_samples'], mode='tensor')
    expected = outputs['reference_points'][0, 2] * torch.tensor([192.0, 128])
    torch.testing.assert_close(clip[2].pred_reference_points.points, expected)
    scores = outputs['cls_logits'][-1, 0, 2, :, 0].sigmoid()
    torch.testing.assert_close(clip[2].pred_candidates.scores, scores)
    assert clip[2].pred_candidates.masks.shape == (model.num_queries, 128, 192)
    assert not model.bbox_head.test_cfg['candidates'], 'the model is as it was'
    assert all((mask == frame.pred_track_instances.masks).all() for mask, frame in zip(before, clip))


def test_explain_costs_nothing_where_nothing_is_asked():
    explain(None, None, None, [0], ('mask', 'box'))


def call(hook, monkeypatch, rank=0):
    """Two batches of two expressions through the hook; returns the names that were drawn."""
    model, inputs, clips = batch()
    names, explained = [], []

    class Fake:
        parts = ('mask',)

        def add_datasample(self, name, image, sample, **kwargs):
            names.append((name, kwargs['step'], kwargs['text'], kwargs['draw_gt']))

    monkeypatch.setattr(Visualizer, 'get_current_instance', classmethod(lambda cls: Fake()))
    monkeypatch.setattr('ifirvos.visualization.hook.RVOSVisualizer', Fake)
    monkeypatch.setattr('ifirvos.visualization.hook.read_images', lambda frames, args: [None] * len(frames))
    monkeypatch.setattr('ifirvos.visualization.hook.explain', lambda *args: explained.append(args[1:3]))
    runner = SimpleNamespace(rank=rank, model=model, iter=5)
    hook.before_val_epoch(runner)
    for index in range(2):
        hook.after_val_iter(runner, index, dict(inputs=inputs), clips)
    assert all(any(x is frames and y is clip for x, y in zip(inputs, clips)) for frames, clip in explained)
    return names


def test_counts_expressions_over_batches_and_starts_again(monkeypatch):
    hook = RVOSVisualizationHook(draw=True, interval=3, num_frames=1, draw_gt=False)
    first = call(hook, monkeypatch)
    assert first == [('demo0/0/00001', 5, 'the red circle', False), ('demo1/0/00001', 5, 'the blue square', False)]
    assert call(hook, monkeypatch) == first


def test_draws_nothing_when_off_or_not_first_of_the_processes(monkeypatch):
    assert call(RVOSVisualizationHook(interval=1), monkeypatch) == []
    assert call(RVOSVisualizationHook(draw=True, interval=1), monkeypatch, rank=1) == []


def test_another_visualizer_is_refused_with_what_to_set(monkeypatch):
    monkeypatch.setattr(Visualizer, 'get_current_instance', classmethod(lambda cls: object()))
    model, inputs, clips = batch()
    hook = RVOSVisualizationHook(draw=True)
    with pytest.raises(TypeError, match='RVOSVisualizer'):
        hook.after_test_iter(SimpleNamespace(rank=0, model=model, iter=0), 0, dict(inputs=inputs), clips)


def test_only_predicted_frames_are_drawn(monkeypatch):
    """As in A2D-Sentences, where one frame of a clip is annotated."""
    model, inputs, clips = batch(['a dog'])
    for t in (0, 2):
        del clips[0][t].pred_track_instances
    names = []
    fake = SimpleNamespace(parts=(), add_datasample=lambda name, *args, **kwargs: names.append(name))
    monkeypatch.setattr(Visualizer, 'get_current_instance', classmethod(lambda cls: fake))
    monkeypatch.setattr('ifirvos.visualization.hook.RVOSVisualizer', SimpleNamespace)
    monkeypatch.setattr('ifirvos.visualization.hook.read_images', lambda frames, args: [None] * len(frames))
    hook = RVOSVisualizationHook(draw=True, num_frames=None)
    hook.after_test_iter(SimpleNamespace(rank=0, model=model, iter=0), 0, dict(inputs=inputs), clips)
    assert names == ['demo0/0/00001']


def test_refuses_an_interval_of_nothing():
    with pytest.raises(ValueError, match='at least 1'):
        RVOSVisualizationHook(interval=0)
