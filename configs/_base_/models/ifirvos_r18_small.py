# The same classes as ifirvos_r50.py, small enough to train from scratch on a CPU: a narrow ResNet-18, C=64, two encoder
# and three decoder layers, a two-layer RoBERTa with its own tokenizer. All modules of the paper are on. The
# numbers are ours, and so are post_norm, value_pos, box_pos and query_pos, which this small model needed to learn from
# scratch.
_base_ = './ifirvos_r50.py'

channels = 64  # C
heads = 4
ffn_channels = 256
attention = dict(embed_dims=channels, num_heads=heads, dropout=0.0)
deformable = dict(embed_dims=channels, num_heads=heads, num_points=2, dropout=0.0)
ffn = dict(embed_dims=channels, feedforward_channels=ffn_channels, ffn_drop=0.0)

model = dict(
    data_preprocessor=dict(pad_size_divisor=32, test_pad_size_divisor=32),
    backbone=dict(
        depth=18,
        base_channels=16,
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[32, 64, 128], out_channels=channels, norm_cfg=dict(type='GN', num_groups=8)),
    text_encoder=dict(
        name='synth_tokenizer',  # included in the package
        pretrained=False,
        frozen=False,
        config=dict(
            vocab_size=537,
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=256,
            max_position_embeddings=514,
            type_vocab_size=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
        ),
    ),
    text_dropout=0.0,
    # Trained from scratch, LEwV's product grew to an rms of 30 within 3,500 steps and the tanh after it saturated:
    # every sentence gave the same query. A LayerNorm before the pooling prevents this.
    vli=dict(embed_dims=channels, num_heads=heads, lewv=dict(post_norm=True)),
    value_pos=True,
    positional_encoding=dict(num_feats=channels // 2),
    encoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=deformable, ffn_cfg=ffn)),
    decoder=dict(
        num_layers=3,
        layer_cfg=dict(
            self_attn_cfg=attention,
            cross_attn_cfg=deformable,
            ffn_cfg=ffn,
            ifi_cfg=dict(
                embed_dims=channels,
                num_heads=heads,
                feedforward_channels=ffn_channels,
                dropout=0.0,
                box_pos=True,
                query_pos=True,
            ),
        ),
    ),
    pixel_decoder=dict(
        in_channels=[16, channels, channels, channels],
        embed_dims=channels,
        num_heads=heads,
        feedforward_channels=128,
        dropout=0.0,
    ),
    bbox_head=dict(
        embed_dims=channels,
        mask_head=dict(in_channels=channels),
        mask_target='area',  # at 64x96, point sampling limits J to about 0.77
        # Masks are learnt first; the class score, which chooses the query, is learnt late.
        loss_cls=dict(loss_weight=10.0),
        # ReferFormer's mask weights; the paper's 1 and 1 are for pretrained models.
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
    test_cfg=dict(frame_chunk=None),
)
