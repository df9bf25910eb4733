"""Export of a model as a graph of tensors, by ``torch.export`` and to ONNX."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample, TrackDataSample
from torch import Tensor, nn

from ifirvos.errors import InputError
from ifirvos.files import written_whole

INPUTS = ('frames', 'input_ids', 'attention_mask')
OUTPUTS = ('masks', 'boxes', 'scores')
OPSET = 20  # the first whose GridSample names bilinear sampling 'linear'
PROTOBUF_BYTES = 2**31 - 2**20  # of a file, and the graph needs some


class ExportableRVOS(nn.Module):
    """A model as a function of tensors: a clip of any number of frames of one size, and the tokens of one sentence.

    Normalisation and padding are part of it; resizing the frames and tokenizing the sentence are not.

    Args:
        model: An :class:`IFIRVOS` in evaluation mode, not prepared by :func:`prepare_for_inference`.
        frame_size: (H, W) of the frames in pixels.
        mask_size: (H, W) of the masks; None: that of the frames.

    Raises:
        ValueError: The model is in training mode, or prepared.
    """

    def __init__(self, model: nn.Module, frame_size: Sequence[int], mask_size: Sequence[int] | None = None) -> None:
        super().__init__()
        if model.training or hasattr(model, 'unprepared_state'):
            raise ValueError('Only a model in evaluation mode, before prepare_for_inference, can be exported.')
        self.model = model
        pixels = model.data_preprocessor
        self.reads_rgb = pixels._channel_conversion  # of frames that mmdet's pipelines give as BGR
        divisor = pixels.test_pad_size_divisor
        padded = tuple(-(-side // divisor) * divisor for side in frame_size)
        self.padding = (0, padded[1] - frame_size[1], 0, padded[0] - frame_size[0])
        frame = DetDataSample(
            metainfo=dict(
                img_shape=tuple(frame_size), batch_input_shape=padded, ori_shape=tuple(mask_size or frame_size)
            )
        )
        self.clip = TrackDataSample()
        self.clip.video_data_samples = [frame]  # its frames share their sizes, however many they are
        self.register_buffer('mean', pixels.mean.clone())
        self.register_buffer('std', pixels.std.clone())

    def forward(self, frames: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Segment the object that the sentence refers to.

        Args:
            frames: uint8 RGB (T,3,H,W).
            input_ids: int64 (1,L).
            attention_mask: int64 (1,L), 1 for tokens and 0 for padding.

        Returns:
            tuple: ``masks`` logits (T,H,W), above 0 on the object; ``boxes`` (T,4), xyxy in [0,1] of the frame;
            ``scores`` (T,) in [0,1].
        """
        frames = frames if self.reads_rgb else frames.flip(1)
        frames = F.pad((frames.float() - self.mean) / self.std, self.padding)
        text = self.model.encode_tokens(dict(input_ids=input_ids, attention_mask=attention_mask))
        outputs = self.model.forward_transformer(self.model.extract_feat(frames[None]), [self.clip], text=text)
        outputs.pop('box_states', None)
        found = self.model.bbox_head.choose_and_draw(**outputs, clips=[self.clip])
        masks = self.model.bbox_head.to_original_size(found['masks'], self.clip[0])
        return masks, found['boxes'], found['scores']


def example_inputs(frame_size: Sequence[int], words: int, frames: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs of the right shapes and types."""
    ids = torch.full((1, words), 5)
    return torch.zeros(frames, 3, *frame_size, dtype=torch.uint8), ids, torch.ones_like(ids)


def export_program(
    model: nn.Module, frame_size: Sequence[int], words: int, mask_size: Sequence[int] | None = None
) -> torch.export.ExportedProgram:
    """Trace a model with ``torch.export``: the number of frames is free, from 2 on.

    Args:
        model: As of :class:`ExportableRVOS`.
        frame_size: (H, W) of the frames.
        words: L, the number of tokens, padding included.
        mask_size: (H, W) of the masks; None: that of the frames.

    Raises:
        InputError: The model computes the number of frames into the graph, as the windows of Swin do.
    """
    exportable = ExportableRVOS(model, frame_size, mask_size).eval()
    frames = torch.export.Dim('frames', min=2, max=100_000)
    try:
        with torch.no_grad():
            return torch.export.export(
                exportable,
                example_inputs(frame_size, words),
                dynamic_shapes=({0: frames}, None, None),
                strict=False,  # how Python is traced: 'strict' goes through its bytecode. No check is switched off
            )
    except RuntimeError as error:  # of several kinds, all of which torch.export raises where it cannot trace
        backbone = type(model.backbone).__name__
        raise InputError(
            f'This model cannot be traced with a free number of frames; {backbone} may fix it (a ResNet does not): '
            f'{str(error).splitlines()[0]}'
        ) from error


def export_onnx(
    model: nn.Module,
    path: str | os.PathLike,
    frame_size: Sequence[int],
    words: int,
    mask_size: Sequence[int] | None = None,
    properties: dict | None = None,
) -> None:
    """Write a model as an ONNX file with its weights inside, whole or not at all.

    Inputs and outputs are those of :class:`ExportableRVOS` by name; any number of frames.

    Args:
        model: As of :class:`ExportableRVOS`.
        path: File to write, ``.onnx``.
        frame_size: (H, W) of the frames.
        words: L, the number of tokens, padding included.
        mask_size: (H, W) of the masks; None: that of the frames.
        properties: Further facts for the file's metadata, next to the sizes: anything that json can hold.

    Raises:
        InputError: A package is missing, or the model does not fit into one file.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(f"Writing ONNX files needs {error.name}: pip install 'ifirvos[onnx]'.") from error
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    if size >= PROTOBUF_BYTES:
        raise InputError(f'The weights take {size / 2**30:.1f} GiB, and an ONNX file at most 2.')
    program = export_program(model, frame_size, words, mask_size)
    # The runtime optimises the graph when it loads it; doing so here takes minutes.
    exported = torch.onnx.export(
        program,
        input_names=INPUTS,
        output_names=OUTPUTS,
        opset_version=OPSET,
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    facts = dict(frame_size=list(frame_size), words=words, mask_size=list(mask_size or frame_size), **properties or {})
    exported.model.metadata_props['ifirvos'] = json.dumps(facts)
    with written_whole(path) as part:
        exported.save(str(part), external_data=False)


def pad_tokens(model: nn.Module, sentence: str, words: int) -> tuple[Tensor, Tensor]:
    """Return ``input_ids`` and ``attention_mask`` of a sentence, both (1,L), padded to L tokens.

    Raises:
        InputError: It has more tokens.
    """
    encoder = model.text_encoder
    tokens = encoder.tokenize([sentence])
    missing = words - tokens['input_ids'].shape[1]
    if missing < 0:
        raise InputError(f'{sentence!r} has {words - missing} tokens, and the graph takes {words}.')
    return (
        F.pad(tokens['input_ids'], (0, missing), value=encoder.pad_token_id),
        F.pad(tokens['attention_mask'], (0, missing)),
    )


def differences(model: nn.Module, path: str | os.PathLike, sentence: str, num_frames: int = 5) -> dict[str, float]:
    """Run an ONNX file and its model on random frames.

    Args:
        model: What the file was made of.
        path: A file of :func:`export_onnx`.
        sentence: A sentence.
        num_frames: T.

    Returns:
        The largest absolute difference of each output.

    Raises:
        InputError: onnxruntime is missing, or the sentence too long.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise InputError("Running ONNX files needs onnxruntime: pip install 'ifirvos[onnx]'.") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of each node that it folds only later
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    facts = json.loads(session.get_modelmeta().custom_metadata_map['ifirvos'])
    frames = torch.randint(0, 256, (num_frames, 3, *facts['frame_size']), dtype=torch.uint8)
    inputs = (frames, *pad_tokens(model, sentence, facts['words']))
    found = session.run(OUTPUTS, {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)})
    with torch.no_grad():
        wanted = ExportableRVOS(model, facts['frame_size'], facts['mask_size'])(*inputs)
    return {
        name: (torch.from_numpy(ours) - theirs).abs().max().item()
        for name, ours, theirs in zip(OUTPUTS, found, wanted, strict=True)
    }
