"""For torch.hub: ``torch.hub.load('FOLDER', 'rvos', source='local')``, FOLDER being a checkout.

The packages of ``dependencies`` must be installed; docs/install.md says how.
"""

dependencies = ['torch', 'mmengine', 'mmcv', 'mmdet', 'transformers', 'av', 'pycocotools']


def rvos(model=None, weights=None, **options):
    """Return an inferencer: call it with a video and sentences.

    Args:
        model: A name of model-index.yml, or a config; None: the shipped small model.
        weights: A checkpoint; None: that of the model.
        **options: Further arguments of ``ifirvos.RVOSInferencer``.
    """
    from ifirvos import RVOSInferencer

    return RVOSInferencer(model, weights, **options)


def ifirvos_r18_synth(**options):
    """Return an earlier small model, which knows the coloured shapes of SynthRVOS only; the default is a later one."""
    return rvos('r18_synth', **options)
