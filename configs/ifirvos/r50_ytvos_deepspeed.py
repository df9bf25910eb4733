# r50_ytvos.py with gradients and optimiser state sharded over the GPUs by DeepSpeed's ZeRO, stage 2 (pip install
# deepspeed). In fp32: DeepSpeed's bf16 converts all weights to bf16, also those of LEwV and deformable attention.
_base_ = './r50_ytvos.py'

runner_type = 'FlexibleRunner'
strategy = dict(
    type='HandOverDeepSpeedStrategy',
    train_micro_batch_size_per_gpu=_base_.train_dataloader.batch_size,
    gradient_clipping=0.1,  # r50_ytvos.py's clip_grad
    zero_optimization=dict(
        stage=2,
        overlap_comm=True,
        contiguous_gradients=True,
        reduce_bucket_size=50_000_000,  # ours: a tenth of DeepSpeed's, the model has about 180M parameters
    ),
)
optim_wrapper = dict(
    _delete_=True,
    type='DeepSpeedOptimWrapper',
    constructor=_base_.optim_wrapper.constructor,
    optimizer=_base_.optim_wrapper.optimizer,
    paramwise_cfg=_base_.optim_wrapper.paramwise_cfg,
)
