"""Graphs for other runtimes give what the model gives, for any number of frames."""

import json

import pytest
import torch
from mmengine.registry import DefaultScope

from ifirvos.errors import InputError
from ifirvos.inference.deployment import (
    INPUTS,
    OUTPUTS,
    ExportableRVOS,
    differences,
    example_inputs,
    export_onnx,
    export_program,
    pad_tokens,
)
from ifirvos.inference.preparation import prepare_for_inference
from ifirvos.inference.preprocessing import clip_sample
from ifirvos.registry import MODELS
from ifirvos.testing import shrink

SENTENCE = 'the red circle'


def tiny(config='ifirvos/r50_ytvos.py', **changes):
    torch.manual_seed(0)
    cfg = shrink(f'configs/{config}')
    cfg.merge_from_dict(changes)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    model.init_weights()
    return model.eval()


def clip_of(frames, text=SENTENCE, mask_size=None):
    """Frames RGB (T,3,H,W) as the test pipeline gives them to the preprocessor."""
    size = tuple(frames.shape[-2:])
    metas = [dict(img_shape=size, ori_shape=tuple(mask_size or size))] * len(frames)
    return dict(inputs=[frames.flip(1)], data_samples=[clip_sample(metas, text)])


def random_frames(number, size):
    return torch.randint(0, 256, (number, 3, *size), dtype=torch.uint8)


@pytest.mark.parametrize(
    ('config', 'changes', 'size', 'mask_size'),
    [
        ('ifirvos/r50_ytvos.py', {}, (64, 96), None),
        ('ifirvos/r50_ytvos.py', {}, (64, 96), (100, 150)),
        ('ifirvos/r18_synth_fine.py', {}, (60, 90), None),  # padded to multiples of 32
        ('referformer/r50_ytvos.py', {}, (64, 96), None),
        ('ifirvos/r50_ytvos.py', {'model.data_preprocessor.bgr_to_rgb': False}, (64, 96), None),
        ('ifirvos/r50_ytvos.py', {'model.decoder.layer_cfg.ifi_cfg.place': 'after'}, (64, 96), None),
        ('ifirvos/r50_ytvos.py', {'model.test_cfg.frame_chunk': 2}, (64, 96), None),
    ],
)
@torch.no_grad()
def test_the_function_of_tensors_is_the_prediction(config, changes, size, mask_size):
    model = tiny(config, **changes)
    frames = random_frames(5, size)
    data = model.data_preprocessor(clip_of(frames, mask_size=mask_size), False)
    (clip,) = model.predict(data['inputs'], data['data_samples'])
    masks, boxes, scores = ExportableRVOS(model, size, mask_size)(frames, *pad_tokens(model, SENTENCE, 20))
    height, width = mask_size or size
    assert masks.shape == (5, height, width)
    for t, frame in enumerate(clip.video_data_samples):
        found = frame.pred_track_instances
        assert (found.masks[0] == (masks[t] > 0)).float().mean() > 0.999
        torch.testing.assert_close(found.scores[0], scores[t], atol=1e-4, rtol=0)
        wanted = found.bboxes[0] / torch.tensor([width, height, width, height])
        torch.testing.assert_close(wanted, boxes[t], atol=1e-4, rtol=0)


@pytest.mark.slow
@torch.no_grad()
def test_torch_export_leaves_the_number_of_frames_free():
    model = tiny()
    program = export_program(model, (64, 96), words=8).module()
    function = ExportableRVOS(model, (64, 96))
    for number in (2, 3, 7):
        inputs = (random_frames(number, (64, 96)), *pad_tokens(model, SENTENCE, 8))
        for ours, theirs in zip(program(*inputs), function(*inputs), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('backbone', ['swin_t', 'video_swin_t'])
def test_windows_fix_the_number_of_frames(backbone):
    with pytest.raises(InputError, match='cannot be traced with a free number of frames'):
        export_program(tiny(f'referformer/{backbone}_ytvos.py'), (64, 96), words=8)


@pytest.mark.slow
def test_onnxruntime_gives_the_same(tmp_path):
    pytest.importorskip('onnxruntime')
    import onnx

    model, path = tiny(), tmp_path / 'model.onnx'
    export_onnx(model, path, (64, 96), 8, mask_size=(90, 120), properties=dict(config='some.py'))
    graph = onnx.load(path)
    assert [value.name for value in graph.graph.input] == list(INPUTS)
    assert [value.name for value in graph.graph.output] == list(OUTPUTS)
    facts = json.loads(next(entry.value for entry in graph.metadata_props if entry.key == 'ifirvos'))
    assert facts == dict(frame_size=[64, 96], words=8, mask_size=[90, 120], config='some.py')
    for number in (1, 5):
        found = differences(model, path, SENTENCE, number)
        assert set(found) == set(OUTPUTS)
        assert max(found.values()) < 1e-3, found
    with torch.no_grad():  # what the comparison is about does differ
        model.text_projection.fc.weight.neg_()
    assert max(differences(model, path, SENTENCE).values()) > 1e-2


def test_what_cannot_be_exported(tmp_path):
    model = tiny()
    with pytest.raises(ValueError, match='evaluation mode'):
        ExportableRVOS(model.train(), (64, 96))
    with pytest.raises(ValueError, match='prepare_for_inference'):
        ExportableRVOS(prepare_for_inference(model.eval()), (64, 96))
    with pytest.raises(InputError, match='has 5 tokens, and the graph takes 4'):
        pad_tokens(tiny(), SENTENCE, 4)
    ids, mask = pad_tokens(tiny(), SENTENCE, 7)
    assert mask.tolist() == [[1, 1, 1, 1, 1, 0, 0]]
    assert ids[0, 5:].tolist() == [tiny().text_encoder.pad_token_id] * 2
    assert [tuple(value.shape) for value in example_inputs((4, 6), 3)] == [(3, 3, 4, 6), (1, 3), (1, 3)]


def test_without_the_packages(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__('sys').modules, 'onnxscript', None)
    with pytest.raises(InputError, match=r'pip install .ifirvos\[onnx\]'):
        export_onnx(tiny(), tmp_path / 'model.onnx', (64, 96), 8)
    assert not list(tmp_path.iterdir())
