"""Average precision of masks by pycocotools, as A2D-Sentences and JHMDB-Sentences are evaluated."""

import contextlib
import io
from collections.abc import Sequence

from pycocotools import mask as rle_tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def average_precision(gts: Sequence[dict], preds: Sequence[Sequence[tuple[float, dict]]]) -> float:
    """Mean average precision over IoU 0.50:0.05:0.95, categories ignored (``useCats=0``).

    Every sample (an expression on a frame) counts as one image with one annotated object.

    Args:
        gts: The annotated mask of every sample, run-length coded.
        preds: Predictions of every sample: score and run-length code. pycocotools uses the best 100.

    Returns:
        A fraction.

    Raises:
        ValueError: if there is no sample, or the numbers differ.
    """
    if not gts or len(gts) != len(preds):
        raise ValueError(f'expected predictions for every annotated sample, at least one: {len(gts)} and {len(preds)}')
    found = [
        dict(image_id=index, category_id=1, segmentation=code, score=float(score))
        for index, candidates in enumerate(preds, 1)
        for score, code in candidates
    ]
    if not found:
        return 0.0
    truth = COCO()
    truth.dataset = dict(
        info={},
        categories=[dict(id=1, name='referred object')],
        images=[dict(id=index, height=gt['size'][0], width=gt['size'][1]) for index, gt in enumerate(gts, 1)],
        annotations=[
            dict(
                id=index,
                image_id=index,
                category_id=1,
                segmentation=gt,
                area=int(rle_tools.area(gt)),
                bbox=rle_tools.toBbox(gt).tolist(),
                iscrowd=0,
            )
            for index, gt in enumerate(gts, 1)
        ],
    )
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), iouType='segm')
        evaluation.params.useCats = 0
        evaluation.evaluate()
        evaluation.accumulate()
    # (thresholds, recalls, categories, areas, numbers of detections): all areas, 100 detections, as COCO's first
    # figure.
    return float(evaluation.eval['precision'][:, :, 0, 0, -1].mean())
