"""Draws the figures of docs/architecture.md: the whole model, vision-language interaction, inter-frame interaction.

    python tools/draw_figures.py [--out docs/images]

The names in the boxes are those of the code, checked by tests/test_tools/test_draw_figures.py.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

COLORS = dict(data='#f1f3f5', vision='#d0ebff', text='#ffe8cc', interaction='#d3f9d8', time='#e5dbff', head='#ffe3e3')
# Class (or configuration key) that a box stands for -> nothing; the test looks them up in the sources.
NAMED: set[str] = set()


def box(ax: Axes, x: float, y: float, width: float, height: float, text: str, kind: str, name: str = '') -> None:
    """Draw a rounded box with a text and, below it in small letters, the name in the code."""
    ax.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle='round,pad=0,rounding_size=0.12',
            facecolor=COLORS[kind],
            edgecolor='#495057',
        )
    )
    middle = x + width / 2, y + height / 2
    if name:
        NAMED.update(name.split(' + '))
        ax.text(middle[0], middle[1] + 0.13, text, ha='center', va='center', fontsize=9)
        ax.text(
            middle[0],
            middle[1] - 0.2,
            name,
            ha='center',
            va='center',
            fontsize=6.2,
            family='monospace',
            color='#364fc7',
        )
    else:
        ax.text(*middle, text, ha='center', va='center', fontsize=9)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], label: str = '', bend: float = 0.0) -> None:
    """Draw an arrow, and what flows along it."""
    ax.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle='-|>', mutation_scale=11, color='#495057', connectionstyle=f'arc3,rad={bend}'
        )
    )
    if label:
        ax.text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.12, label, ha='center', va='bottom', fontsize=7)


def canvas(width: float, height: float) -> tuple[plt.Figure, Axes]:
    """Return an empty figure whose units are inches."""
    fig, ax = plt.subplots(figsize=(width, height))
    ax.set_xlim(0, width)
    ax.set_ylim(0, height)
    ax.axis('off')
    fig.subplots_adjust(0, 0, 1, 1)
    return fig, ax


def architecture() -> plt.Figure:
    """Draw the flow of the whole model (section 2 of the design; ifirvos/models/ifirvos.py)."""
    fig, ax = canvas(11.4, 5.1)
    box(ax, 0.1, 3.9, 1.4, 0.8, 'T frames', 'data')
    box(ax, 0.1, 1.2, 1.4, 0.8, 'sentence', 'data')
    box(ax, 2.0, 3.9, 1.6, 0.8, 'backbone, neck', 'vision', 'ResNet + ChannelMapper')
    box(ax, 2.0, 1.2, 1.6, 0.8, 'text encoder', 'text', 'RobertaTextEncoder')
    box(ax, 4.1, 2.2, 1.9, 1.4, 'VLI: VEwL and LEwV', 'interaction', 'VisionLanguageInteraction')
    box(ax, 6.5, 3.9, 1.6, 0.8, 'encoder', 'vision', 'ClipDeformableEncoder')
    box(ax, 6.5, 2.1, 1.6, 1.1, 'decoder with IFI', 'time', 'IFIDecoderLayer')
    box(ax, 8.7, 3.9, 1.6, 0.8, 'cross-modal FPN', 'vision', 'CrossModalFPN')
    box(ax, 8.7, 2.25, 1.6, 0.8, 'class, box, controller', 'head', 'RVOSHead')
    box(ax, 8.7, 0.9, 1.6, 0.8, 'dynamic convolutions', 'head', 'DynamicMaskHead')
    arrow(ax, (1.5, 4.3), (2.0, 4.3))
    arrow(ax, (1.5, 1.6), (2.0, 1.6))
    arrow(ax, (3.6, 4.3), (4.5, 3.6), '$F_v$')
    arrow(ax, (3.6, 1.6), (4.5, 2.2), '$F_l$')
    arrow(ax, (5.6, 3.6), (6.5, 4.3), "$F'_v$")
    arrow(ax, (6.0, 2.7), (6.5, 2.65), '$F_l^s$')
    arrow(ax, (7.3, 3.9), (7.3, 3.2), '')
    ax.text(7.38, 3.5, 'memory', fontsize=7)
    arrow(ax, (8.1, 4.3), (8.7, 4.3))
    arrow(ax, (8.1, 2.65), (8.7, 2.65), 'N queries\na frame')
    arrow(ax, (9.5, 2.25), (9.5, 1.7), '')
    ax.text(9.56, 1.95, 'weights', fontsize=7)
    arrow(ax, (10.3, 4.3), (10.3, 1.5), '', -0.35)
    ax.text(10.93, 2.9, '$F_{seg}$', fontsize=8)
    arrow(ax, (9.5, 0.9), (9.5, 0.5))
    ax.text(9.5, 0.3, 'masks (B, T, N, H/4, W/4)', ha='center', fontsize=8)
    arrow(ax, (2.8, 4.7), (9.5, 4.7), '', -0.08)
    ax.text(6.2, 5.0, 'backbone features of stride 4', ha='center', fontsize=7)
    box(ax, 8.75, 3.3, 0.7, 0.32, '$F_l$', 'text')
    arrow(ax, (9.1, 3.62), (9.1, 3.9))
    return fig


def vli() -> plt.Figure:
    """Draw section 3.3: both halves of vision-language interaction, each attention times its query."""
    fig, ax = canvas(9.4, 4.3)
    ax.text(0.1, 4.05, 'VEwL: every level of the frames is told the words', fontsize=10, weight='bold')
    box(ax, 0.1, 2.9, 1.5, 0.7, '$F_v$, one level', 'vision')
    box(ax, 0.1, 2.1, 1.5, 0.6, '$F_l$', 'text')
    box(ax, 2.4, 2.5, 2.0, 0.8, 'attention', 'interaction', 'CrossModalInteraction')
    box(ax, 5.2, 2.6, 0.8, 0.6, '×', 'interaction')
    box(ax, 6.9, 2.55, 1.8, 0.7, "$F'_v$ to the encoder", 'vision')
    arrow(ax, (1.6, 3.25), (2.4, 3.05), 'query')
    arrow(ax, (1.6, 2.4), (2.4, 2.7), 'key + place, value')
    arrow(ax, (4.4, 2.9), (5.2, 2.9))
    arrow(ax, (1.6, 3.4), (5.6, 3.2), '', -0.18)
    arrow(ax, (6.0, 2.9), (6.9, 2.9))
    ax.text(
        0.1, 1.72, 'LEwV: the words see all T frames, level after level (stride 8 to 64)', fontsize=10, weight='bold'
    )
    box(ax, 0.1, 0.8, 1.5, 0.65, '$F_l$', 'text')
    box(ax, 0.1, 0.05, 1.5, 0.6, '$F_v$, T frames', 'vision')
    box(ax, 2.4, 0.35, 2.0, 0.8, 'attention', 'interaction', 'CrossModalInteraction')
    box(ax, 5.2, 0.45, 0.8, 0.6, '×', 'interaction')
    box(ax, 6.9, 0.4, 2.3, 0.7, '$F_l^s$: where queries start', 'text')
    arrow(ax, (1.6, 1.1), (2.4, 0.95), 'query')
    arrow(ax, (1.6, 0.35), (2.4, 0.55), 'key + place, value')
    arrow(ax, (4.4, 0.75), (5.2, 0.75))
    arrow(ax, (1.6, 1.3), (5.6, 1.05), '', -0.15)
    arrow(ax, (6.0, 0.75), (6.9, 0.75), 'pooled')
    arrow(ax, (5.6, 0.45), (3.4, 0.35), '', -0.35)
    ax.text(4.5, -0.02, 'next level', fontsize=7, ha='center')
    return fig


def ifi() -> plt.Figure:
    """Draw section 3.4: the queries of all frames meet after every decoder layer."""
    fig, ax = canvas(9.4, 3.9)
    for frame, left in enumerate((0.3, 3.2, 6.1)):
        label = ('frame 1', 'frame 2', 'frame T')[frame]
        box(ax, left, 2.75, 2.4, 0.7, f'decoder layer, {label}', 'vision', 'IFIDecoderLayer')
        arrow(ax, (left + 1.2, 2.75), (left + 1.2, 2.05))
        ax.text(left + 1.28, 2.35, 'N queries', fontsize=7)
        arrow(ax, (left + 1.2, 1.25), (left + 1.2, 0.75))
        box(ax, left, 0.05, 2.4, 0.7, f'box refinement, {label}', 'head')
    ax.text(5.85, 3.1, '…', fontsize=14, ha='center')
    box(ax, 0.3, 1.25, 8.2, 0.8, 'self-attention over T·N queries, then FFN', 'time', 'InterFrameInteraction')
    ax.text(9.0, 1.65, '× layers', fontsize=9, ha='center')
    ax.text(0.3, 3.62, '(B·T, N, C) → (B, T·N, C) → (B·T, N, C)', fontsize=8.5, family='monospace')
    return fig


FIGURES = dict(architecture=architecture, vli=vli, ifi=ifi)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('docs/images'), help='default: docs/images')
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        fig = draw()
        fig.savefig(args.out / f'{name}.png', dpi=150, metadata={'Software': None})
        plt.close(fig)
        print(args.out / f'{name}.png')


if __name__ == '__main__':
    main()
