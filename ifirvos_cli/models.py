"""Lists the models: training data, results, weights.

With --file, describes a file of weights and the config that fits it.
"""

import argparse
from collections.abc import Sequence

from .common import run_command


def parse_args(argv: Sequence[str] | None = None, prog: str | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument('name', nargs='*', help='list only these models')
    parser.add_argument('--file', metavar='FILE', help='describe this checkpoint')
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    """Print a table with one line per model, or describe a file."""
    if args.file:
        from ifirvos.inference.loading import describe_weights

        print(describe_weights(args.file))
        return

    from ifirvos.errors import InputError
    from ifirvos.inference.model_index import find_entry, list_models

    models = list_models()
    try:
        names = [find_entry(name)['Name'] for name in args.name]
    except KeyError as error:
        raise InputError(error.args[0]) from error
    rows = [('name', 'trained on', 'weights', 'figures')]
    for name in names or models:
        rows.append((name, _training_data(models[name]), _weights(models[name]), _figures(models[name])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print('  '.join(f'{text:{width}}' for text, width in zip(row, widths, strict=True)).rstrip())


def _training_data(model: dict) -> str:
    data = model['Metadata'].get('Training Data', '')
    return ', '.join(data) if isinstance(data, list) else data


def _weights(model: dict) -> str:
    weights = model.get('Weights')
    if not weights:
        return 'none: train it'
    if '://' not in weights:
        return 'shipped'
    from ifirvos.inference.zoo import place_of

    return 'in the cache' if place_of(model).is_file() else 'downloaded on first use'


def _figures(model: dict) -> str:
    results = model.get('Results') or []
    return '; '.join(
        f'{result["Dataset"]}: ' + ', '.join(f'{name} {value}' for name, value in result['Metrics'].items())
        for result in results
    )


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command line; return the exit code."""
    args = parse_args(argv, prog)
    return run_command(lambda: run(args))
