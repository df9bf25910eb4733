# ReferFormer's pre-training and joint training (scripts/dist_pretrain.sh, dist_joint_train_ytvos.sh): 12 epochs, x0.1
# at 8 and 10.
_base_ = './referformer_6e.py'
train_cfg = dict(max_epochs=12, val_interval=12)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[8, 10], gamma=0.1)]
