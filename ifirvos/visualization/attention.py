"""VEwL's attention of pixels to words, recomputed for one frame because the model does not store it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.infer import BaseInferencer
from torch import Tensor, nn

from ifirvos.errors import InputError

_WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True)
class WordAttention:
    """Attention of every pixel of a frame to each word of the sentence (paper 3.3, eq. 3), mean over heads.

    Attributes:
        words: (W,) in the order of the sentence.
        maps: float32 (W, h, w) at the level's resolution, without padding. The attention of a pixel to all words and
            special tokens sums to 1.
    """

    words: tuple[str, ...]
    maps: np.ndarray

    def of(self, word: str) -> np.ndarray:
        """Return the map (h, w) of a word, that of its first occurrence; upper and lower case are one.

        Raises:
            ValueError: the sentence has no such word.
        """
        lowered = [other.lower() for other in self.words]
        if word.lower() not in lowered:
            raise InputError(f'{word!r} is not a word of this sentence; it has {", ".join(self.words)}.')
        return self.maps[lowered.index(word.lower())]


@torch.inference_mode()
def word_attention(
    model: nn.Module, frames: Tensor, clip: TrackDataSample, frame_id: int, level: int = 0
) -> WordAttention:
    """Compute the attention of one frame's pixels to the words of the clip's sentence.

    Costs a pass of the frame through backbone and VLI (of the whole clip with ``text='dynamic'``), but not through the
    transformer.

    Args:
        model: An :class:`IFIRVOS` whose VLI has VEwL, in evaluation mode.
        frames: (T, 3, H, W), as the data preprocessor gives them.
        clip: Clip of those T frames, with metainfo ``text``.
        frame_id: Index of the frame in the clip.
        level: 0 to 3, of strides 8 to 64.

    Raises:
        ValueError: no VEwL, no such frame or level, or a clip that carries tokens in place of its text.
    """
    vli = model.vli
    if getattr(vli, 'vewl', None) is None:
        raise InputError('This model has no VEwL (model.vli.vewl): there is no attention to words to show.')
    if 'text' not in clip:
        raise InputError('The clip carries text_tokens, not its text: which word a token belongs to is not known.')
    if not 0 <= frame_id < len(frames):
        raise InputError(f'There is no frame {frame_id} in a clip of {len(frames)}.')
    if vli.text == 'fixed':  # then a frame's attention depends on no other frame
        frames, frame_id = frames[frame_id : frame_id + 1], 0

    feats = model.extract_feat(frames[None])
    if not 0 <= level < len(feats) - 1:
        raise InputError(f'level must be 0 to {len(feats) - 2}, not {level}.')
    called = []
    hook = vli.register_forward_hook(lambda module, args, output: called.append((args, output)))
    try:
        text = model.encode_text([clip])
        masks, positions = model.encode_positions(feats, [clip])
        model.interact(feats[1:], positions[1:], masks[1:], text, len(frames))
    finally:
        hook.remove()
    (levels, _, _, words, word_position, word_mask, *_), (_, _, texts) = called[0]

    height, width = feats[1 + level].shape[-2:]
    pixels = levels[level].unflatten(1, (len(frames), -1))[:, frame_id]  # 1 h*w C
    read = texts[level] if vli.text == 'dynamic' else words
    weights = vli.vewl.interaction.attn(
        pixels, read + word_position, read, key_padding_mask=word_mask, need_weights=True
    )[1]
    maps = weights[0].float().t().unflatten(1, (height, width))  # L h w
    maps = _without_padding(maps, clip[0].img_shape[:2], clip[0].batch_input_shape)
    return _by_word(clip.text, model.text_encoder.token_spans(clip.text), maps.cpu().numpy())


def attention_of(
    inferencer: BaseInferencer, frames: Sequence[np.ndarray], text: str, frame_id: int, level: int = 0
) -> WordAttention:
    """:func:`word_attention` of frames and a sentence as an :class:`RVOSInferencer` takes them.

    Args:
        inferencer: Inferencer with the model and preprocessing.
        frames: T times uint8 RGB (H, W, 3).
        text: The sentence; lower-cased, as the inferencer does.
        frame_id: Which frame.
        level: 0 to 3, of strides 8 to 64.
    """
    images, metas = zip(*(inferencer.pipeline(np.ascontiguousarray(frame[..., ::-1])) for frame in frames))
    clip = TrackDataSample(metainfo=dict(text=' '.join(text.lower().split())))
    clip.video_data_samples = [DetDataSample(metainfo=dict(meta)) for meta in metas]
    inputs = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    data = inferencer.model.data_preprocessor(dict(inputs=[inputs], data_samples=[clip]), False)
    return word_attention(inferencer.model, data['inputs'][0], data['data_samples'][0], frame_id, level)


def _without_padding(maps: Tensor, size: tuple[int, int], padded: tuple[int, int]) -> Tensor:
    """(L, h, w) of the padded input -> the part of it that the picture covers."""
    height, width = (
        max(1, round(cells * side / whole)) for cells, side, whole in zip(maps.shape[-2:], size, padded, strict=True)
    )
    return maps[:, :height, :width]


def _by_word(text: str, spans: list[tuple[int, int]], maps: np.ndarray) -> WordAttention:
    """Sum the maps of each word's tokens; words beyond the encoder's max_length have none and are left out."""
    words, sums = [], []
    for match in _WORD.finditer(text):
        tokens = [i for i, (start, end) in enumerate(spans) if start < match.end() and end > match.start()]
        if tokens:
            words.append(match.group())
            sums.append(maps[tokens].sum(0))
    return WordAttention(tuple(words), np.stack(sums) if sums else maps[:0])
