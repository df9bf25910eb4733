"""TensorBoard scalars where TensorBoard is installed."""

from typing import Any

from mmengine.logging import print_log
from mmengine.visualization import TensorboardVisBackend

from ifirvos.registry import VISBACKENDS


@VISBACKENDS.register_module()
class OptionalTensorboardVisBackend(TensorboardVisBackend):
    """mmengine's TensorboardVisBackend, which only logs a note if tensorboard is not installed."""

    def _init_env(self) -> None:
        try:
            super()._init_env()
        except ImportError:
            print_log(
                'No TensorBoard scalars: the package tensorboard is not installed. vis_data/scalars.json holds the '
                'same numbers, curves.png draws them.',
                logger='current',
            )
            self._tensorboard = _Nothing()


class _Nothing:
    """A SummaryWriter that writes nothing."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith(('add_', 'close', 'flush')):
            raise AttributeError(name)
        return lambda *args, **kwargs: None
