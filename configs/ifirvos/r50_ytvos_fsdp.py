# r50_ytvos.py with parameters, gradients and optimiser state sharded over the GPUs (PyTorch's FSDP), for models too
# large for one GPU. Checkpoints are complete and load into any other config of the same model.
_base_ = './r50_ytvos.py'

runner_type = 'FlexibleRunner'
strategy = dict(
    type='AtomicFSDPStrategy',
    state_dict_cfg='full',
    model_wrapper=dict(
        use_orig_params=True,  # frozen and trained parameters, and several rates, in one model
        # The sharding units. Heads and the attentions of the pixel decoder stay in the root unit, because other modules
        # call their parts.
        auto_wrap_policy=dict(
            type='wrap_by_class_name',
            names=[
                'Bottleneck',
                'RobertaLayer',
                'ClipDeformableEncoderLayer',
                'IFIDecoderLayer',
                'TokenwiseFFN',
            ],
        ),
    ),
)
optim_wrapper = dict(type='ShardedOptimWrapper')  # clips by the norm over all GPUs
