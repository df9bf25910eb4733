# What changes in a ResNet-50 model for this backbone; a leaf uses it as `model = _base_.with_backbone`.
with_backbone = dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101')))
