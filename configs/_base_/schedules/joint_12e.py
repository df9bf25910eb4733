# ReferFormer's joint training (scripts/dist_joint_train_ytvos.sh): 12 epochs, x0.1 at 8 and 10, with the paper's
# learning rates. The paper has no joint training.
_base_ = './ytvos_6e.py'
train_cfg = dict(max_epochs=12, val_interval=12)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[8, 10], gamma=0.1)]
