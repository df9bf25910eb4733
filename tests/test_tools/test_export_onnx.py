"""The small model as an ONNX file gives the inferencer's masks, as docs/deployment.md describes it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ifirvos import RVOSInferencer
from ifirvos.evaluation.functional import region_similarity
from ifirvos.inference.model_index import ROOT
from ifirvos.synth import draw_frames, make_clip

TOOL = ROOT / 'tools/deployment/export_onnx.py'


@pytest.mark.slow
def test_the_small_models_masks(tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    clip = make_clip(0, 'valid', 200_000)
    frames = np.stack([frame[..., ::-1] for frame in draw_frames(clip.facts.scene)])
    sentences = [expression.text for expression in clip.expressions][:3]
    inferencer = RVOSInferencer(device='cpu', show_progress=False)
    inputs = inferencer.preprocess(frames)['inputs'].flip(1).numpy()  # RGB

    command = [sys.executable, TOOL, '--out', tmp_path / 'model.onnx', '--words', '24', '--offline']
    command += ['--size', *map(str, inputs.shape[2:]), '--mask-size', *map(str, frames.shape[1:3])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    assert 'largest differences to the model: masks' in done.stdout

    session = onnxruntime.InferenceSession(str(tmp_path / 'model.onnx'), providers=['CPUExecutionProvider'])
    facts = json.loads(session.get_modelmeta().custom_metadata_map['ifirvos'])
    assert facts['text_encoder'] == 'synth_tokenizer'
    assert 'r18_synth_fine' in facts['config']
    tokenizer = inferencer.model.text_encoder.tokenizer
    for sentence, result in zip(sentences, inferencer(frames, sentences), strict=True):
        tokens = tokenizer([sentence], padding='max_length', max_length=24, return_tensors='np')
        tokens = {key: tokens[key] for key in ('input_ids', 'attention_mask')}
        logits, _, scores = session.run(['masks', 'boxes', 'scores'], dict(frames=inputs, **tokens))
        assert min(region_similarity(logits > 0, np.asarray(result.masks))) > 0.99, sentence
        assert np.allclose(scores, result.scores, atol=1e-2)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--size', '96', '144'], '--out'),
        (['--out', 'x.onnx', '--size', '0', '144'], 'not a whole number above 0'),
        (['--out', 'x.onnx', '--size', '96', '144', '--weights', 'nothing.pth'], 'nothing.pth'),
        (['--out', 'x.onnx', '--size', '96', '144', '--words', '4'], 'has 5 tokens, and the graph takes 4'),
    ],
)
def test_wrong_arguments(arguments, said, tmp_path):
    done = subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 2
    assert said in done.stderr
    assert 'Traceback' not in done.stderr
