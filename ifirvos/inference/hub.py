"""Models on the Hugging Face Hub: weights as safetensors, config as data, model card from the metafile.

A repository, or a local folder, holds ``model.safetensors`` (weights; the config's text in its header), ``config.json``
(a description of the model) and ``README.md`` (the card). Nothing in it can run code. ``huggingface_hub`` is imported
when it is used, since few commands use it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ifirvos.errors import CheckpointError, InputError, first_line
from ifirvos.files import make_folder, write_whole, written_whole
from ifirvos.version import __version__

from .model_index import list_models
from .preparation import state_to_save

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from .inferencer import RVOSInferencer

WEIGHTS = 'model.safetensors'
CONFIG = 'config.json'
CARD = 'README.md'
_TASK = 'image-segmentation'  # the Hub has no task for referring video object segmentation
_USAGE = """```python
from ifirvos import RVOSInferencer

inferencer = RVOSInferencer.from_pretrained({repository!r})
results = inferencer('clip.mp4', ['the large red star'])
results[0].masks  # bool (T, H, W)
```
"""


class HubMixin:
    """Saves and loads an inferencer's model in the Hub's form."""

    def save_pretrained(self, folder: str | os.PathLike, name: str | None = None, licence: str = 'apache-2.0') -> Path:
        """Write the model into a folder.

        Args:
            folder: Folder to create.
            name: The model's name in ``model-index.yml``, whose results go into the card; None: the weights' name.
            licence: Licence of the weights, as the Hub spells it.

        Returns:
            The folder.

        Raises:
            CheckpointError: The model has only random weights.
        """
        return _save(self, Path(folder), name, licence)

    def push_to_hub(
        self,
        repo_id: str,
        name: str | None = None,
        *,
        licence: str = 'apache-2.0',
        private: bool = True,
        token: str | None = None,
        api: HfApi | None = None,
    ) -> str:
        """Upload the model, creating the repository if necessary.

        Args:
            repo_id: ``owner/name`` on the Hub.
            name: See :meth:`save_pretrained`.
            licence: See :meth:`save_pretrained`.
            private: Whether a new repository is private.
            token: Token of the Hub; None takes that of ``hf auth login``.
            api: Stands in for the Hub's API.

        Returns:
            The address of the upload.

        Raises:
            InputError: The Hub refuses; the message is the Hub's.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        api = HfApi(token=token) if api is None else api
        try:
            with tempfile.TemporaryDirectory() as folder:
                _save(self, Path(folder), name, licence, repo_id)
                api.create_repo(repo_id, private=private, exist_ok=True)
                uploaded = api.upload_folder(
                    repo_id=repo_id, folder_path=folder, commit_message=f'Upload by ifirvos {__version__}'
                )
        except (HfHubHTTPError, HFValidationError) as error:
            raise InputError(f'The Hub refuses {repo_id}: {first_line(error)}') from error
        return str(uploaded)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike,
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike | None = None,
        local_files_only: bool = False,
        token: str | None = None,
        **options: Any,
    ) -> RVOSInferencer:
        """Load a model from a folder, or from a repository of the Hub.

        Args:
            source: A folder, or ``owner/name``.
            revision: Branch, tag or commit.
            cache_dir: Where downloads are kept; None: the Hub's cache.
            local_files_only: Download nothing.
            token: Token of the Hub, for a private repository.
            **options: Arguments of :class:`RVOSInferencer` but for ``model`` and ``weights``.

        Raises:
            InputError: There is no such folder or repository, or no network.
            CheckpointError: It contains no ifirvos model.
        """
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )

        folder = Path(source)
        if not folder.is_dir():
            try:
                folder = Path(
                    snapshot_download(
                        str(source),
                        revision=revision,
                        cache_dir=cache_dir,
                        local_files_only=local_files_only,
                        token=token,
                        allow_patterns=[WEIGHTS, CONFIG, CARD],
                    )
                )
            except (HFValidationError, RepositoryNotFoundError) as error:
                raise InputError(
                    f'{source} is neither a folder nor a repository of the Hub that can be seen.'
                ) from error
            except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
                raise InputError(f'{source} cannot be had from the Hub: {first_line(error)}') from error
        if not (folder / WEIGHTS).is_file():
            raise CheckpointError(f'{source} holds no {WEIGHTS}: push_to_hub or save_pretrained writes it.')
        return cls(weights=folder / WEIGHTS, **options)


def _save(inferencer: RVOSInferencer, folder: Path, name: str | None, licence: str, repository: str = '') -> Path:
    from safetensors.torch import save_file

    if inferencer.weights_name is None:
        raise CheckpointError('This model has random weights, which are not worth keeping: give weights=.')
    name = name or Path(inferencer.weights_name).stem
    make_folder(folder)
    state = {key: value.detach().cpu().contiguous() for key, value in state_to_save(inferencer.model).items()}
    seen: dict[int, str] = {}
    for key, value in state.items():  # safetensors keeps no two names for one tensor
        state[key] = value.clone() if value.data_ptr() in seen else value
        seen[value.data_ptr()] = key
    text = inferencer.cfg.pretty_text
    with written_whole(folder / WEIGHTS) as part:
        save_file(state, part, metadata=dict(format='pt', config_text=text, ifirvos=__version__))
    described = dict(
        model_type='ifirvos',
        architectures=[inferencer.cfg.model.type],
        backbone=inferencer.cfg.model.backbone.type,
        name=name,
        parameters=sum(value.numel() for value in state.values()),
        ifirvos=__version__,
        config=f'in the header of {WEIGHTS}: config_text',
    )
    write_whole(folder / CONFIG, json.dumps(described, indent=1))
    if not (folder / CARD).exists():  # as the Hub's own mixin: it may have been written by hand
        write_whole(folder / CARD, model_card(name, repository or str(folder), licence))
    return folder


def model_card(name: str, repository: str, licence: str = 'apache-2.0') -> str:
    """Return the model card, from ``model-index.yml`` if the model is listed there.

    Args:
        name: Name of the model.
        repository: What :meth:`HubMixin.from_pretrained` takes.
        licence: Licence of the weights.
    """
    from huggingface_hub import EvalResult, ModelCardData

    model = list_models().get(name, {})
    metadata, results = model.get('Metadata', {}), model.get('Results') or []
    training_data = metadata.get('Training Data')
    evaluated = [
        EvalResult(
            task_type=_TASK,
            task_name=result['Task'],
            dataset_type=result['Dataset'].lower().replace(' ', '-'),
            dataset_name=result['Dataset'],
            metric_type=metric,
            metric_value=value,
        )
        for result in results
        for metric, value in result['Metrics'].items()
    ]
    data = ModelCardData(
        license=licence,
        library_name='ifirvos',
        pipeline_tag=_TASK,
        tags=['referring-video-object-segmentation', 'mmdetection', 'video'],
        model_name=name if evaluated else None,
        eval_results=evaluated or None,
    )
    lines = ['---', data.to_yaml().rstrip(), '---', f'# {name}', '']
    lines += [
        'Referring video object segmentation: a video and a sentence in, a mask of the object in every frame out.',
        '',
    ]
    lines += [_USAGE.format(repository=repository)]
    if training_data:
        lines += [f'Trained on: {training_data if isinstance(training_data, str) else ", ".join(training_data)}.', '']
    if model.get('Config'):
        lines += [f'Config: `{model["Config"]}` of ifirvos {__version__}.', '']
    for result in results:
        lines += [f'| {result["Dataset"]} | |', '| --- | --- |']
        lines += [f'| {metric} | {value} |' for metric, value in result['Metrics'].items()]
        lines += ['']
    if not results:
        lines += ['No results are written down for these weights.', '']
    return '\n'.join(lines)
