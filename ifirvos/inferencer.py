"""RVOSInferencer: a video and sentences in, one mask a frame and sentence out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import Config, ConfigDict
from mmengine.infer import BaseInferencer
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from rich.console import Console
from rich.progress import track
from torch import nn

from .checkpoint import CheckpointError, config_text, load_checkpoint, load_strictly
from .registry import MODELS, TRANSFORMS
from .video import VideoReader

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_CONFIG = Path('configs/ifirvos/r18_synth.py')
SHIPPED_WEIGHTS = Path('weights/r18_synth.pth')

# A path (file or folder of frames), an open reader, or uint8 frames (H, W, 3).
VideoInput = str | os.PathLike | VideoReader | np.ndarray | Iterable[np.ndarray]


class InputError(ValueError):
    """What the user gave cannot be used; the message says what to give instead."""


@dataclass(frozen=True)
class SentenceResult:
    """What one sentence refers to, in pixels of the original video.

    Attributes:
        text: the sentence.
        masks: bool (T, H, W).
        scores: float32 (T,), the probability that the object is seen in the frame.
        boxes: float32 (T, 4), xyxy.
        query_index: which of the model's N query sequences was taken; a list with ``test_cfg.window``, one a window.
    """

    text: str
    masks: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    query_index: int | list[int]


class RVOSInferencer(BaseInferencer):
    """Segment in a video what sentences refer to.

    Frames are decoded and resized once, and pass through the backbone once, for all sentences.

    Args:
        model: config file or Config. None takes the config inside ``weights``, or the shipped model where no weights
            are given either.
        weights: checkpoint of the model; every key must fit. None with a config of your own leaves random weights.
        device: 'cpu', 'cuda', 'cuda:1'…; None takes what is there.
        show_progress: show what is being done, and a bar while frames are read.

    Raises:
        FileNotFoundError: no such config or weights.
        CheckpointError: the weights do not fit the model.
        InputError: no such device, or the model cannot be built.

    Example:
        >>> results = RVOSInferencer()('clip.mp4', ['the red star', 'the circle on the left'])
        >>> results[0].masks.shape
        (24, 192, 288)
    """

    preprocess_kwargs = {'channel_order'}

    def __init__(
        self,
        model: str | os.PathLike | Config | None = None,
        weights: str | os.PathLike | None = None,
        device: str | None = None,
        show_progress: bool = True,
    ) -> None:
        if model is None and weights is None:
            model, weights = _shipped(SHIPPED_CONFIG), _shipped(SHIPPED_WEIGHTS)
        if isinstance(model, os.PathLike):
            model = str(model)
        if isinstance(model, str) and not Path(model).is_file():
            raise FileNotFoundError(f'No such config file: {model}')
        self.config_name = model if isinstance(model, str) else None
        self.weights_name = None if weights is None else str(weights)
        super().__init__(
            model, self.weights_name, _checked_device(device), scope=MODELS.scope, show_progress=show_progress
        )

    def __call__(
        self, inputs: VideoInput, texts: str | Sequence[str], channel_order: str = 'rgb'
    ) -> list[SentenceResult]:
        """Segment what each sentence refers to.

        Args:
            inputs: video file, folder of frames, VideoReader, or frames: uint8 (T, H, W, 3) or a list of (H, W, 3).
            texts: one sentence or several.
            channel_order: 'rgb' or 'bgr', of frames given as arrays.

        Returns:
            One result a sentence, in the order given.

        Raises:
            FileNotFoundError, VideoError: the video cannot be read.
            InputError: no sentence, an empty one, or frames that are not images.
        """
        texts = check_sentences(texts)
        clip = self.preprocess(inputs, channel_order=channel_order)
        with self._status(f'Segmenting {len(clip["metas"])} frames for {len(texts)} sentence(s)…'):
            samples = self.forward(clip, texts)
        return [replace(result, text=text) for result, text in zip(self.postprocess(samples), texts, strict=True)]

    def preprocess(self, inputs: VideoInput, channel_order: str = 'rgb') -> dict:
        """Read and resize the frames, one at a time.

        Returns:
            dict with ``inputs``, uint8 BGR (T, 3, h, w) as mmdet's pipelines give it, and ``metas``, one dict a frame.
        """
        if isinstance(inputs, str | os.PathLike):
            inputs = VideoReader(inputs)
        if isinstance(inputs, VideoReader):
            channel_order, total = 'rgb', inputs.num_frames
        else:
            total = len(inputs) if hasattr(inputs, '__len__') else None
        if channel_order not in ('rgb', 'bgr'):
            raise InputError(f"channel_order must be 'rgb' or 'bgr', not {channel_order!r}.")
        images, metas = [], []
        for frame in self._progress(inputs, 'Reading frames', total):
            image, meta = self.pipeline(_checked_frame(frame, len(images), channel_order))
            if images and image.shape != images[0].shape:
                raise InputError('All frames of a video must have one size.')
            images.append(image)
            metas.append(dict(meta, frame_id=len(metas)))
        if not images:
            raise InputError('The video has no frames.')
        for meta in metas:
            meta['ori_video_length'] = len(metas)
        stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
        return dict(inputs=stacked, metas=metas)

    @torch.inference_mode()
    def forward(self, clip: dict, texts: Sequence[str]) -> list[TrackDataSample]:
        """Normalise and pad the clip once, then predict every sentence on it.

        Returns:
            One data sample a sentence, whose frames carry ``pred_track_instances``.
        """
        blank = _clip_sample(clip['metas'], text='')
        data = self.model.data_preprocessor(dict(inputs=[clip['inputs']], data_samples=[blank]), False)
        metas = [frame.metainfo for frame in data['data_samples'][0]]  # now with batch_input_shape and pad_shape
        # The data sets train on lower-case sentences with single blanks.
        samples = [_clip_sample(metas, ' '.join(text.lower().split())) for text in texts]
        return self.model.predict_video(data['inputs'][0], samples)

    def visualize(self, inputs: object, preds: object, **kwargs) -> None:
        """Nothing here: ``ifirvos.visualization`` draws and ``ifirvos.outputs`` writes results."""

    def postprocess(self, preds: Sequence[TrackDataSample]) -> list[SentenceResult]:
        """Data samples to arrays."""
        return [_to_result(sample) for sample in preds]

    def _init_model(self, cfg: ConfigDict, weights: str | None, device: str) -> nn.Module:
        """BaseInferencer's, with safe and strict loading; ``cfg`` is filled when it is empty."""
        checkpoint = None if weights is None else load_checkpoint(weights)
        if not cfg:
            text = config_text(checkpoint)
            if text is None:
                raise CheckpointError(
                    f'{weights} does not hold its config; name the config file too (--config, model=).'
                )
            cfg.update(Config.fromstring(text, file_format='.py')._cfg_dict)
            self.config_name = f'{weights} (its own config)'
        # mmengine's BaseModel looks for the data preprocessor where the default scope says, which need not be set here.
        with DefaultScope.overwrite_default_scope(MODELS.scope):
            try:
                model = MODELS.build(cfg.model)
            except RuntimeError as error:  # a text encoder that cannot be had, say
                raise InputError(
                    f'The model of {self.config_name or "the given config"} cannot be built: {error}'
                ) from error
        if checkpoint is None:
            MMLogger.get_current_instance().warning('No weights given: the model is random and so are its masks.')
        else:
            load_strictly(model, checkpoint, weights, self.config_name or 'the given config')
        return model.to(device).eval()

    def _init_pipeline(self, cfg: ConfigDict) -> Callable[[np.ndarray], tuple[np.ndarray, dict]]:
        """The resize of the config's test pipeline: BGR (H, W, 3) -> (image, its metainfo)."""
        pipeline = _pipeline(cfg.test_dataloader.dataset)
        resizes = [TRANSFORMS.build(t) for t in _flatten(pipeline) if t['type'].startswith('Resize')]
        if not resizes:
            raise ValueError('The config has no Resize… in its test pipeline, so the input size is unknown.')
        return partial(_resize, resizes)

    def _init_collate(self, cfg: ConfigDict) -> None:
        """None: one video at a time."""

    def _init_visualizer(self, cfg: ConfigDict) -> None:
        """None: the config's visualizer belongs to its runner and would make folders."""

    def _status(self, message: str) -> AbstractContextManager:
        return Console().status(message) if self.show_progress else nullcontext()

    def _progress(self, frames: Iterable, description: str, total: int | None) -> Iterable:
        return track(frames, description, total=total) if self.show_progress else frames


def check_sentences(texts: str | Sequence[str]) -> list[str]:
    """The sentences as a list, without surrounding blanks.

    Raises:
        InputError: there is none, or one is empty.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        raise InputError('Give at least one sentence.')
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise InputError(f'Sentence {number} is a {type(text).__name__}, not a string.')
        if not text.strip():
            raise InputError(f'Sentence {number} is empty: say what to segment, for example "the red star".')
    return [text.strip() for text in texts]


def _shipped(path: Path) -> str:
    if not (ROOT / path).is_file():
        raise FileNotFoundError(
            f'The shipped {path} is not under {ROOT}: install with "pip install -e ." from a full clone of the '
            'repository, or name a config and weights of your own.'
        )
    return str(ROOT / path)


def _checked_device(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f'{name!r} is not a device; use cpu, cuda or cuda:1.') from error
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f'{name}: PyTorch sees {torch.cuda.device_count()} CUDA devices here; use --device cpu.')
    return name


def _checked_frame(frame: np.ndarray, index: int, channel_order: str) -> np.ndarray:
    """A frame as contiguous BGR, which is what mmdet's pipelines start from."""
    frame = np.asarray(frame)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise InputError(f'Frame {index} is {frame.dtype} {frame.shape}; frames must be uint8 (H, W, 3).')
    return np.ascontiguousarray(frame[..., ::-1] if channel_order == 'rgb' else frame)


def _pipeline(dataset: dict) -> Sequence[dict]:
    """The pipeline of a data set, or of the first one inside a wrapper (ConcatDataset, RepeatDataset)."""
    while 'pipeline' not in dataset:
        dataset = dataset['datasets'][0] if 'datasets' in dataset else dataset['dataset']
    return dataset['pipeline']


def _flatten(pipeline: Sequence[dict]) -> Iterator[dict]:
    """Transforms of a pipeline in order, those inside wrappers (TransformBroadcaster) too."""
    for transform in pipeline:
        yield transform
        if isinstance(transform.get('transforms'), list):
            yield from _flatten(transform['transforms'])


def _resize(resizes: Sequence[Callable], image: np.ndarray) -> tuple[np.ndarray, dict]:
    results = dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
    for resize in resizes:
        results = resize(results)
    return results['img'], {key: results[key] for key in ('ori_shape', 'img_shape', 'scale_factor') if key in results}


def _clip_sample(metas: Sequence[dict], text: str) -> TrackDataSample:
    """A clip without annotations: T frames with their metainfo, and the sentence."""
    sample = TrackDataSample(metainfo=dict(text=text, exp_id='', video_id='', kind='', ori_video_length=len(metas)))
    sample.video_data_samples = [DetDataSample(metainfo=dict(meta)) for meta in metas]
    return sample


def _to_result(sample: TrackDataSample) -> SentenceResult:
    instances = [frame.pred_track_instances for frame in sample]
    return SentenceResult(
        text=sample.text,
        masks=np.stack([_numpy(frame.masks)[0] for frame in instances]).astype(bool, copy=False),
        scores=np.array([float(frame.scores[0]) for frame in instances], np.float32),
        boxes=np.stack([_numpy(frame.bboxes)[0] for frame in instances]).astype(np.float32, copy=False),
        query_index=sample.query_index,
    )


def _numpy(values: torch.Tensor | np.ndarray) -> np.ndarray:
    return values.cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
