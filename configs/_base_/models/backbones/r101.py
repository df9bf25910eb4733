# A leaf says `model = _base_.with_backbone`: what changes in a model of ResNet-50 for this backbone.
with_backbone = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
