# default_runtime.py for schedules that count iterations.
_base_ = './default_runtime.py'

default_hooks = dict(
    checkpoint=dict(interval=500, by_epoch=False),
    logger=dict(interval=50, log_metric_by_epoch=False),
)
log_processor = dict(by_epoch=False)
