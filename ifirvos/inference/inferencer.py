"""RVOSInferencer: masks of every frame and sentence of a video."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import TrackDataSample
from mmengine.config import Config, ConfigDict
from mmengine.infer import BaseInferencer
from mmengine.registry import DefaultScope
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from ifirvos.errors import InputError
from ifirvos.models.query_linker import QueryLinker
from ifirvos.names import unique_slugs
from ifirvos.plain_config import resizes_of
from ifirvos.registry import MODELS, TRANSFORMS
from ifirvos.video.inputs import VideoInput, VideoStream, is_batch
from ifirvos.video.opening import readable
from ifirvos.video.reader import VideoReader
from ifirvos.visualization import STYLES, OverlayColors

from .absence import checked_threshold, clip_threshold_of
from .exporters import EXPORTS, FOLDER
from .folders import check_free
from .hub import HubMixin
from .loading import checked_device, open_model, resolve_model
from .memory import SmallerParts
from .precision import AUTO, DTYPES, TRIED, Trials, has_units, warn_if_slower
from .preparation import prepare_for_inference
from .preprocessing import clip_sample, resize
from .results import MASK_FORMATS, ResultCollector, SentenceResult, WindowResult, to_result
from .sentences import as_trained, check_sentences, texts_of_videos
from .streaming import segment_stream
from .windows import LINKS
from .writers import DEFAULT_SAVES, ResultWriter, check_saves, check_style, draw_window

CLIP_LEN = 36  # frames of a window; ReferFormer's for Ref-DAVIS17
OVERLAP = 8
Progressed = Callable[[int, int | None], None]


class RVOSInferencer(HubMixin, BaseInferencer):
    """Segment the objects that sentences refer to in a video.

    Frames are decoded, resized and passed through the backbone once for all sentences. A video longer than ``clip_len``
    is processed in overlapping windows, so that memory does not grow with its length.

    Args:
        model: Config file or Config, a name in ``model-index.yml``, or a checkpoint (.pth). None: the config in
            ``weights``, or the one that fits an official ReferFormer checkpoint; without weights the included small
            model.
        weights: Checkpoint of the model, ours or of the official ReferFormer code; loading is strict. None: those of
            the named model, downloaded once; random weights for a config of your own.
        device: 'cpu', 'cuda', 'cuda:1' …; None: a GPU if there is one.
        show_progress: Show a bar.
        dtype: 'fp32', or 'bf16' or 'fp16' for mixed precision, in which LEwV, deformable attention and the masks stay
            in fp32. 'auto': fp32, unless the device has units for bf16: then a frame (on a CPU, of the window that
            brings the 16th) is predicted in both, and bf16 is used from then on if it is faster and the masks are the
            same (J of 0.98); empty masks decide nothing, up to three times. See ``WindowResult.dtype``.
        memory: Approximate GiB, besides the frames' features, for the sentences of a window that are processed at once;
            at least one is.
        clip_len: Frames per window; None: the whole video at once.
        overlap: Overlap of neighbouring windows in frames; None: 8, less in short windows.
        link: 'agreement' follows each sentence's object over windows (:class:`QueryLinker`); 'independent' uses windows
            without overlap, as ReferFormer does for Ref-DAVIS17.
        cfg_options: Changes of the config by dotted key.
        text_encoder: Folder with tokenizer files, instead of the config's ``model.text_encoder.name``.
        offline: Do not download weights; None: as set by ``IFIRVOS_OFFLINE``.

    Raises:
        FileNotFoundError: no such config or weights.
        DownloadError: the weights of a named model cannot be downloaded.
        CheckpointError: the weights do not fit the model.
        InputError: an option has no such value, or the model cannot be built.

    Example:
        >>> results = RVOSInferencer()('clip.mp4', ['the red star', 'the circle on the left'])
        >>> results[0].masks.shape
        (24, 192, 288)
    """

    postprocess_kwargs = {'texts', 'score_threshold'}

    def __init__(
        self,
        model: str | os.PathLike | Config | None = None,
        weights: str | os.PathLike | None = None,
        device: str | None = None,
        show_progress: bool = True,
        *,
        dtype: str = AUTO,
        memory: float = 2.0,
        clip_len: int | None = CLIP_LEN,
        overlap: int | None = None,
        link: str = 'agreement',
        cfg_options: Mapping[str, Any] | None = None,
        text_encoder: str | os.PathLike | None = None,
        offline: bool | None = None,
    ) -> None:
        if dtype not in (*DTYPES, AUTO):
            raise InputError(f'dtype must be one of {", ".join((*DTYPES, AUTO))}, not {dtype!r}.')
        if link not in LINKS:
            raise InputError(f'link must be one of {", ".join(LINKS)}, not {link!r}.')
        if clip_len is not None and not 1 <= clip_len <= sys.maxsize:
            raise InputError(f'clip_len must be at least 1 and at most {sys.maxsize}, not {clip_len}.')
        overlap = min(OVERLAP, (clip_len or 0) // 4) if overlap is None else overlap
        if clip_len is not None and not 0 <= overlap < clip_len:
            raise InputError(f'Windows of {clip_len} frames can share 0 to {clip_len - 1}, not {overlap}.')
        if not 0 < memory * 2**30 < float('inf'):
            raise InputError(f'memory must be a number of GiB above 0, not {memory}.')
        self.smaller_parts, self.trials = SmallerParts(), Trials()
        self.dtype, self.memory, self.clip_len, self.link = dtype, memory, clip_len, link
        self.overlap = overlap if link == 'agreement' else 0
        device = checked_device(device)
        named = resolve_model(model, weights, offline, show_progress)
        self._opened = open_model(named, cfg_options, text_encoder)
        self.model_name, self.weights_name = named.name, named.weights
        self.config_name = self._opened.config_name
        super().__init__(self._opened.config, named.weights, device, scope=MODELS.scope, show_progress=show_progress)
        del self._opened  # with the checkpoint
        self.device = next(self.model.parameters()).device
        warn_if_slower(self.device, dtype)
        if dtype == AUTO and not has_units(self.device, TRIED):
            self.dtype = 'fp32'

    def __call__(
        self,
        inputs: VideoInput | Sequence[VideoInput],
        texts: str | Sequence[str] | Sequence[Sequence[str]],
        channel_order: str = 'rgb',
        *,
        score_threshold: float | None = None,
        mask_format: str = 'bool',
        return_vis: bool = False,
        out_dir: str | os.PathLike | None = None,
        save: Sequence[str] = DEFAULT_SAVES,
        style: str = STYLES[0],
        overwrite: bool = False,
        progress: Progressed | None = None,
    ) -> list[SentenceResult] | list[list[SentenceResult]]:
        """Segment the object that each sentence refers to.

        Args:
            inputs: Video file, folder of frames, URL, number of a webcam, VideoReader, or frames: uint8
                (T, H, W, 3) or a list or iterator of (H, W, 3), also grey or with alpha. Or several videos: a list of
                paths, readers or arrays (T, H, W, 3).
            texts: One sentence or several; for several videos, the same for all, or a list for each.
            channel_order: 'rgb' or 'bgr', of frames given as arrays.
            score_threshold: Frames with a lower score have ``present`` False and an empty mask and box; None: off.
            mask_format: 'bool' for arrays; 'rle' keeps masks encoded, a few hundred bytes each, and decodes them on
                access.
            return_vis: Also return the frames as drawn in the overlay.
            out_dir: Write the results to ``out_dir/SENTENCE``, for several videos to ``out_dir/VIDEO/SENTENCE``.
            save: Outputs to write there, of ``ifirvos.inference.writers.SAVES``; result.json always.
            style: Style of overlays and ``return_vis``: 'spotlight' dims everything but the object, 'paint' paints it.
            overwrite: Replace the results of an earlier run.
            progress: Called after every window with the number of frames done and of all frames (None: not known).

        Returns:
            One result per sentence, in the given order; for several videos, a list of such lists.

        Raises:
            FileNotFoundError, VideoError: the video cannot be read.
            OutputExistsError: there are results, and ``overwrite`` is off.
            OutputError: ``out_dir`` cannot be written to, or its disk is full.
            InputError: no sentence, an empty one, frames that are not images, or an unknown option. LimitError, which
                is one: more sentences than the limit, or than fit into memory.
        """
        if mask_format not in MASK_FORMATS:
            raise InputError(f'mask_format must be one of {", ".join(MASK_FORMATS)}, not {mask_format!r}.')
        options = dict(
            channel_order=channel_order,
            score_threshold=checked_threshold(score_threshold),
            mask_format=mask_format,
            return_vis=return_vis,
            save=check_saves(save),
            style=check_style(style),
            overwrite=overwrite,
            progress=progress,
        )
        if not is_batch(inputs):
            return self._segment(inputs, check_sentences(texts), out_dir=out_dir, **options)
        texts = texts_of_videos(texts, len(inputs))
        names = unique_slugs([_video_name(video, number) for number, video in enumerate(inputs, 1)])
        folders = [None if out_dir is None else Path(out_dir) / name for name in names]
        for folder, sentences in zip(folders, texts, strict=True):  # all before the first video is segmented
            if folder is not None:
                together = [FOLDER] if set(options['save']) & EXPORTS.keys() else []
                check_free([folder / name for name in (*unique_slugs(sentences), *together)], overwrite)
        return [
            self._segment(video, sentences, out_dir=folder, **options)
            for video, sentences, folder in zip(inputs, texts, folders, strict=True)
        ]

    def stream(
        self,
        inputs: VideoInput,
        texts: str | Sequence[str],
        channel_order: str = 'rgb',
        score_threshold: float | None = None,
    ) -> Iterator[WindowResult]:
        """Segment a video of any length, window by window, in constant memory.

        Args:
            inputs: One video, as above; it may have no end.
            texts: One sentence or several.
            channel_order: 'rgb' or 'bgr', of frames given as arrays.
            score_threshold: As above.

        Yields:
            The frames in order, each once, with the results of every sentence.

        Raises:
            As :meth:`__call__`; errors that do not depend on the frames, at once.
        """
        threshold = checked_threshold(score_threshold)
        return segment_stream(self, VideoStream(inputs, channel_order), check_sentences(texts), threshold)

    # ------------------------------------------------------------------ one video
    def _segment(
        self,
        inputs: VideoInput,
        texts: list[str],
        channel_order: str,
        score_threshold: float | None,
        mask_format: str,
        return_vis: bool,
        out_dir: str | os.PathLike | None,
        save: Sequence[str],
        style: str,
        overwrite: bool,
        progress: Progressed | None,
    ) -> list[SentenceResult]:
        writer = None
        if out_dir is not None:
            folders = [Path(out_dir) / name for name in unique_slugs(texts)]
            check_free(folders, overwrite)
        video = VideoStream(inputs, channel_order)
        if out_dir is not None:
            info = self.about(score_threshold)
            writer = ResultWriter(folders, texts, video.reader, save=save, info=info, overwrite=overwrite, style=style)
        collectors, colors = [ResultCollector(text, mask_format) for text in texts], OverlayColors()
        with self._bar(f'Segmenting, {len(texts)} sentence(s)', video.num_frames) as bar, writer or nullcontext():
            for window in segment_stream(self, video, texts, score_threshold):
                vis = draw_window(window, colors, style) if return_vis else [None] * len(texts)
                for collector, part, frames in zip(collectors, window.results, vis, strict=True):
                    collector.add(part, frames)
                if writer is not None:
                    writer.write(window)
                done = window.start + len(window.frames)
                bar.update(bar.task_ids[0], completed=done)
                if progress is not None:
                    progress(done, video.num_frames)
        return [collector.result() for collector in collectors]

    def about(self, score_threshold: float | None = None) -> dict:
        """Return what the result files say of the model, and of thresholds of its scores: the one used, its card's."""
        return dict(
            model=self.model_name,
            config=readable(self.config_name),
            weights=None if self.weights_name is None else readable(self.weights_name),
            score_threshold=score_threshold,
            absent_below=clip_threshold_of(self.model_name),
        )

    def preprocess(self, frames: Sequence[np.ndarray]) -> dict:
        """Resize frames.

        Args:
            frames: n times uint8 RGB (H, W, 3).

        Returns:
            dict with ``inputs``, uint8 BGR (n, 3, h, w) as in mmdet's pipelines, and ``meta``, common to all frames of
            the video.
        """
        images = []
        for frame in frames:
            image, meta = self.pipeline(np.ascontiguousarray(frame[..., ::-1]))
            images.append(image)
        return dict(inputs=torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), meta=meta)

    @torch.no_grad()  # in inference_mode autocast would convert weights at every use, in place of once
    def extract(self, clip: dict) -> tuple[list[Tensor], dict]:
        """Normalise and pad the output of :meth:`preprocess`, and pass it through the backbone.

        Returns:
            the features (n, C, h, w) of every level, and the frames' metainfo with the padding in it.
        """
        blank = clip_sample([clip['meta']] * len(clip['inputs']), text='')
        data = self.model.data_preprocessor(dict(inputs=[clip['inputs']], data_samples=[blank]), False)
        with self._precision():
            feats = self.model.extract_feat(data['inputs'])
        return feats, data['data_samples'][0][0].metainfo

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> dict[str, Tensor | None]:
        """Return the features of sentences, see ``IFIRVOS.encode_text``.

        On a CPU in fp32: to convert a frozen encoder's weights, at every call, takes longer than a sentence.
        """
        with nullcontext() if self.device.type == 'cpu' else self._precision():
            return self.model.encode_text([clip_sample([{}], as_trained(text)) for text in texts])

    @torch.no_grad()
    def forward(
        self,
        feats: list[Tensor],
        metas: Sequence[dict],
        texts: Sequence[str],
        linkers: Sequence[QueryLinker],
        encoded: dict[str, Tensor | None] | None = None,
    ) -> list[TrackDataSample]:
        """Predict some sentences on a window, all at once.

        Args:
            feats: Features of the window's T frames, (T, C, h, w) per level.
            metas: T times metainfo.
            texts: The sentences.
            linkers: One per sentence.
            encoded: Output of :meth:`encode` for the sentences; None: encode them.

        Returns:
            One data sample per sentence, whose frames have ``pred_track_instances``.
        """
        samples = [clip_sample(metas, as_trained(text)) for text in texts]
        with self._precision():
            return self.model.predict_features(feats, samples, linkers, encoded)

    def visualize(self, inputs: object, preds: object, **kwargs) -> None:
        """Do nothing: ``ifirvos.visualization`` draws and ``ifirvos.inference.writers`` writes results."""

    def postprocess(
        self, preds: Sequence[TrackDataSample], texts: Sequence[str], score_threshold: float | None = None
    ) -> list[SentenceResult]:
        """Convert data samples to arrays, with empty masks and boxes in frames below the threshold."""
        return [to_result(sample, text, score_threshold) for sample, text in zip(preds, texts, strict=True)]

    def _precision(self) -> AbstractContextManager:
        if self.dtype in ('fp32', AUTO):
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.dtype])

    def _bar(self, what: str, total: int | None) -> Progress:
        columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        bar = Progress(*columns, console=Console(stderr=True), disable=not self.show_progress)
        bar.add_task(what, total=total)
        return bar

    # ------------------------------------------------------------------ what BaseInferencer's constructor calls
    def _init_model(self, cfg: ConfigDict, weights: str | None, device: str) -> nn.Module:
        """BaseInferencer's, with safe and strict loading."""
        return prepare_for_inference(self._opened.build(device))

    def _init_pipeline(self, cfg: ConfigDict) -> Callable[[np.ndarray], tuple[np.ndarray, dict]]:
        """Return the resize of the config's test pipeline: BGR (H, W, 3) -> (image, its metainfo)."""
        with DefaultScope.overwrite_default_scope(TRANSFORMS.scope):
            resizes = [TRANSFORMS.build(t) for t in resizes_of(cfg.test_dataloader)]
        if not resizes:
            raise InputError('The config has no Resize… in its test pipeline, so the input size is unknown.')
        return partial(resize, resizes)

    def _init_collate(self, cfg: ConfigDict) -> None:
        """None: one video at a time."""

    def _init_visualizer(self, cfg: ConfigDict) -> None:
        """None: the config's visualizer belongs to its runner and would make folders."""


def _video_name(video: VideoInput, number: int) -> str:
    source = video.source if isinstance(video, VideoReader) else video
    return Path(readable(source)).stem if isinstance(source, str | os.PathLike) else f'video {number}'
