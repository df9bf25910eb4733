"""The Gradio page: layout and events."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'  # before it is imported

import gradio as gr
import numpy as np

from ifirvos.errors import InputError
from ifirvos.inference.demo import render
from ifirvos.inference.domain import REAL_MODEL, knows_synth_rvos_alone
from ifirvos.inference.inferencer import RVOSInferencer
from ifirvos.synth import make_clip
from ifirvos.video.writer import video_suffix

from .job import Job, Limits, frame_at, read_sentences, run_job
from .store import Store

TITLE = 'Referring video object segmentation'
ABOUT = """# Say what to segment in a video
Upload or record a video, and write one sentence per line: each gets the object that it refers to."""
SHAPES_ALONE = f""" This model only knows coloured shapes as in the examples below; for real video, start the page with
`--model {REAL_MODEL}` or your own weights."""
# Indices of SynthRVOS's split 'valid', beyond its data sets; clips that the shipped model segments correctly.
EXAMPLES = (100_000, 100_002, 100_014)
NEEDS_ORDER = (
    'direction',
    'order',
)  # kinds not in the examples: they need frame times
# The page loads nothing from other servers: Gradio's themes would fetch fonts from Google, and trimming a video ffmpeg.
THEME = gr.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
# Overlay and frame together fit a screen of 1280x900, and one after the other a phone's of 390x844, whatever the shape
# of the video; controls are large enough for fingers.
CSS = """
button[aria-label="Trim video to selection"] { display: none }
#video video { max-height: 34vh; object-fit: contain }
#overlay, #frame { max-height: 36vh }
#overlay video, #frame img { max-height: 34vh; object-fit: contain }
@media (max-width: 640px) {
  #overlay, #frame { max-height: 30vh }
  #overlay video, #frame img { max-height: 28vh }
}
/* they would cover the score in the picture */
#overlay .icon-button-wrapper, #frame .icon-button-wrapper { opacity: 0 }
#overlay:hover .icon-button-wrapper, #overlay:focus-within .icon-button-wrapper,
#frame:hover .icon-button-wrapper, #frame:focus-within .icon-button-wrapper { opacity: 1 }
#segment, #download, #choice label, .gallery-item { min-height: 44px }
"""
# Before the request is sent: close the errors of the previous one, and scroll to the progress and results.
SHOW_RESULTS = """() => {
  document.querySelectorAll('.toast-close').forEach((button) => button.click());
  document.getElementById('results')?.scrollIntoView({behavior: 'smooth', block: 'start'});
}"""


def render_examples(folder: Path, indices: Sequence[int] = EXAMPLES) -> list[list[str]]:
    """Render example clips as video files; return each with two sentences about different objects."""
    examples = []
    for index in indices:
        clip = make_clip(0, 'valid', index)
        path = folder / f'example_{index}{video_suffix()}'
        render(clip, path)
        by_object = {}
        for expression in clip.expressions:
            if expression.kind not in NEEDS_ORDER:
                by_object.setdefault(expression.object_id, expression.text)
        examples.append([str(path), '\n'.join(list(by_object.values())[:2])])
    return examples


def describe(limits: Limits) -> str:
    """Format the limits in one line."""
    return (
        f'Up to {limits.seconds} seconds, {limits.frames} frames, {limits.megabytes} MB, and {limits.sentences} '
        f'sentences of {limits.characters} characters. What you upload and its results stay on this machine and are '
        'deleted about an hour later, or when the server stops.'
    )


class UploadedVideo(gr.Video):
    """A video that is uploaded: Gradio would fetch any address that a request by hand names, of any size."""

    is_template = True  # shown as its parent

    async def async_move_resource_to_block_cache(self, original_file_path: str | Path | None) -> str | None:
        """Refuse an address."""
        return await super().async_move_resource_to_block_cache(_no_address(original_file_path))

    def move_resource_to_block_cache(self, original_file_path: str | Path | None) -> str | None:
        """Refuse an address."""
        return super().move_resource_to_block_cache(_no_address(original_file_path))


def _no_address(path: str | Path | None) -> str | Path | None:
    if '://' in str(path or ''):
        raise gr.Error('Choose a video first.', print_exception=False)
    return path


def build_page(inferencer: RVOSInferencer, work_dir: Path, limits: Limits | None = None) -> gr.Blocks:
    """Build the page; ``launch`` it with :func:`launch`.

    Args:
        inferencer: The model.
        work_dir: An empty folder for uploads, examples and results.
        limits: Limits of a request.
    """
    limits = limits or Limits()
    uploads, jobs = work_dir / 'gradio', work_dir / 'jobs'
    examples_dir = work_dir / 'examples'
    for folder in (uploads, jobs, examples_dir):
        folder.mkdir(parents=True)
    os.environ['GRADIO_TEMP_DIR'] = str(uploads)  # read by every component when it is made

    def segment(video: str | None, text: str, request: gr.Request, progress=gr.Progress()):  # noqa: B008
        try:
            texts = read_sentences(text, limits)
            path = Path(video or '')
            if video is not None and not path.resolve().is_relative_to(uploads.resolve()):
                raise InputError('Choose a video first.')  # a request by hand: only uploads are read

            def work(folder: Path, check: Callable[[], None]) -> Job:
                def progressed(done: int, total: int | None) -> None:
                    check()
                    report(progress, done, total)

                return run_job(inferencer, path, texts, folder, limits, progressed)

            job = store.run(request.session_hash, work)
        except InputError as error:
            # The page shows messages as HTML.
            raise gr.Error(html.escape(str(error)), duration=None, print_exception=False) from error
        choices = [(f'{number}. {text}', number - 1) for number, text in enumerate(job.texts, 1)]
        slider = gr.Slider(0, max(len(job.times) - 1, 1), value=0, step=1, interactive=len(job.times) > 1)
        download = gr.DownloadButton(value=str(job.archive), interactive=True)
        shown = overlay_of(job, 0), *frame_of(job, 0, 0)
        return gr.Radio(choices=choices, value=0), slider, *shown, download

    def show(index: int | None, request: gr.Request):
        return overlay_of(store.get(request.session_hash), index)

    def step(index: int | None, t: float, request: gr.Request):
        return frame_of(store.get(request.session_hash), index, t)

    def overlay_of(job: Job | None, index: int | None) -> str | None:
        return None if job is None or index is None else str(job.overlays[index])

    def frame_of(job: Job | None, index: int | None, t: float):
        if job is None or index is None:
            return None, ''
        t = int(np.clip(t, 0, len(job.times) - 1))
        text = f'frame {t} of 0 to {len(job.times) - 1}, {job.times[t]:.2f} s, score {100 * job.scores[index][t]:.0f} %'
        return frame_at(job.overlays[index], job.times[t]), '. '.join(filter(None, [text, job.note]))

    def stop_request(request: gr.Request) -> None:
        if not store.stop(request.session_hash):
            gr.Info('Nothing of yours is running; a request that waits in line can be stopped when it begins.')

    def uploaded() -> None:
        store.trim()

    def close(request: gr.Request) -> None:
        store.close(request.session_hash)

    private = dict(api_visibility='private')
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown(ABOUT + SHAPES_ALONE * knows_synth_rvos_alone(inferencer.model_name))
        with gr.Row():
            with gr.Column():
                video = UploadedVideo(
                    label='Video',
                    elem_id='video',
                    sources=['upload', 'webcam'],
                    include_audio=True,  # else ffmpeg would have to take it out
                    webcam_options=gr.WebcamOptions(mirror=False),
                )
                text = gr.Textbox(label='One sentence per line', lines=3, max_lines=10, placeholder='the red star')
                run = gr.Button('Segment', variant='primary', elem_id='segment')
                stop = gr.Button('Stop', elem_id='stop')
                gr.Markdown(describe(limits))
                examples = render_examples(examples_dir)
                gr.Examples(
                    examples,
                    [video, text],
                    label='Examples',
                    cache_examples=False,
                    example_labels=[' · '.join(sentences.splitlines()) for _, sentences in examples],
                )
            with gr.Column(elem_id='results'):
                overlay = gr.Video(
                    label='Overlay', show_label=False, interactive=False, autoplay=True, loop=True, elem_id='overlay'
                )
                choice = gr.Radio([], label='Sentence', elem_id='choice')
                slider = gr.Slider(0, 1, value=0, step=1, label='Frame', interactive=False)
                frame = gr.Image(
                    label='One frame',
                    show_label=False,
                    interactive=False,
                    elem_id='frame',
                    format='png',
                    buttons=['download', 'fullscreen'],
                )
                about = gr.Textbox(label='About this frame', interactive=False, max_lines=6)
                download = gr.DownloadButton('Download the masks (zip)', interactive=False, elem_id='download')
        run.click(None, js=SHOW_RESULTS, **private)
        run.click(
            segment,
            [video, text],
            [choice, slider, overlay, frame, about, download],
            concurrency_limit=1,
            show_progress_on=overlay,
            **private,
        )
        # Not in the queue, behind the request that it stops.
        stop.click(stop_request, queue=False, **private)
        video.upload(uploaded, queue=False, **private)
        page.unload(close)
        choice.input(show, [choice], [overlay], show_progress='minimal', **private)
        choice.input(step, [choice, slider], [frame, about], show_progress='hidden', **private)
        slider.change(
            step, [choice, slider], [frame, about], show_progress='hidden', trigger_mode='always_last', **private
        )
    store = Store(jobs, uploads, limits.results, limits.disk)
    store.trim_regularly()
    return page.queue(max_size=16, default_concurrency_limit=1)


def report(progress: gr.Progress, done: int, total: int | None) -> None:
    """Show the number of frames done on the page."""
    progress((done, total), desc=f'{done} of {total or "?"} frames', unit='frames')


def launch(page: gr.Blocks, host: str, port: int | None, limits: Limits, block: bool = True) -> str:
    """Serve the page; return its address, after the server has stopped or, without ``block``, at once.

    Only files in the folder of uploads are served; there is no public tunnel and no listed API.
    """
    _, url, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        prevent_thread_lock=not block,
        max_file_size=limits.megabytes * 10**6,
        allowed_paths=[],
        footer_links=[],
        ssr_mode=False,
        mcp_server=False,
        # Gradio keeps the page's state of every visitor, an hour and more after the page was closed. It counts all who
        # have sent anything, and who is forgotten cannot look at a result any more.
        state_session_capacity=max(1000, 20 * limits.results),
        enable_monitoring=False,
        quiet=not block,
        theme=THEME,
        css=CSS,
    )
    return url
