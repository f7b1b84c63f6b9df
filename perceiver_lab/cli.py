"""`perceiver-lab`: recipes from a shell, published weights, and what is wrong with an installation.

    perceiver-lab list
    perceiver-lab train digits_perceiver --mode full --set model.num_latents=64 --resume
    perceiver-lab train digits_perceiver --mesh data=2,fsdp=2,inputs=2
    perceiver-lab evaluate digits_perceiver
    perceiver-lab reproduce digits_perceiver
    perceiver-lab convert imagenet.pystate imagenet.safetensors --preset imagenet_fourier_io
    perceiver-lab doctor

Exit codes: 0 done; 1 the result is not what it should be; 2 the request cannot be met, and the message says why;
3 another process of a distributed run is gone.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

MODES = ("ci", "lab", "full")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
      arguments: by default those of the process.

    Returns:
      The exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except FloatingPointError as error:
        return _fail(error, 1)
    except ConnectionError as error:
        code = _fail(error, 3)
        if getattr(options, "distributed", False):
            os._exit(code)  # an orderly end would wait for the process that is gone, and then be aborted by JAX
        return code
    except (ValueError, OSError, ModuleNotFoundError) as error:
        return _fail(error, 2)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command with --resume goes on from the last checkpoint.", 130)


def _parser():
    parser = argparse.ArgumentParser(prog="perceiver-lab", description="Train, evaluate and reproduce recipes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="all recipes, and what ships of them")
    listing.set_defaults(command=_list)

    train = commands.add_parser("train", help="train a recipe, every seed of its budget")
    _add_common(train)
    train.add_argument("--seed", type=int, help="only this seed")
    train.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    train.add_argument(
        "--accept-code-change", action="store_true", help="resume although the library changed since (only warns)"
    )
    train.add_argument("--quiet", action="store_true", help="no progress bar")
    train.add_argument(
        "--mesh", metavar="AXIS=N,...", help="several devices: data, fsdp and inputs, as in data=2,fsdp=4"
    )
    train.add_argument("--distributed", action="store_true", help="one of several processes (with --mesh and --folder)")
    kept = {"choices": ("weights", "result"), "nargs": "?", "const": "weights"}
    train.add_argument("--ship", **kept, help="then keep weights, or the result alone, in data (maintainers)")
    train.set_defaults(command=_train)

    evaluate = commands.add_parser("evaluate", help="test the weights that ship, or those of a finished run")
    _add_common(evaluate)
    evaluate.set_defaults(command=_evaluate)

    reproduce = commands.add_parser("reproduce", help="train again what ships and compare")
    reproduce.add_argument("name", metavar="NAME", help="a recipe of which something ships")
    reproduce.add_argument("--folder", type=Path, help="for the new run; by default in the cache")
    reproduce.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    reproduce.add_argument("--quiet", action="store_true", help="no progress bar")
    reproduce.set_defaults(command=_reproduce)

    convert = commands.add_parser("convert", help="published weights to this library's form, or to Hugging Face's")
    convert.add_argument("source", metavar="SOURCE", type=Path, help=".pickle, .pystate or .safetensors")
    convert.add_argument("target", metavar="TARGET", type=Path, help="NAME.safetensors; a folder for huggingface")
    convert.add_argument("--preset", required=True, metavar="NAME", help="the model whose weights they are")
    convert.add_argument(
        "--to", choices=("perceiver_lab", "huggingface"), default="perceiver_lab", help="form of TARGET"
    )
    convert.add_argument("--force", action="store_true", help="replace what is there")
    convert.set_defaults(command=_convert)

    doctor = commands.add_parser("doctor", help="what is installed, and what is wrong with it")
    doctor.set_defaults(command=_doctor)
    return parser


def _add_common(command):
    command.add_argument("name", metavar="NAME", help="of a recipe; `perceiver-lab list` shows them")
    command.add_argument("--mode", choices=MODES, default="full", help="budget (default: full)")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="such as model.num_latents=64"
    )
    command.add_argument("--folder", type=Path, help="for checkpoints and weights; by default in the cache")


def _list(options):
    from perceiver_lab import recipes

    for name in recipes.names():
        recipe, weights = recipes.get(name), recipes.shipped_path(name).exists()
        told, about = "", recipes.shipped_story(recipe)
        if about is not None:
            made = f"{about['steps']} steps, {recipes.time_told(about)}"
            told = f" [{'ships' if weights else 'its result ships'}: {made}; {recipe.tell(about['metrics'])}]"
        elif weights or recipes.result_path(name).exists():
            told = " [ships, but made by another version]"
        print(f"{name}: {recipe.summary}{told}")
    return 0


def _train(options):
    from perceiver_lab import recipes

    layout = _layout(options)
    recipe = _recipe(options)
    if options.ship and (options.mode != "full" or options.settings):
        raise ValueError("--ship wants the recipe as it stands: --mode full, no --set.")
    seeds = recipe.budget(options.mode).seeds if options.seed is None else (options.seed,)
    runs = []
    for seed in seeds:
        folder = _folder(options, recipe, seed, len(seeds))
        print(f"{recipe.name}, mode {options.mode}, seed {seed}, into {folder}", flush=True)
        run = recipes.run(
            recipe,
            options.mode,
            folder,
            seed=seed,
            resume=options.resume,
            accept_code_change=options.accept_code_change,
            progress=not options.quiet,
            layout=layout,
        )
        print(f"seed {seed}: {recipe.tell(run.metrics)}, {run.about['minutes']:g} minutes", flush=True)
        runs.append(run)
    if options.ship:
        print(f"shipped as {recipes.ship(recipe, runs, weights=options.ship == 'weights')}")
    return 0


def _evaluate(options):
    from perceiver_lab import recipes

    recipe = _recipe(options)
    if options.folder is None and not options.settings:
        found = recipes.load_shipped(recipe)
        if found is None:
            raise ValueError(
                f"No weights ship for {recipe.name!r} as it stands. Train it (perceiver-lab train {recipe.name}) and "
                "name the folder: --folder."
            )
        model = found[0]
    else:
        seed = recipe.budget(options.mode).seeds[0]
        folder = options.folder or recipes.run_folder(recipe, options.mode, seed)
        model = recipes.load_run(recipe, folder)
    print(f"{recipe.name}: {recipe.tell(recipe.metrics(model, options.mode))}")
    return 0


def _reproduce(options):
    from perceiver_lab import recipes

    recipe = recipes.get(options.name)
    stored = recipes.shipped_story(recipe)
    if stored is None:
        raise ValueError(
            f"Nothing ships for {recipe.name!r} as it stands, so there is nothing to compare with. "
            f"perceiver-lab train {recipe.name} trains it."
        )
    seed = stored["seed"]
    folder = options.folder or recipes.run_folder(recipe, "full", seed)
    run = recipes.run(recipe, "full", folder, seed=seed, resume=options.resume, progress=not options.quiet)
    before = {name: value for name, value in stored["seeds"][str(seed)].items() if name not in ("minutes", "device")}
    print(f"stored: {recipe.tell(before)}, {recipes.time_told(stored)}")
    print(f"now:    {recipe.tell(run.metrics)}, {recipes.time_told(run.about)}")
    if run.metrics == before:
        print("equal in every digit")
        return 0
    low, high = (before[f"{recipe.headline}_{end}"] for end in ("low", "high"))
    if low <= run.metrics[recipe.headline] <= high:
        print("within the stored 95 % interval; other hardware and versions round differently")
        return 0
    print(
        f"outside the stored 95 % interval of {recipe.headline.replace('_', ' ')}, {low:.4g}-{high:.4g}: not reproduced"
    )
    return 1


def _convert(options):
    from perceiver_lab.convert.files import convert_file

    path, about = convert_file(
        options.source, options.target, preset=options.preset, to=options.to, force=options.force
    )
    print(f"{options.preset}: {about['parameters']:,} parameters ({about['origin']}) written to {path}")
    for difference in about.get("differences", ()):
        print(f"note: {difference}")
    return 0


def _doctor(options):
    from perceiver_lab.course.doctor import examine

    problems = []
    for finding in examine():
        print(finding.about, flush=True)
        if finding.problem:
            problems.append(finding.problem)
    print(f"\n{len(problems) or 'no'} problem{'s' * (len(problems) != 1)}")
    for problem in problems:
        print(f"- {problem}")
    return 1 if problems else 0


def _recipe(options):
    from perceiver_lab import recipes

    return recipes.get(options.name).override(recipes.parse_settings(options.settings))


def _layout(options):
    """Where arrays lie, after the processes have been joined; None on one device."""
    from perceiver_lab.training import Layout, make_mesh, parse_mesh, start_processes

    if options.distributed:
        if options.mesh is None or options.ship:
            raise ValueError("--distributed wants --mesh, which says what the processes share, and does not --ship.")
        start_processes()
    return None if options.mesh is None else Layout(make_mesh(parse_mesh(options.mesh)))


def _folder(options, recipe, seed, count):
    from perceiver_lab import recipes

    if options.folder is None:
        return recipes.run_folder(recipe, options.mode, seed)
    return options.folder if count == 1 else options.folder / f"seed_{seed}"


def _fail(error, code):
    print(f"perceiver-lab: {error}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
