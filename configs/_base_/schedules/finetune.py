# Fine-tuning on a few videos with one GPU: a tenth of ReferFormer's learning rates (opts.py: 1e-4, backbone 5e-5),
# constant after a short warm-up, with early stopping (see the config). All numbers are ours.
_base_ = './referformer_6e.py'
train_cfg = dict(max_epochs=20, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=1e-5))
param_scheduler = [dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100)]
auto_scale_lr = dict(enable=False, base_batch_size=1)
