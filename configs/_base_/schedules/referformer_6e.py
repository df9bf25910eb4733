# ReferFormer's learning rates (opts.py): 1e-4, backbone 5e-5, text encoder 1e-5; 6 epochs, x0.1 at 3 and 5
# (scripts/dist_train_test_ytvos.sh, dist_train_a2d.sh).
_base_ = './ytvos_6e.py'
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.5), 'text_encoder': dict(lr_mult=0.1)}),
)
