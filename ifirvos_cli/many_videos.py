"""``ifirvos infer --manifest``: many videos, with several processes and machines."""

from __future__ import annotations

import argparse
import os
import sys

from .common import print_line


def run_manifest(args: argparse.Namespace, model: dict) -> int:
    """Segment the videos of a manifest.

    Args:
        args: The command line of ``ifirvos infer``.
        model: Arguments of ``RVOSInferencer``.

    Returns:
        0, or 1 if a video failed.
    """
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table

    from ifirvos.errors import OutputExistsError
    from ifirvos.files import check_folder
    from ifirvos.inference.loading import resolve_model
    from ifirvos.inference.manifest import read_manifest, shard, shard_from_environment
    from ifirvos.inference.many_videos import SUMMARY, ModelWorker, is_done, run_jobs, write_summary
    from ifirvos.inference.writers import check_saves
    from ifirvos.inference.zoo import sha256_of
    from ifirvos.video.opening import is_url

    check_folder(args.out)
    jobs = read_manifest(args.manifest)
    index, count = args.shard or shard_from_environment()
    mine = shard(jobs, index, count)
    named = resolve_model(model['model'], model['weights'])  # said, and downloaded, before workers start
    workers = args.workers or (1 if count > 1 else max(1, torch.cuda.device_count()))
    made_with = {
        'config': os.path.abspath(named.config) if isinstance(named.config, str) else None,
        'weights': named.weights and os.path.abspath(named.weights),
        'weights_sha256': named.weights and sha256_of(named.weights),  # trained on, they keep their name
        'cfg_options': {key: str(value) for key, value in (model.get('cfg_options') or {}).items()},
        'save': list(check_saves(args.save)),
        **{name: model[name] for name in ('text_encoder', 'dtype', 'clip_len', 'overlap', 'link')},
        'default_score_threshold': args.score_threshold,
        'style': args.style,
        'deinterlace': args.deinterlace,
    }
    threads = max(1, (os.cpu_count() or 1) // workers)
    reading = {name: getattr(args, name) for name in ('timeout', 'deinterlace', 'max_pixels', 'allow_special')}
    build = ModelWorker(model, args.save, threads, args.score_threshold, args.style, reading)
    console = Console(stderr=True)
    share = f', share {index} of {count}: {len(mine)}' if count > 1 else ''
    console.print(f'{len(jobs)} videos{share}, {workers} process(es)')
    failures: dict[str, str] = {}
    elsewhere = 0

    def failed(job, why: str) -> None:
        failures[job.name] = why
        console.print(f'failed: {job.shown}: {why}', markup=False, highlight=False, soft_wrap=True)

    left = []
    for job in mine:
        try:
            if args.overwrite or not is_done(args.out, job, made_with):
                left.append(job)
        except OutputExistsError as error:
            failed(job, str(error))
    if gone := [job.video for job in left if not is_url(job.video) and not os.path.exists(job.video)]:
        said = f'{len(gone)} videos are not there, and will fail: {gone[0]} first'
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    columns = [TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn()]
    columns += [TextColumn('{task.fields[failed]} failed'), TimeRemainingColumn()]
    with Progress(*columns, console=console) as bar:
        task = bar.add_task('videos', total=len(mine), completed=len(mine) - len(left), failed=len(failures))

        def finished(job, record) -> None:
            nonlocal elsewhere
            if record is None:
                elsewhere += 1
            elif record['status'] == 'failed':
                failed(job, record['error'])
            bar.update(task, advance=1, failed=len(failures))

        if left:
            run_jobs(
                left,
                build,
                args.out,
                made_with,
                workers=workers,
                overwrite=args.overwrite,
                finished=finished,
            )
    rows = write_summary(args.out, jobs, made_with)
    table = Table('status', 'videos', 'frames', 'seconds')
    for status in sorted({row['status'] for row in rows}):
        part = [row for row in rows if row['status'] == status]
        sums = [sum(row[key] or 0 for row in part) for key in ('frames', 'seconds')]
        table.add_row(status, str(len(part)), str(sums[0]), f'{sums[1]:.1f}')
    Console().print(table)  # on stdout: it is the result
    if elsewhere:
        print(f'note: {elsewhere} videos are in work in another process', file=sys.stderr)
    print_line(args.out / SUMMARY)
    # torchrun would end the other processes for one that ends with an error.
    return 1 if failures and 'TORCHELASTIC_RUN_ID' not in os.environ else 0
