# Paper 4.2: pre-training on images for 10 epochs, x0.1 at 6 and 8; learning rates, clipping and decay as in
# fine-tuning.
_base_ = './ytvos_6e.py'
train_cfg = dict(max_epochs=10)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[6, 8], gamma=0.1)]
