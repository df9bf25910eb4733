"""What mmengine asks every OpenMMLab package for."""

from mmengine import registry


def register_all_modules(init_default_scope: bool = True) -> None:
    """Register everything, as importing the package does: for ``mmengine.hub.get_model('ifirvos::…')``.

    Args:
        init_default_scope: Also make mmdet's scope, in which ours are registered, the default.
    """
    if init_default_scope:
        registry.init_default_scope('mmdet')
