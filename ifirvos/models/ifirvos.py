"""The detector and its data flow."""

import inspect
from collections.abc import Sequence

import torch
from mmdet.structures import TrackDataSample
from mmengine.model import BaseModule
from torch import Tensor, nn

from ifirvos.clip_score import clip_score
from ifirvos.errors import InputError
from ifirvos.registry import MODELS
from ifirvos.structures import ClipTarget, features_of, have_key_frames, select_frames

from .clip_deformable_detr import ClipDeformableDETR
from .clip_tokens import clip_tokens, frame_maps
from .frozen_batch_norm import keep_less_of_frozen_norms
from .positional_encoding import SinePositionalEncoding1D
from .query_linker import QueryLinker
from .text_encoder import TextProjection
from .vision_language_interaction import VisionLanguageInteraction

ClipList = list[TrackDataSample]
FPN_TEXTS = ('raw', 'lewv')


TEST_OPTIONS = {'candidates', 'clip_score_threshold', 'frame_chunk', 'mask_probs', 'window'}  # of test_cfg


@MODELS.register_module()
class IFIRVOS(ClipDeformableDETR):
    r"""Referring video object segmentation with inter-frame and vision-language interaction (arXiv 2307.00536).

    .. code:: text

        frames (B,T,3,H,W)                    sentences
              | extract_feat                      | encode_text
              v                                   v
        res2 (stride 4)  F_v (8..64)          F_l (B,L,C)  [sentence (B,C)]
              |              |                    |
              |              +------- vli --------+
              |              |                    |
              |              v F'_v               v F_l^s (B,C)
              |       forward_encoder             |
              |              | memory             |
              |              +----------> forward_decoder (IFI after every layer)
              |              |                    | hidden_states, references
              +--> pixel_decoder (with F_l)       |
                             | F_seg              |
                             +------> bbox_head <-+

    This class flattens (B,T); inside, frames are the batch, B*T, clip by clip.

    Args:
        text_encoder: Config of :class:`RobertaTextEncoder`.
        vli: Config of :class:`VisionLanguageInteraction`. None: F'_v = F_v. Without LEwV the queries
            start from RoBERTa's pooled output, projected like the words.
        pixel_decoder: Config of :class:`CrossModalFPN`.
        text_dropout: Dropout probability after the text projection.
        fpn_text: Which words the pixel decoder attends to: ``'raw'``, F_l (ReferFormer; the paper does not say), or
            ``'lewv'``, LEwV's output.
        value_pos: Use ``memory + position`` as the values of the decoder's cross-attention, not ``memory`` (Deformable
            DETR, paper). Our extension for small models: deformable attention adds no positions to its values, and
            after a shallow encoder they contain little information about absolute position.
        frozen_trunk: Freeze the backbone, neck, encoder and pixel decoder (``TRUNK``); gradients do not flow through
            them. Ours, for small models, whose second stage only learns to choose the query: it saves two thirds of a
            training step.
        cut_to_key_frames: Keep only the annotated frames (A2D- and JHMDB-Sentences) after the backbone, as in
            ReferFormer. False: all frames are processed, so that they can interact, and the head uses the annotated
            ones.
        **kwargs: Arguments of mmdet's ``DeformableDETR``. ``test_cfg`` may have ``frame_chunk``, the number of
            frames processed at once in frame-independent stages (None: all), and
            ``window`` and ``clip_score_threshold``, see :meth:`predict`.
    """

    # Frozen by ``frozen_trunk``, together with VEwL and the level embedding.
    TRUNK = ('backbone', 'neck', 'encoder', 'pixel_decoder')

    def __init__(
        self,
        *args,
        text_encoder: dict,
        pixel_decoder: dict,
        vli: dict | None = None,
        text_dropout: float = 0.1,
        fpn_text: str = 'raw',
        value_pos: bool = False,
        frozen_trunk: bool = False,
        cut_to_key_frames: bool = False,
        **kwargs,
    ) -> None:
        self._vli_cfg = vli
        if fpn_text not in FPN_TEXTS:
            raise InputError(f'fpn_text must be one of {FPN_TEXTS}, not {fpn_text!r}')
        self.fpn_text = fpn_text
        self.value_pos = value_pos
        self.cut_to_key_frames = cut_to_key_frames
        super().__init__(*args, with_box_refine=True, **kwargs)
        keep_less_of_frozen_norms(self.backbone)
        self.text_encoder = self._build_text_encoder(text_encoder)
        self.text_projection = TextProjection(self.text_encoder.embed_dims, self.embed_dims, text_dropout)
        self.word_encoding = SinePositionalEncoding1D(self.embed_dims)
        self.pixel_decoder = MODELS.build(pixel_decoder)
        self._check_parts()
        self.frozen_trunk = frozen_trunk
        if frozen_trunk:
            self.level_embed.requires_grad_(False)
            for module in self._trunk():
                module.requires_grad_(False)

    def _check_parts(self) -> None:
        """Raise an InputError where parts do not fit one another, which would train on wrong targets or fail late."""
        stride = getattr(getattr(self.bbox_head, 'mask_head', None), 'stride', None)
        drawn = getattr(self.pixel_decoder, 'mask_stride', stride)
        if stride != drawn:
            raise InputError(
                f'pixel_decoder.mask_stride is {drawn}, bbox_head.mask_head.stride {stride}: they must be the same'
            )
        ours = isinstance(self.vli, VisionLanguageInteraction)  # another neck may return words as it likes
        if self.fpn_text == 'lewv' and (self.vli is None or (ours and self.vli.lewv is None)):
            raise InputError("fpn_text='lewv' needs vli.lewv: it is LEwV that updates the words")
        levels = self.encoder.layers[0].self_attn.num_levels
        if levels != self.num_feature_levels:
            raise InputError(
                f"num_feature_levels is {self.num_feature_levels}, the encoder's self_attn_cfg.num_levels {levels}: "
                'they must be the same'
            )
        train_cfg = {key: value for key, value in (self.train_cfg or {}).items() if key != '_scope_'}
        if unknown := sorted(train_cfg.keys() - {'assigner'}):
            raise InputError(f'train_cfg.{unknown[0]} is not assigner')
        test_cfg = {key: value for key, value in (self.test_cfg or {}).items() if key != '_scope_'}
        if unknown := sorted(test_cfg.keys() - TEST_OPTIONS):
            raise InputError(f'test_cfg.{unknown[0]} is none of {", ".join(sorted(TEST_OPTIONS))}')
        if test_cfg.get('candidates') not in (None, False, True, 'smooth'):
            raise InputError(f"test_cfg.candidates must be True, False or 'smooth', not {test_cfg['candidates']!r}")
        for key in ('window', 'frame_chunk'):
            value = test_cfg.get(key)
            if value is not None and not (isinstance(value, int) and value >= 0):
                raise InputError(f'test_cfg.{key} must be None or a number of frames, not {value!r}')
        value = test_cfg.get('clip_score_threshold')
        if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
            raise InputError(f'test_cfg.clip_score_threshold must be None or a score, from 0 to 1, not {value!r}')

    def _trunk(self) -> list[nn.Module]:
        modules = [getattr(self, name) for name in self.TRUNK]
        vewl = getattr(self.vli, 'vewl', None)
        return modules if vewl is None else [*modules, vewl]

    def _build_text_encoder(self, cfg: dict) -> nn.Module:
        """Build the text encoder, if possible without a pooler when nothing uses it."""
        encoder = cfg.get('type')
        encoder = MODELS.get(encoder) if isinstance(encoder, str) else encoder
        if encoder is not None and 'with_pooler' in inspect.signature(encoder).parameters:
            cfg = {'with_pooler': not getattr(self.vli, 'gives_sentence', False), **cfg}
        return MODELS.build(cfg)

    def train(self, mode: bool = True) -> 'IFIRVOS':
        """Keep a frozen trunk in evaluation mode: no dropout, no running statistics."""
        super().train(mode)
        if mode and self.frozen_trunk:
            for module in self._trunk():
                module.eval()
        return self

    def _init_layers(self) -> None:
        super()._init_layers()
        self.vli = None if self._vli_cfg is None else MODELS.build(self._vli_cfg)

    def init_weights(self) -> None:
        """Initialise as mmdet does, then set IFI's zero-initialised parameters."""
        super().init_weights()
        for layer in self.decoder.layers:
            ifi = getattr(layer, 'ifi', None)
            if hasattr(ifi, 'init_weights'):
                for part in ifi.modules():
                    if isinstance(part, BaseModule):
                        part.is_init = False  # mmengine's does nothing a second time
                ifi.init_weights()

    # ------------------------------------------------------------------ entry points
    def loss(
        self,
        batch_inputs: Tensor,
        batch_data_samples: ClipList,
        tokens: dict[str, Tensor] | None = None,
        targets: list[ClipTarget] | None = None,
    ) -> dict[str, Tensor]:
        """(B,T,3,H,W) and B clips with ``gt_instances`` -> weighted losses.

        Clips with the metainfo ``inputs_index`` may share their frames: batch_inputs are then fewer than the clips.
        With their ``tokens`` (:meth:`encode_tokens`) and ``targets`` (:meth:`RVOSHead.targets`) nothing of the host is
        needed.
        """
        feats = features_of(self.extract_feat(batch_inputs), batch_data_samples, len(batch_inputs))
        feats, clips = self._cut(feats, batch_data_samples)
        text = None if tokens is None else self.encode_tokens(tokens)
        given = {} if targets is None else dict(targets=targets)  # a head of one's own need not take them
        return self.bbox_head.loss(**self.forward_transformer(feats, clips, text=text), clips=clips, **given)

    def predict(self, batch_inputs: Tensor, batch_data_samples: ClipList, rescale: bool = True) -> ClipList:
        """(B,T,3,H,W) and B clips -> the clips, every frame with ``pred_track_instances`` at its original size.

        With ``test_cfg.window`` longer videos are split into clips of that many frames, each predicted on its own with
        its own query sequence (ReferFormer on Ref-DAVIS17: 36). The metainfo ``query_index`` is then a list with one
        entry per window. Clips with annotated frames are not split.

        With ``test_cfg.clip_score_threshold`` a clip whose score (:func:`clip_score`) is lower has empty masks and
        boxes: its sentence probably fits nothing.
        """
        feats = features_of(self.extract_windows(batch_inputs), batch_data_samples, len(batch_inputs))
        return self._predict(feats, batch_data_samples)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: ClipList) -> dict[str, Tensor]:
        """(B,T,3,H,W) and B clips -> the outputs of all layers, see :meth:`RVOSHead.forward`."""
        feats = features_of(self.extract_feat(batch_inputs), batch_data_samples, len(batch_inputs))
        return self.bbox_head(**self.forward_transformer(feats, batch_data_samples), clips=batch_data_samples)

    @torch.no_grad()
    def predict_features(
        self,
        img_feats: list[Tensor],
        data_samples: ClipList,
        linkers: Sequence[QueryLinker] | None = None,
        text: dict[str, Tensor | None] | None = None,
    ) -> ClipList:
        """Predict E sentences at once from the features of one video.

        Args:
            img_feats: Features of the video's T frames, (T,C,h,w) per level, from :meth:`extract_feat` or
                :meth:`extract_windows`.
            data_samples: One per sentence, each with the same T frames.
            linkers: One per sentence, see :meth:`RVOSHead.predict`. The T frames are then one window of a longer video,
                and ``test_cfg.window`` is ignored.
            text: Output of :meth:`encode_text` for these sentences, for example of an earlier window; only with
                linkers. None: encode them.

        Returns:
            list[TrackDataSample]: ``data_samples``, filled as by :meth:`predict`.
        """
        res2, *levels = img_feats
        if len(data_samples) > 1:
            levels = [feat.repeat(len(data_samples), 1, 1, 1) for feat in levels]
        if linkers is None:
            res2 = res2 if len(data_samples) == 1 else res2.repeat(len(data_samples), 1, 1, 1)
            return self._predict([res2, *levels], data_samples)
        outputs = self.forward_transformer([res2, *levels], data_samples, lazily=True, text=text)
        return self.bbox_head.predict(**outputs, clips=data_samples, linkers=linkers)

    def _predict(self, feats: list[Tensor], clips: ClipList) -> ClipList:
        """Predict B clips from the output of :meth:`extract_feat`, see :meth:`predict`."""
        num_frames, marked = len(clips[0]), have_key_frames(clips)
        window = (self.test_cfg or {}).get('window') or num_frames
        if window >= num_frames or marked:
            feats, parts = self._cut(feats, clips)
            self.bbox_head.predict(**self.forward_transformer(feats, parts, lazily=True), clips=parts)
            chosen = [part.query_index for part in parts]
        else:
            chosen = [[] for _ in clips]
            for first in range(0, num_frames, window):
                frames = range(first, min(first + window, num_frames))
                part_feats, parts = select_frames(feats, clips, [frames] * len(clips))
                self.bbox_head.predict(**self.forward_transformer(part_feats, parts, lazily=True), clips=parts)
                for queries, part in zip(chosen, parts, strict=True):
                    queries.append(part.query_index)
        for clip, queries in zip(clips, chosen, strict=True):
            clip.set_metainfo(dict(query_index=queries))
            self._empty_if_absent(clip)
        return clips

    def _empty_if_absent(self, clip: TrackDataSample) -> None:
        threshold = (self.test_cfg or {}).get('clip_score_threshold')
        if threshold is None:
            return
        predicted = [frame.pred_track_instances for frame in clip if 'pred_track_instances' in frame]
        if clip_score(torch.cat([found.scores for found in predicted]).tolist()) >= threshold:
            return
        for found in predicted:
            for name in {'masks', 'mask_probs', 'bboxes'} & set(found.keys()):
                found[name].zero_()

    def _cut(self, feats: list[Tensor], clips: ClipList) -> tuple[list[Tensor], ClipList]:
        """Return the features and clips, with ``cut_to_key_frames`` only those of the annotated frames."""
        if not self.cut_to_key_frames or not have_key_frames(clips):
            return feats, clips
        return select_frames(feats, clips, [clip.key_frames_inds for clip in clips])

    # ------------------------------------------------------------------ stages
    @property
    def takes_clips(self) -> bool:
        """Whether the backbone needs whole clips, because it attends across frames (Video-Swin)."""
        return getattr(self.backbone, 'takes_clips', False)

    def extract_feat(self, batch_inputs: Tensor) -> list[Tensor]:
        """(B,T,3,H,W) -> res2 (B*T,C_2,H/4,W/4), then F_v: four levels (B*T,C,h,w), strides 8 to 64.

        A backbone with ``takes_clips`` gets (B,T,3,H,W) without chunks, because it attends across frames.
        """
        frames = batch_inputs.flatten(0, 1)
        chunks = []
        if self.takes_clips:
            parts = [batch_inputs]
        else:
            parts = frames.split(self.frame_chunk) if self.frame_chunk else [frames]
        with self._gradients_of_trunk():
            for part in parts:
                res2, *deeper = self.backbone(part)
                chunks.append([res2, *self.neck(deeper)])
        return [torch.cat(level) if len(level) > 1 else level[0] for level in zip(*chunks, strict=True)]

    def extract_windows(self, batch_inputs: Tensor) -> list[Tensor]:
        """Extract features as :meth:`extract_feat`; with ``test_cfg.window`` the backbone sees one window at a time."""
        window = (self.test_cfg or {}).get('window')
        if not window or not self.takes_clips:
            return self.extract_feat(batch_inputs)
        parts = [self.extract_feat(part) for part in batch_inputs.split(window, 1)]
        by_clip = [[level.unflatten(0, (len(batch_inputs), -1)) for level in part] for part in parts]
        return [torch.cat(level, 1).flatten(0, 1) for level in zip(*by_clip, strict=True)]

    def encode_text(self, clips: ClipList) -> dict[str, Tensor | None]:
        """B clips with metainfo ``text`` or ``text_tokens`` -> their features.

        Returns:
            dict: ``words`` F_l (B,L,C), ``word_pos`` (B,L,C), ``word_mask`` (B,L) True on padding, ``sentence`` (B,C)
            or None without a pooler.
        """
        if 'text_tokens' in clips[0]:
            tokens = self.text_encoder.collate_tokens([clip.text_tokens for clip in clips])
        else:
            tokens = self.text_encoder.tokenize([clip.text for clip in clips])
        return self.encode_tokens(tokens)

    def encode_tokens(self, tokens: dict[str, Tensor]) -> dict[str, Tensor | None]:
        """Tokens of B sentences, as the text encoder's ``tokenize`` gives them -> as :meth:`encode_text`."""
        text = self.text_encoder(tokens)
        pooled = text['pooled']
        return dict(
            words=self.text_projection(text['words']),
            word_pos=self.word_encoding(text['padding_mask']),
            word_mask=text['padding_mask'],
            sentence=None if pooled is None else self.text_projection(pooled),
        )

    def forward_transformer(
        self,
        img_feats: list[Tensor],
        clips: ClipList,
        lazily: bool = False,
        text: dict[str, Tensor | None] | None = None,
    ) -> dict:
        """Map features and B clips to the arguments of the head, except ``clips``.

        Args:
            img_feats: (B*T,C,h,w) per level; res2 may have only T frames, shared by all clips.
            clips: B clips.
            lazily: Return F_seg as :class:`FusedFrames`, not as a tensor.
            text: The output of :meth:`encode_text` for the clips; None: encode them.
        """
        res2, *levels = img_feats
        num_frames = levels[0].shape[0] // len(clips)  # torch.export leaves it free; len() would fix it
        text = self.encode_text(clips) if text is None else text
        masks, positions = self.encode_positions(img_feats, clips)
        levels, sentence, words = self.interact(levels, positions[1:], masks[1:], text, num_frames)
        words = text['words'] if self.fpn_text == 'raw' else words

        encoder_inputs, decoder_inputs = self.pre_transformer(levels, positions[1:], masks[1:], num_frames)
        with self._gradients_of_trunk():
            memory = self.forward_encoder(**encoder_inputs)['memory']
        value = memory + encoder_inputs['feat_pos'] if self.value_pos else memory
        query_inputs = self.pre_decoder(value, sentence, num_frames)
        decoder_outputs = self.forward_decoder(**query_inputs, **decoder_inputs, num_frames=num_frames)

        sizes = [level.shape[-2:] for level in levels]
        maps = memory.split([size.numel() for size in sizes], 1)
        maps = [m.transpose(1, 2).unflatten(2, size) for m, size in zip(maps, sizes, strict=True)]
        # Prediction computes the masks of one query, so F_seg is computed on demand, a few frames at a time.
        fuse = getattr(self.pixel_decoder, 'fuse', None) if lazily else None
        if fuse is None:
            fuse, res2 = self.pixel_decoder, res2.repeat(memory.shape[0] // res2.shape[0], 1, 1, 1)
        with self._gradients_of_trunk():
            mask_features = fuse(
                [res2, *maps[:3]],
                positions[:4],
                masks[:4],
                words,
                text['word_pos'],
                text['word_mask'],
                num_frames=num_frames,
                frame_chunk=self.frame_chunk,
            )
        return dict(**decoder_outputs, mask_features=mask_features)

    def _gradients_of_trunk(self) -> torch.set_grad_enabled:
        """Return a context in which a frozen trunk computes as in prediction: faster, and the words get no gradient."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen_trunk)

    def interact(
        self,
        levels: list[Tensor],
        positions: list[Tensor],
        masks: list[Tensor | None],
        text: dict[str, Tensor | None],
        num_frames: int,
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Map F_v (B*T,C,h,w) to F'_v of the same shape; return it with the sentence (B,C) and LEwV's words (B,L,C).

        The queries start from the sentence. Without LEwV the words are unchanged.
        """
        if self.vli is None:
            return levels, self._checked(text['sentence']), text['words']

        def over_time(per_clip: Tensor) -> Tensor:  # B h*w ... -> B T*h*w ...
            return per_clip[:, None].expand(-1, num_frames, *per_clip.shape[1:]).flatten(1, 2)

        sizes = [level.shape[-2:] for level in levels]
        needs_visual = getattr(self.vli, 'reads_positions', True)
        enhanced, sentence, *texts = self.vli(
            [clip_tokens(level, num_frames) for level in levels],
            [over_time(p.flatten(2).transpose(1, 2)) if needs_visual else p for p in positions],
            [None if m is None else over_time(m.flatten(1)) for m in masks],
            text['words'],
            text['word_pos'],
            text['word_mask'],
            max_pixels=None if self.frame_chunk is None else self.frame_chunk * sizes[0].numel(),
        )
        enhanced = [frame_maps(x, num_frames, size) for x, size in zip(enhanced, sizes, strict=True)]
        gate = getattr(getattr(self.vli, 'lewv', None), 'gate', None)
        if gate is not None:
            sentence = self._checked(text['sentence']) + gate * sentence
        words = texts[0][-1] if texts else text['words']
        return enhanced, self._checked(text['sentence'] if sentence is None else sentence), words

    @staticmethod
    def _checked(sentence: Tensor | None) -> Tensor:
        if sentence is None:
            raise InputError(
                "Nothing gives the queries a sentence: model.vli makes none, and the text encoder's 'pooled' is None "
                '(docs/extending.md).'
            )
        return sentence
