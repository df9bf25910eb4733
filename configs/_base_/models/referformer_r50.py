# ReferFormer (arXiv 2201.00487), numerically equal to its official implementation: VEwL only, queries start from
# RoBERTa's pooled output, no inter-frame interaction. Loss weights, also in the matching cost, are those of its
# opts.py.
_base_ = './ifirvos_r50.py'
model = dict(
    vli=dict(vewl=dict(out_proj_init='torch'), lewv=None),
    positional_encoding=dict(padding_encoding='reference'),
    decoder=dict(layer_cfg=dict(ifi_cfg=None)),
    bbox_head=dict(
        loss_mask=dict(loss_weight=2.0),
        loss_dice=dict(loss_weight=5.0),
    ),
    train_cfg=dict(
        assigner=dict(
            match_costs=[
                dict(type='ClipFocalLossCost', weight=2.0),
                dict(type='ClipBBoxL1Cost', weight=5.0),
                dict(type='ClipIoUCost', weight=2.0),
                dict(type='ClipMaskFocalLossCost', weight=2.0),
                dict(type='DiceCost', pred_act=True, eps=1.0, weight=5.0),
            ]
        )
    ),
)
