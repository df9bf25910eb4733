"""RVOSVisualizer: each part shows where it should, and every backend gets the picture."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import VISBACKENDS
from mmengine.structures import InstanceData
from mmengine.visualization import BaseVisBackend
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ifirvos.visualization import COLORS, PARTS, RVOSVisualizer, WordAttention

HEIGHT, WIDTH = 96, 128
IMAGE = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
TRUTH, FOUND = (slice(50, 70), slice(20, 40)), (slice(50, 70), slice(60, 90))


@VISBACKENDS.register_module(force=True)
class RecordingBackend(BaseVisBackend):
    """Keeps the pictures."""

    def __init__(self, save_dir=None):
        super().__init__(save_dir)
        self.images = []

    @property
    def experiment(self):
        return self

    def _init_env(self):
        pass

    def add_image(self, name, image, step=0, **kwargs):
        self.images.append((name, image, step))


def mask(where):
    out = np.zeros((HEIGHT, WIDTH), bool)
    out[where] = True
    return out


@pytest.fixture
def sample():
    frame = DetDataSample(metainfo=dict(ori_shape=(HEIGHT, WIDTH)))
    frame.gt_instances = InstanceData(masks=BitmapMasks([mask(TRUTH).astype(np.uint8)], HEIGHT, WIDTH))
    frame.pred_track_instances = InstanceData(
        masks=torch.from_numpy(mask(FOUND))[None],
        bboxes=torch.tensor([[55.0, 45, 95, 75]]),
        scores=torch.tensor([0.5]),
    )
    frame.pred_reference_points = InstanceData(points=torch.tensor([[10.0, 80], [110, 85]]))
    frame.pred_candidates = InstanceData(
        masks=torch.from_numpy(np.stack([mask(FOUND), mask((slice(75, 90), slice(100, 120)))])),
        bboxes=torch.tensor([[60.0, 50, 90, 70], [98, 73, 200, 92]]),  # the second leaves the picture
        scores=torch.tensor([0.5, 0.25]),
    )
    weights = np.zeros((2, 12, 16), np.float32)
    weights[1, 9:, 12:] = 0.75
    frame.word_attention = WordAttention(('red', 'star'), weights)
    return frame


def test_panels_of_truth_and_prediction(sample):
    drawn = RVOSVisualizer(parts=['mask']).draw_frame(IMAGE, sample, 'the star')
    assert drawn.shape == (HEIGHT, 2 * WIDTH, 3)
    truth, found = np.split(drawn, 2, axis=1)
    assert ((truth != IMAGE).any(2) == mask(TRUTH)).all()
    assert ((found != IMAGE).any(2) == mask(FOUND)).all()
    assert truth[60, 30].tolist() == [(100 + c) // 2 for c in COLORS[2]]
    assert found[60, 70].tolist() == [(100 + c) // 2 for c in COLORS[0]]


def changed(sample, *parts, **kwargs):
    """Where the prediction's panel differs from the picture."""
    drawn = RVOSVisualizer(parts=parts).draw_frame(IMAGE, sample, 'the star', draw_gt=False, **kwargs)
    return (drawn[:, :WIDTH] != IMAGE).any(2), drawn


def test_every_part_alone(sample):
    nothing, _ = changed(sample)
    assert not nothing.any()

    outline, _ = changed(sample, 'contour')
    assert outline[50, 75]
    assert not outline[60, 75]

    box, _ = changed(sample, 'box')
    assert box[45, 60:90].all()
    assert not box[47:73, 58:92].any()

    strip, text = changed(sample, 'text')
    _, score = changed(sample, 'score')
    assert not strip[20:].any()
    assert (text[:10, :60] != score[:10, :60]).any(), 'the sentence stands at the left'
    assert (text[:10, 100:] != score[:10, 100:]).any(), 'the score at the right'

    points, _ = changed(sample, 'reference_points')
    assert points[80, 10]
    assert points[85, 110]
    assert not points[40:70].any()

    candidates, _ = changed(sample, 'candidates')
    assert candidates[82, 100], 'the outline of the second candidate'
    assert candidates[73:92, 98].any(), 'and its box'
    assert not candidates[:40].any()


def test_attention_has_a_panel_a_word(sample):
    _, drawn = changed(sample, 'attention')
    assert drawn.shape == (HEIGHT, 3 * WIDTH, 3)
    star = drawn[:, 2 * WIDTH :].astype(int)
    hot, cold = star[90, 120], star[50, 20]
    assert hot[0] - hot[2] > 40, 'red where the word gets most'
    assert cold[2] - cold[0] > 40, 'blue where it gets least'
    _, one = changed(sample, 'attention')
    assert (
        RVOSVisualizer(parts=['attention'], max_words=1).draw_frame(IMAGE, sample, draw_gt=False).shape[1] == 2 * WIDTH
    )


def test_below_the_threshold_the_object_is_absent(sample):
    drawn, _ = changed(sample, 'mask', 'contour', 'box', pred_score_thr=0.6)
    assert not drawn[20:].any()
    assert drawn[:12].any(), 'it says so'
    assert changed(sample, 'mask', pred_score_thr=0.5)[0][60, 70]


def test_absent_and_unknown_truth(sample):
    sample.gt_instances = InstanceData(masks=BitmapMasks(np.zeros((0, HEIGHT, WIDTH), np.uint8), HEIGHT, WIDTH))
    drawn = RVOSVisualizer(parts=['mask']).draw_frame(IMAGE, sample)
    assert (drawn[:, :WIDTH] == IMAGE).all()
    sample.gt_instances = InstanceData()
    assert RVOSVisualizer().draw_frame(IMAGE, sample).shape[1] == WIDTH
    assert (RVOSVisualizer().draw_frame(IMAGE, None) == IMAGE).all()


@pytest.mark.parametrize('text', ['costs $5 and $6', 'x' * 5000, '<b>左</b>\n', ''])
def test_any_sentence(sample, text):
    """mmengine's draw_texts would take what stands between two dollars for a formula."""
    assert RVOSVisualizer(parts=PARTS).draw_frame(IMAGE, sample, text).shape == (HEIGHT, 4 * WIDTH, 3)


def test_every_backend_gets_it_and_the_local_one_makes_the_folders(sample, tmp_path):
    visualizer = RVOSVisualizer(
        vis_backends=[dict(type='LocalVisBackend'), dict(type='RecordingBackend')], save_dir=str(tmp_path)
    )
    visualizer.add_datasample('v/0/00003', IMAGE, sample, text='the star', step=7)
    ((name, image, step),) = visualizer.get_backend('RecordingBackend').images
    assert (name, step, image.shape) == ('v/0/00003', 7, (HEIGHT, 2 * WIDTH, 3))
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob('*.png')] == [
        'vis_data/vis_image/v/0/00003_7.png'
    ]
    assert (visualizer.get_image() == image).all()
    visualizer.add_datasample('v/0/4', IMAGE, sample, out_file=str(tmp_path / 'own' / 'x.png'))
    assert (tmp_path / 'own' / 'x.png').is_file()
    assert len(visualizer.get_backend('RecordingBackend').images) == 1, 'out_file is instead of the backends'


def test_tensorboard(sample, tmp_path):
    visualizer = RVOSVisualizer(vis_backends=[dict(type='TensorboardVisBackend')], save_dir=str(tmp_path))
    visualizer.add_datasample('v/0/00003', IMAGE, sample, step=7)
    visualizer.close()
    events = EventAccumulator(str(tmp_path / 'vis_data'))
    events.Reload()
    assert events.Tags()['images'] == ['v/0/00003']
    (event,) = events.Images('v/0/00003')
    assert (event.step, event.width, event.height) == (7, 2 * WIDTH, HEIGHT)


def test_wandb_without_a_server(sample, tmp_path, monkeypatch):
    pytest.importorskip('wandb', reason='wandb is not installed')
    monkeypatch.setenv('WANDB_MODE', 'offline')
    visualizer = RVOSVisualizer(vis_backends=[dict(type='WandbVisBackend')], save_dir=str(tmp_path))
    visualizer.add_datasample('v/0/00003', IMAGE, sample, step=7)
    visualizer.close()
    assert len(list(tmp_path.rglob('media/images/v/0/00003*.png'))) == 1


def test_unknown_part_is_refused():
    with pytest.raises(ValueError, match=r"not \['maks'\]"):
        RVOSVisualizer(parts=['maks'])
