# The full method with the paper's values (sections 3 and 4.2). Where the paper is silent, the value is that of
# ReferFormer's official code, whose transformer, pixel decoder and mask head the paper reuses. The paper gives no
# widths for the two new modules: they are those of the decoder.
model = dict(
    type='IFIRVOS',
    num_queries=5,  # N, paper 4.2
    num_feature_levels=4,  # N_l, paper 4.2
    cut_to_key_frames=False,  # True (ReferFormer, A2D-Sentences): keep only the annotated frames after the backbone
    value_pos=False,  # True (ours, for small models): add positions to the values of the decoder's cross-attention
    fpn_text='raw',  # or 'lewv': the cross-modal FPN uses LEwV's output words
    frozen_trunk=False,  # True (ours, for small models): freeze backbone, neck, VEwL, encoder and pixel decoder
    data_preprocessor=dict(
        type='RVOSDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=32,
        # Whole videos are tested unpadded, as in the reference code; configs for single frames (A2D-, JHMDB-Sentences,
        # RefCOCO) set 32.
        test_pad_size_divisor=1,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(
        type='ChannelMapper',
        in_channels=[512, 1024, 2048],
        kernel_size=1,
        out_channels=256,
        act_cfg=None,
        norm_cfg=dict(type='GN', num_groups=32),
        bias=True,
        num_outs=4,
    ),
    text_encoder=dict(
        type='RobertaTextEncoder',
        name='roberta-base',  # or a local folder
        pretrained=True,
        frozen=True,  # paper 4.2: trained in pre-training (r50_refcoco_pretrain.py), then frozen
    ),
    vli=dict(
        type='VisionLanguageInteraction',
        # None: off. value_pos: add positions to the values too, not only to the keys (eq. 1 to 4 do not say).
        # out_proj_init: 'xavier', as in the transformer, or 'torch', PyTorch's default, as in ReferFormer.
        vewl=dict(value_pos=False, out_proj_init='xavier'),
        # None: off. residual, post_norm: our extensions. order: 'fine_to_coarse' (Figure 3) or 'coarse_to_fine'.
        # pooling: the 'first' token, as RoBERTa's "poolout", or the 'mean' of all.
        lewv=dict(residual=False, post_norm=False, value_pos=False, order='fine_to_coarse', pooling='first'),
        embed_dims=256,
        num_heads=8,  # ours: not in the paper
        fusion='multiply',  # or 'ffn' (Table 5)
        text='fixed',  # or 'dynamic' (Table 5)
    ),
    # 'reference': as in ReferFormer, whose sine encoding of fully padded rows and columns is noise that reaches the
    # masks.
    positional_encoding=dict(num_feats=128, normalize=True, offset=-0.5, padding_encoding='zero'),
    encoder=dict(
        num_layers=4,  # paper 4.2
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=256, num_heads=8, num_levels=4, num_points=4, dropout=0.1, batch_first=True),
            ffn_cfg=dict(embed_dims=256, feedforward_channels=2048, num_fcs=2, ffn_drop=0.1),
        ),
    ),
    decoder=dict(
        num_layers=4,  # paper 4.2
        return_intermediate=True,
        post_norm_cfg=None,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=256, num_heads=8, dropout=0.1, batch_first=True),
            cross_attn_cfg=dict(embed_dims=256, num_heads=8, num_levels=4, num_points=4, dropout=0.1, batch_first=True),
            ffn_cfg=dict(embed_dims=256, feedforward_channels=2048, num_fcs=2, ffn_drop=0.1),
            ifi_cfg=dict(  # None: no IFI. "Standard" attention and FFN (paper 3.4); the numbers are ours
                embed_dims=256,
                num_heads=8,
                feedforward_channels=2048,
                dropout=0.1,
                temporal_pos=None,  # or 'sine', 'learned': encode the time of the frames (ours)
                box_pos=False,  # True: encode the box centres of the queries (ours)
                query_pos=False,  # True: add the query positions to queries and keys (ours)
                place='before',  # the box refinement of its layer (Figure 4), or 'after' it
            ),
        ),
    ),
    pixel_decoder=dict(
        type='CrossModalFPN',
        in_channels=[256, 256, 256, 256],
        embed_dims=256,
        num_heads=8,
        feedforward_channels=2048,
        dropout=0.1,
        num_groups=8,
        reductions=(8, 4, 2, 1),
    ),
    bbox_head=dict(
        type='RVOSHead',
        num_classes=1,
        embed_dims=256,
        num_reg_fcs=2,
        mask_head=dict(in_channels=256, channels=8, stride=4),
        mask_target='point',  # or 'area', for small frames
        box_loss_on_absent=True,  # as in the reference code; False skips frames without the object
        # loss weights: paper 4.2
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=2.0),
        loss_bbox=dict(type='L1Loss', loss_weight=5.0),
        loss_iou=dict(type='AlignedGIoULoss', loss_weight=2.0),
        loss_mask=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_dice=dict(type='DiceLoss', use_sigmoid=True, naive_dice=True, eps=1.0, loss_weight=1.0),
    ),
    train_cfg=dict(
        assigner=dict(
            type='HungarianAssigner',
            match_costs=[  # the same weights
                dict(type='ClipFocalLossCost', weight=2.0),
                dict(type='ClipBBoxL1Cost', weight=5.0),
                dict(type='ClipIoUCost', weight=2.0),
                dict(type='ClipMaskFocalLossCost', weight=1.0),
                dict(type='DiceCost', pred_act=True, eps=1.0, weight=1.0),
            ],
        )
    ),
    test_cfg=dict(
        frame_chunk=16,  # ours: bounds memory, does not change results
        window=None,  # 36 for Ref-DAVIS17: split videos into clips of 36 frames
        mask_probs=False,  # True for Ref-DAVIS17: objects are merged by probability
        candidates=False,  # True: also predict all N queries, for A2D-Sentences' mAP; 'smooth': like the chosen one
    ),
)
