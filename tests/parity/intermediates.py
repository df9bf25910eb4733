"""What happens inside a forward pass, under the official implementation's names and in its layouts."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple
from unittest import mock

import torch
from mmdet.structures import TrackDataSample
from torch import Tensor, nn

from ifirvos.models import deformable_attention


class Call(NamedTuple):
    """One call of a module."""

    args: tuple
    kwargs: dict
    output: object


@contextmanager
def calls_of(**modules: nn.Module) -> Iterator[dict[str, list[Call]]]:
    """Records every call of the modules, by the name they are given under."""
    calls = defaultdict(list)
    with ExitStack() as hooks:
        for name, module in modules.items():

            def record(_, args, kwargs, output, name=name):
                calls[name].append(Call(args, kwargs, output))

            hooks.callback(module.register_forward_hook(record, with_kwargs=True).remove)
        yield calls


@contextmanager
def sampled_points() -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Sampling locations and attention weights of every deformable attention."""
    original, seen = deformable_attention.sample_values, []

    def spy(value, shapes, locations, weights):
        seen.append((locations, weights))
        return original(value, shapes, locations, weights)

    with mock.patch.object(deformable_attention, 'sample_values', spy):
        yield seen


@torch.no_grad()
def forward(model: nn.Module, inputs: Tensor, clips: list[TrackDataSample]) -> dict[str, Tensor]:
    """``mode='tensor'`` -> ``out/*`` and ``mid/*``, named and laid out as the official numbers are."""
    frames = len(clips[0])
    layers = {f'encoder{i}': layer for i, layer in enumerate(model.encoder.layers)}
    layers |= {f'decoder{i}': layer for i, layer in enumerate(model.decoder.layers)}
    for i in range(4):  # official names count from 1 = stride 4
        layers[f'lateral{i + 1}'] = model.pixel_decoder.lateral_convs[i]
        layers[f'block{i + 1}'] = model.pixel_decoder.blocks[i]
        layers[f'fpn{i + 1}'] = model.pixel_decoder.fpn_convs[i]
    with (
        sampled_points() as points,
        calls_of(
            backbone=model.backbone,
            neck=model.neck,
            position=model.positional_encoding,
            text=model.text_encoder,
            projection=model.text_projection,
            word_position=model.word_encoding,
            vli=model.vli,
            encoder=model.encoder,
            decoder=model.decoder,
            pixel_decoder=model.pixel_decoder,
            controller=model.bbox_head.controller,
            **layers,
        ) as calls,
    ):
        outputs = model(inputs, clips, mode='tensor')

    def output(name: str, call: int = 0):
        return calls[name][call].output

    found = {
        'out/pred_logits': outputs['cls_logits'],
        'out/pred_boxes': outputs['boxes'],
        'out/pred_masks': outputs['mask_logits'],
        'out/reference_points': outputs['reference_points'],
        'mid/roberta_last': output('text')['words'],
        'mid/roberta_pooler': output('text')['pooled'],
        'mid/text_mask': output('text')['padding_mask'],
        'mid/text_features': output('projection', 0),
        'mid/sentence_feature': output('projection', 1),
        'mid/text_pos': output('word_position').transpose(1, 2),
        'mid/enc_ref_points': calls['encoder0'][0].kwargs['reference_points'],
        'mid/memory': output('encoder'),
        'mid/query_text': calls['decoder'][0].kwargs['query'].unflatten(0, (-1, frames)),
        'mid/init_reference': calls['decoder'][0].kwargs['reference_points'],
        'mid/hs': output('decoder')[0],
        'mid/inter_references': torch.stack(list(output('decoder')[1])),
        'mid/mask_features': output('pixel_decoder'),
    }
    # Ours are per clip, strides 4 to 64; the official ones per frame, and twice over: backbone 4..32, levels 8..64.
    for i, call in enumerate(calls['position']):
        position = call.output.repeat_interleave(frames, 0)
        mask = call.args[0]
        if mask is None:  # says that no clip is padded
            mask = torch.zeros_like(call.output[:, 0], dtype=torch.bool)
        mask = mask.repeat_interleave(frames, 0)
        if i < 4:
            found |= {f'mid/pos{i}': position, f'mid/mask_backbone{i}': mask, f'mid/mask_res{i + 2}': mask}
        if i > 0:
            found |= {f'mid/lvl_pos{i - 1}': position, f'mid/mask_lvl{i - 1}': mask}
    for i, (projected, fused) in enumerate(zip(output('neck'), output('vli')[0], strict=True)):
        size = projected.shape[-2:]
        found[f'mid/proj{i}'] = projected
        found[f'mid/fused{i}'] = fused.unflatten(1, (frames, *size)).permute(0, 1, 4, 2, 3).flatten(0, 1)
    for i in range(4):
        level = i + 1
        tokens = output(f'block{level}').unflatten(0, (-1, frames)).permute(1, 3, 4, 0, 2)  # T h w B C
        locations, weights = points[len(model.encoder.layers) + i]
        found |= {
            f'mid/backbone{i}': output('backbone')[i],
            f'mid/enc{i}': output(f'encoder{i}'),
            f'mid/dec{i}_ref_input': calls[f'decoder{i}'][0].kwargs['reference_points'],
            f'mid/dec{i}_out': output(f'decoder{i}'),
            f'mid/dec{i}_locations': locations,
            f'mid/dec{i}_weights': weights,
            f'mid/controller{i}': output('controller', i),
            f'mid/fpn{level}_lateral': output(f'lateral{level}'),
            f'mid/fpn{level}_fused': tokens.flatten(0, 2),
            f'mid/fpn{level}_out': output(f'fpn{level}'),
        }
    return found
