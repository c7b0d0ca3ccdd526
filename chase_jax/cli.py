"""The command line: `chase VERB key=value ...`.

Exit codes: 0 done; 2 the input is wrong (one line says what and where); 75 stopped on request, with a restart written;
1 a defect of this program.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pathlib
import pkgutil
import sys
import traceback
from collections.abc import Callable
from typing import Any

from chase_jax.checks import InputError, require

DONE, DEFECT, WRONG_INPUT, STOPPED = 0, 1, 2, 75
VERBS = {
    "simulate": "run the coupled model; with no arguments on the generated demo domain",
    "check": "validate all that simulate with the same keys would read, and run nothing",
    "prepare": "raw rasters and tables -> domain, weather, gauges and observations",
    "signatures": "gauge signatures, four regressors scored with each site left out, maps",
    "evaluate": "a run folder against observations: metrics, figures, report",
    "calibrate": "parameters from maps of signatures, roughness from hydrographs, any from discharge and lake levels",
}
OPTIONS = {
    "--multirun": "-m", "--config-dir": "-cd", "--cfg": "-c", "--package": "-p", "--resolve": None, "--info": "-i",
    "--hydra-help": None, "--shell-completion": "-sc",
}  # fmt: skip
CODE_KEYS = ("_target_", "_partial_", "_args_", "hydra.callbacks", "hydra.searchpath")
LARGEST_CONFIG = 100_000  # bytes; a configuration file beyond this is a mistake or an attack
MOST_ALIASES = 20  # YAML aliases in one file; more can expand without bound


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit code.

    Args:
        arguments: The words after the program's name; those of the process if None.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    verb = words[0] if words else ""
    try:
        if verb in ("", "-h", "--help", "help"):
            return _show(overview())
        if verb == "--version":
            return _show(importlib.import_module("importlib.metadata").version("chase_jax"))
        require(verb in VERBS, f"unknown verb '{verb}'; allowed are {', '.join(VERBS)}; chase --help explains them.")
        if {"-h", "--help"} & set(words[1:]):
            return _show(verb_help(verb))
        return _compose_and_run(verb, words[1:])
    except InputError as error:
        return _refuse(verb, str(error))


def _show(text: str) -> int:
    """Print what explains the program; whoever reads it, such as `head`, may have read enough before its end."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python flushes what is left at its end
    return DONE


def _refuse(verb: str, message: str) -> int:
    """Print one line on what is wrong."""
    print(f"chase{' ' + verb if verb in VERBS else ''}: error: {' '.join(message.split())}", file=sys.stderr)
    return WRONG_INPUT


def _compose_and_run(verb: str, words: list[str]) -> int:
    """Compose the configuration with Hydra and run the verb on it, once or (`-m`) several times."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from chase_jax import config as configuration

    configuration.register()
    schema = configuration.SCHEMAS[verb]
    _check_words(words, schema)
    codes: list[int] = []

    def task(composed: DictConfig) -> None:
        settings = HydraConfig.get()
        config: Any = OmegaConf.to_object(composed)
        if settings.mode == RunMode.MULTIRUN:
            config.output.directory = os.path.join(config.output.directory, str(settings.job.num))
        code = _run(verb, config)
        if code == WRONG_INPUT:
            codes.append(code)
        elif code != DONE:
            raise SystemExit(code)

    before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [f"chase {verb}", *words]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come back as exceptions, to be told in one line
    try:
        hydra.main(version_base="1.3", config_path=str(configuration.folder()), config_name=verb)(task)()
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(_reason(error, words, schema)) from None
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else DONE
    finally:
        sys.argv = before[0]
        os.environ.pop("HYDRA_FULL_ERROR")
        if before[1] is not None:
            os.environ["HYDRA_FULL_ERROR"] = before[1]
    return max(codes, default=DONE)


def _run(verb: str, config: Any) -> int:
    """Run a verb on a configuration and turn what happens into an exit code."""
    from chase_jax import config as configuration
    from chase_jax import workflows

    try:
        RUNNERS[verb](configuration.check(config))
    except InputError as error:
        return _refuse(verb, str(error))
    except workflows.Stopped as stop:
        print(f"chase {verb}: {stop}", file=sys.stderr)
        return STOPPED
    except Exception:  # the last resort: whatever it is, it is a defect of ours and must be told as such
        traceback.print_exc()
        print(f"chase {verb}: this is a defect of chase_jax; please report the lines above.", file=sys.stderr)
        return DEFECT
    return DONE


def _simulate(config: Any) -> None:
    from chase_jax import workflows

    workflows.run(config)
    print(f"run folder: {config.output.directory}")


def _check(config: Any) -> None:
    from chase_jax import workflows

    print(workflows.check(config))


def _evaluate(config: Any) -> None:
    from chase_jax import workflows

    print(workflows.evaluate(config))


def _calibrate(config: Any) -> None:
    from chase_jax import calibrate

    print(calibrate.check(config) if config.check else calibrate.run(config))


def _signatures(config: Any) -> None:
    from chase_jax import signature_study
    from chase_jax.io import basin_store

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    require(
        not (config.recipe and config.basins.path), "recipe and basins.path are both given; learn from one of them."
    )
    if config.basins.path:
        basins = basin_store.read_basins(config.basins.path, config.observations.path)
    else:
        basins = load_recipe(config.recipe, "basins")(_raw_data(config), tell)
    print(signature_study.run(config, basins, tell))


def _raw_data(config: Any, needed: bool = True) -> pathlib.Path | None:
    """The folder of raw data; None where it is neither given nor needed."""
    root = config.data.root or os.environ.get("CHASE_DATA")
    require(
        bool(root) or not needed, "data.root is empty; give the folder of raw data as data.root=... or in CHASE_DATA."
    )
    source = pathlib.Path(str(root)).expanduser() if root else None
    require(source is None or source.is_dir(), f"data.root: {source}: no such folder; correct data.root or CHASE_DATA.")
    return source


def _prepare(config: Any) -> None:
    from chase_jax.config import options

    recipe = load_recipe(config.recipe)
    source = _raw_data(config, getattr(importlib.import_module(recipe.__module__), "NEEDS_DATA", True))
    target = pathlib.Path(config.output.directory).expanduser()
    kept = target / "domain.nc"
    require(
        config.output.overwrite or not kept.exists(),
        f"output.directory: {target}: holds a data folder; choose another or set output.overwrite=true.",
    )
    given = options(config, config.recipe)
    taken = inspect.signature(recipe).parameters
    for key, name, value in (
        ("corrections.path", "mended", config.corrections.path),
        ("hydrography", "method", config.hydrography if config.hydrography != "largest" else None),
    ):
        require(value is None or name in taken, f"{key} is given, but recipe {config.recipe} does not take it.")
        given |= {name: value} if value is not None else {}
    if config.corrections.path is not None:  # seen before the work begins
        importlib.import_module("data_prep.by_hand").read(config.corrections.path)
    recipe(source, target, lambda text: print(text, file=sys.stderr), **given)
    print(f"data folder: {target}")


RUNNERS: dict[str, Callable[[Any], None]] = {
    "simulate": _simulate, "check": _check, "evaluate": _evaluate, "prepare": _prepare,
    "signatures": _signatures, "calibrate": _calibrate,
}  # fmt: skip


def recipes(offers: str = "prepare") -> list[str]:
    """The names of the recipes of `data_prep` that offer a function: `prepare` a data folder, or read `basins`."""
    import data_prep

    found = []
    for module in pkgutil.iter_modules(data_prep.__path__):
        file = pathlib.Path(data_prep.__path__[0]) / f"{module.name}.py"
        if file.is_file() and f"\ndef {offers}(" in file.read_text(encoding="utf-8"):
            found.append(module.name)
    return sorted(found)


def load_recipe(name: str | None, offers: str = "prepare") -> Callable[..., Any]:
    """A function of a recipe.

    That is `prepare(data_root, output_directory, progress, **options)` or `basins(data_root, progress)`. A recipe with
    `NEEDS_DATA = False` takes None for `data_root`.

    Raises:
        InputError: If there is no such recipe, or it needs a package that is not installed.
    """
    known = recipes(offers)
    require(name in known, f"recipe is '{name or 'empty'}'; allowed are {', '.join(known) or 'none'}.")
    try:
        return getattr(importlib.import_module(f"data_prep.{name}"), offers)
    except ImportError as error:
        raise InputError(f"recipe {name} needs an extra ({error}): pip install 'chase_jax[geo]'.") from None


def _check_words(words: list[str], schema: type) -> None:
    """Refuse unknown options and keys, and whatever would name code, before anything is composed."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from chase_jax import config as configuration

    allowed = {*OPTIONS, *(short for short in OPTIONS.values() if short)}
    takes_value = ("--config-dir", "-cd", "--cfg", "-c", "--package", "-p", "--info", "-i")
    expecting = ""
    for word in words:
        if expecting:
            if expecting in ("--config-dir", "-cd"):
                _check_folder(pathlib.Path(word))
            expecting = ""
            continue
        if word.startswith("-"):
            option, _, value = word.partition("=")
            require(option in allowed, f"unknown option {option}; allowed are {', '.join(sorted(OPTIONS))}.")
            if option in ("--config-dir", "-cd") and value:
                _check_folder(pathlib.Path(value))
            expecting = option if option in takes_value and not value else ""
            continue
        bad = next((key for key in CODE_KEYS if key in word), None)
        require(bad is None, f"{word}: {bad} is not allowed; a configuration holds values only.")
        require("=" in word, f"'{word}' is not understood; write key=value (chase --help).")
        try:
            override = OverridesParser.create().parse_override(word)
        except HydraException as error:
            raise InputError(f"{word}: cannot be read ({str(error).splitlines()[0]}); put quotes around it.") from None
        name = override.key_or_group
        if name.split(".")[0].split("/")[0] == "hydra":
            continue
        require(".." not in name, f"{word}: '..' is not allowed in a key.")
        configuration.require_key(name, schema)
        if name in configuration.groups():
            named = not isinstance(override.value(), int | float | dict)
            good = named and ".." not in word and "=/" not in word
            require(good, f"{word}: a group takes the name of a file of the group.")


def _check_folder(folder: pathlib.Path) -> None:
    """Refuse configuration files that are huge, expand without bound or name code."""
    import yaml

    require(folder.is_dir(), f"--config-dir: {folder}: no such folder.")
    for file in sorted(folder.rglob("*.y*ml")):
        require(file.stat().st_size <= LARGEST_CONFIG, f"{file}: is larger than {LARGEST_CONFIG} bytes; shorten it.")
        text = file.read_text(encoding="utf-8")
        bad = next((key for key in (*CODE_KEYS[:3], "callbacks", "searchpath") if key in text), None)
        require(bad is None, f"{file}: {bad} is not allowed; a configuration holds values only.")
        try:
            aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader))
        except yaml.YAMLError as error:
            raise InputError(f"{file}: is not YAML ({str(error).splitlines()[0]}).") from None
        require(aliases <= MOST_ALIASES, f"{file}: has {aliases} YAML aliases; at most {MOST_ALIASES} are allowed.")


def _reason(error: Exception, words: list[str], schema: type) -> str:
    """What Hydra or OmegaConf complain of, in one line, with the nearest key or what to write instead."""
    from chase_jax import config as configuration

    cause = error.__cause__ if error.__cause__ is not None else error
    lines = [line.strip() for text in (error, cause) for line in str(text).splitlines() if line.strip()]
    told = list(dict.fromkeys(line for line in lines if not line.startswith(("object_type", "reference_type"))))
    lost = next((line for line in told if "Could not find '" in line), None)
    if lost is not None:
        group, _, name = lost.split("Could not find '", 1)[1].split("'", 1)[0].rpartition("/")
        options = configuration.groups().get(group, [])
        return f"{group}={name}: there is no such file{configuration.nearest(name, options)}; allowed are {options}."
    where = next((line.split(":", 1)[1].strip() for line in told if line.startswith("full_key")), "")
    told = [line for line in told if not line.startswith(("full_key", "Error merging override"))]
    text = (f"{where}: " if where else "") + "; ".join(told)
    known = [name for name, _, _ in configuration.keys(schema)]
    if " not in '" in text and "Key '" in text:
        wrong = text.split("Key '", 1)[1].split("'", 1)[0]
        full = where or wrong
        return f"unknown key {full}{configuration.nearest(full, known)}; --help lists all keys."
    given = next((word.partition("=")[2] for word in words if word.lstrip("+").partition("=")[0] == where), "")
    return f"{text.rstrip('.')}{configuration.instead(where, given, schema)}."


def overview() -> str:
    """The text of `chase --help`."""
    lines = ["usage: chase VERB [key=value ...]", "", "verbs:"]
    lines += [f"  {verb:<10} {meaning}" for verb, meaning in VERBS.items()]
    lines += ["", "chase VERB --help lists the keys of a verb. First run: chase simulate"]
    return "\n".join(lines)


def verb_help(verb: str) -> str:
    """The text of `chase VERB --help`: groups and keys with their defaults."""
    import textwrap

    from chase_jax import config as configuration

    lines = [f"usage: chase {verb} [key=value ...] [group=name ...] [-m] [--config-dir FOLDER] [--cfg job]", ""]
    lines += [f"  {VERBS[verb]}", "", "groups (sets of values; FOLDER may hold more of them):"]
    lines += [f"  {group:<12} {', '.join(names) or '(none yet)'}" for group, names in configuration.groups().items()]
    if verb in ("prepare", "signatures"):
        offers = "basins" if verb == "signatures" else "prepare"
        lines += ["", f"recipes: {', '.join(recipes(offers)) or '(none)'}"]
    lines += ["", "keys:"]
    defaults = configuration.defaults(verb)
    for name, field, _ in configuration.keys(configuration.SCHEMAS[verb]):
        choices = field.metadata["choices"]
        text = field.metadata["meaning"] + (f"; {' | '.join(choices)}" if choices else "") + f" [{defaults[name]}]"
        lines += textwrap.wrap(text, 100, initial_indent=f"  {name:<29} ", subsequent_indent=" " * 32)
    lines += [
        "", "examples:", "  chase simulate output.directory=runs/first",
        "  chase check domain.path=my/domain.nc forcing.path=my/forcing.nc period=demo",
        "  chase simulate -m solvers.reach=jacobi,tree     one run per value, in folders 0, 1, ...",
        "", "exit codes: 0 done, 2 wrong input, 75 stopped on request with a restart written, 1 a defect of ours",
    ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
