"""The job behind `chase signatures`: signatures of gauged basins, scores with each site left out, models and maps.

Work goes in pieces, a search of a group or the prediction of a site. Each leaves one file when it is done and hangs on
nothing but the data, the configuration and its own name. So a study may be stopped, killed, resumed, or cut into parts
on several machines that share a folder; the scores come out the same.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import joblib
import numpy as np
import pandas as pd
import sklearn
import threadpoolctl

from chase_jax import config
from chase_jax.checks import InputError, require
from chase_jax.io import domain_store, gauge_store, map_store, predictor_store, store
from chase_jax.signatures import attributes, maps, storage, validation
from chase_jax.signatures.attributes import Basins, Limits
from chase_jax.signatures.regressors import REGRESSORS, Design, Fitted
from chase_jax.signatures.validation import Learning
from chase_jax.workflows import Stopped, listening

STUDY, SIGNATURES, SCORES, MAPS = "study.json", "signatures.csv", "scores.csv", "maps.nc"
IMPORTANCE, CORRELATION, AGGREGATED = "importance.csv", "correlation.csv", "aggregated.csv"
SITES, GROUPS, MODELS, LEFT_OUT = "sites", "groups", "models", "maps_without"
DECIDES = (
    "recipe", "design", "predictors", "regressors", "hold_out", "basins.path", "basins.least_years",
    "basins.largest_area", "basins.tolerance", "search.draws", "search.folds", "search.groups", "search.seed",
    "search.smearing", "period.start", "period.end",
)  # fmt: skip
NUMBERS = "%.10g"
Tell = Callable[[str], None]
Piece = tuple[pathlib.Path, str, Callable[..., dict[str, Any]], tuple[Any, ...]]  # file, name, function, arguments


def run(settings: config.Signatures, basins: Basins, tell: Tell = lambda text: None) -> str:
    """Do a study, or what is left of it, or a part of it.

    Args:
        settings: The checked configuration.
        basins: The gauged basins.
        tell: Called with a line of text at every stage.

    Returns:
        The table of scores, or how to go on.

    Raises:
        InputError: If the basins cannot be used, or the folder holds another study.
        Stopped: If the process is asked to stop; what is done is kept.
    """
    unknown = [name for name in settings.regressors if name not in REGRESSORS]
    require(
        not unknown and bool(settings.regressors),
        f"regressors: {', '.join(unknown) or 'none'}; allowed are {', '.join(REGRESSORS)}.",
    )
    part = config.part_of(settings.part)
    require(
        part is None or not settings.output.overwrite,
        "output.overwrite=true is given with part, but the parts of a study share its folder, so one would take away "
        "what others did; choose another folder, or delete the study first.",
    )
    basins = _within(basins, settings.period.start, settings.period.end)
    limits = Limits(settings.basins.least_years, settings.basins.largest_area * 1e6, settings.basins.tolerance)
    table = attributes.signatures(basins, limits)
    data, notes = learning(basins, table, settings)
    if settings.domain.path:  # refuse now what could not be mapped later
        with predictor_store.opened(settings.domain.path, data.columns) as source:
            source.read(slice(0, 1))
            if settings.gauges.path:
                gauge_store.read_gauges(settings.gauges.path, domain_store.open_domain(settings.domain.path).grid)
    design = Design(settings.search.draws, settings.search.folds, settings.search.seed, settings.search.smearing)
    drawn = validation.drawn_sites(data, settings.sites, design.seed)
    sites = validation.learnable(data, drawn)
    require(sites.size > 0, "no site can be scored: all gauges share their water; give more catchments.")
    dealt = validation.groups(data, settings.search.groups, design.seed)
    smallest = validation.smallest_search(data, sites, dealt if settings.design == "grouped" else None)
    require(
        design.folds <= smallest or smallest < validation.LEAST_TRAINING,  # the search itself refuses so few
        f"search.folds is {design.folds}, but one of the searches has {smallest} gauges to deal into folds; give at "
        "most that many.",
    )
    folder = _begin(settings, data, part is not None)
    for note in [f"{len(data.gauge_id)} of {len(table)} basins are used", *notes]:
        tell(note)
    if sites.size < drawn.size:
        tell(f"{drawn.size - sites.size} sites are not scored: too few gauges share no water with them")
    if part is not None:
        by_group = sites[np.argsort(dealt[sites], kind="stable")]  # so that a part needs few groups
        sites = np.sort(np.array_split(by_group, part[1])[part[0] - 1])
    found = _predictions(folder, data, sites, dealt, settings, design, tell)
    if part is not None:
        return f"part {settings.part} is done: {len(sites)} sites; join all with resume=true and without part."
    return _finish(folder, data, table, found, settings, design, tell)


def learning(basins: Basins, table: pd.DataFrame, settings: config.Signatures) -> tuple[Learning, list[str]]:
    """What is learned from, and notes on it.

    Args:
        basins: The gauged basins.
        table: Result of :func:`attributes.signatures`.
        settings: The configuration.
    """
    kept = table["kept"].to_numpy(dtype=bool)
    if int(kept.sum()) < attributes.LEAST_GAUGES and not kept.all():
        first = table[~kept].iloc[0]
        raise InputError(
            f"{int(kept.sum())} of {kept.size} gauges are fit for use, needed are {attributes.LEAST_GAUGES}; for "
            f"example gauge {first.name}: {first['reason']}."
        )
    predictors, notes = attributes.predictor_table(basins, kept, settings.predictors)
    left = table.loc[~kept, "reason"].str.replace(r"[-\d.]+", "#", regex=True).value_counts()
    notes = [f"left out: {count} basins ({reason})" for reason, count in left.items()] + notes
    downstream = validation.contracted(basins.downstream, kept)
    validation.roots(downstream)
    targets = table.loc[kept, list(attributes.TARGETS)].astype(float)
    return Learning(predictors, targets, downstream, settings.hold_out == "catchment"), notes


def _within(basins: Basins, start: str, end: str) -> Basins:
    """The basins with the records of a period."""
    inside = (basins.time >= np.datetime64(start)) & (basins.time <= np.datetime64(end))
    require(bool(inside.any()), f"period.start, period.end: no day of the records lies within {start} to {end}.")
    rain = None if basins.precipitation is None else basins.precipitation[:, inside]
    return dataclasses.replace(basins, time=basins.time[inside], flow=basins.flow[:, inside], precipitation=rain)


def _begin(settings: config.Signatures, data: Learning, is_part: bool) -> pathlib.Path:
    """Open the folder of a study: a new one, one to go on with, or one to replace."""
    folder = pathlib.Path(settings.output.directory).expanduser()
    flat = config.flat(settings)
    facts = {name: flat[name] for name in DECIDES} | {"data": data.digest(), "versions": storage.versions()}
    file = folder / STUDY
    if file.exists() and settings.output.overwrite:
        _clear(folder)
    if not file.exists():
        store.write_text(json.dumps(facts, indent=1), file)
        return folder
    require(
        settings.resume or is_part,
        f"output.directory: {folder}: holds a study; go on with resume=true or replace it with output.overwrite=true.",
    )
    before = _read(file)
    changed = [name for name in facts if before.get(name) != facts[name]]
    require(
        not changed,
        f"output.directory: {folder}: the study there began with another configuration: "
        f"{', '.join(f'{name} ({_short(before.get(name))} -> {_short(facts[name])})' for name in changed[:4])}; "
        "give the same values, or choose another folder.",
    )
    return folder


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _clear(folder: pathlib.Path) -> None:
    """Delete the files of an earlier study, and nothing else."""
    (folder / STUDY).unlink(missing_ok=True)  # first, so that a half-deleted study is none
    for name in (SIGNATURES, SCORES, MAPS, IMPORTANCE, CORRELATION, AGGREGATED):
        (folder / name).unlink(missing_ok=True)
    for name, ending in ((SITES, "json"), (GROUPS, "json"), (MODELS, "skops"), (LEFT_OUT, "nc")):
        for file in (folder / name).glob(f"*.{ending}"):
            file.unlink()


def _read(file: pathlib.Path) -> dict[str, Any]:
    """The content of a file of JSON."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: is damaged ({error}); delete it and run again with resume=true.") from None


def _predictions(
    folder: pathlib.Path,
    data: Learning,
    sites: np.ndarray,
    dealt: np.ndarray,
    settings: config.Signatures,
    design: Design,
    tell: Tell,
) -> list[dict[str, Any]]:
    """The results of all sites, those that are there and those that are not yet."""
    names = tuple(settings.regressors)
    parameters: dict[int, dict[str, Any]] = {}
    if settings.design == "grouped":
        numbers = [int(number) for number in np.unique(dealt[sites])]
        files = [folder / GROUPS / f"{number:03d}.json" for number in numbers]
        pieces = [
            (file, f"group {number}", validation.search_group, (data, dealt, number, names, design))
            for file, number in zip(files, numbers, strict=True)
        ]
        _work(pieces, settings.workers, tell)
        parameters = {number: _read(file) for file, number in zip(files, numbers, strict=True)}
    files = [folder / SITES / f"{_file_name(data.gauge_id[site])}.json" for site in sites]
    _work(
        [
            (file, f"site {data.gauge_id[site]}", validation.predict_site,
             (data, int(site), names, design, parameters.get(int(dealt[site]))))
            for file, site in zip(files, sites, strict=True)
        ],
        settings.workers, tell,
    )  # fmt: skip
    return [_read(file) for file in files]


def _file_name(identifier: str) -> str:
    """A harmless and unique file name of a gauge."""
    plain = "".join(letter if letter.isalnum() or letter in "-_" else f"%{ord(letter):x}" for letter in identifier)
    return plain[:100]


def _work(pieces: Sequence[Piece], workers: int, tell: Tell) -> None:
    """Do the pieces that have no file yet; each gets its file when it is done, in whatever order."""
    open_pieces = [piece for piece in pieces if not piece[0].exists()]
    if not open_pieces:
        return
    tell(f"{len(open_pieces)} of {len(pieces)} pieces to do")
    begun, done = time.perf_counter(), 0
    with listening() as asked:
        for number, result in _results(open_pieces, workers):
            file, name, *_ = open_pieces[number]
            store.write_text(json.dumps(result), file)
            done += 1
            spent = time.perf_counter() - begun
            left = spent / done * (len(open_pieces) - done)
            tell(f"{name}: {done} of {len(open_pieces)} done in {spent:.0f} s, about {left / 60:.1f} min left")
            if asked and done < len(open_pieces):
                raise Stopped(f"stopped on {asked[0]} with {len(open_pieces) - done} to do; go on with resume=true")


def _results(pieces: Sequence[Piece], workers: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and result of every piece, as they come."""
    if workers == 1:
        for number, (_, _, function, arguments) in enumerate(pieces):
            yield _one(number, function, arguments)
        return
    work = joblib.Parallel(n_jobs=workers, backend="loky", return_as="generator_unordered")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*have been cancelled")  # that is what stopping means
        yield from work(joblib.delayed(_one_of_many)(number, piece[2], piece[3]) for number, piece in enumerate(pieces))


def _one(
    number: int, function: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]
) -> tuple[int, dict[str, Any]]:
    """One piece on one thread: the processes are the parallel part. Hyper-parameters come from fixed spaces."""
    with threadpoolctl.threadpool_limits(1), sklearn.config_context(skip_parameter_validation=True):
        return number, function(*arguments)


def _one_of_many(
    number: int, function: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]
) -> tuple[int, dict[str, Any]]:
    """One piece in a process of its own, which leaves it to the first process to answer Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _one(number, function, arguments)


def _finish(
    folder: pathlib.Path,
    data: Learning,
    table: pd.DataFrame,
    found: list[dict[str, Any]],
    settings: config.Signatures,
    design: Design,
    tell: Tell,
) -> str:
    """Write scores, signatures, models and maps."""
    validation.audit(found, data)
    predictions = validation.prediction_table(found)
    scores = validation.score_table(data.targets, predictions, settings.regressors, design.seed)
    _write_table(table.join(predictions), folder / SIGNATURES, index=True)
    _write_table(attributes.correlations(data.predictors, data.targets), folder / CORRELATION, index=True)
    tell("models: training on all basins")
    chosen, forests = final_models(data, validation.best(scores), design)
    looks = {target: maps.importance(model, data, design.seed) for target, model in chosen.items()}
    others = [maps.importance(f, data, design.seed) for target, f in forests.items() if f is not chosen[target]]
    _write_table(pd.concat([*looks.values(), *others]), folder / IMPORTANCE)
    if storage.available():
        for role, models in (("", chosen), ("_rf", forests)):
            for target, model in models.items():
                with store.committed(folder / MODELS / f"{target}{role}.skops") as temporary:
                    storage.save(model, temporary, data.digest())
    else:
        tell("models are not stored: that needs an extra: pip install 'chase_jax[ml]'")
    if settings.domain.path:
        weights = {target: look["permutation"].to_numpy() for target, look in looks.items()}
        areas = {target: maps.applicability(data, weight) for target, weight in weights.items()}
        interval = _interval(table)
        _write_maps(folder, data, chosen, forests, areas, interval, settings, tell)
        if settings.gauges.path:
            _write_maps_without(folder, data, found, validation.best(scores), interval, settings, design, tell)
    else:
        tell("maps.nc: not written; domain.path names no file with predictors")
    _write_table(scores, folder / SCORES)  # last: a folder with scores is complete
    shown = scores.assign(best=scores["best"].map({True: "best", False: ""}))
    return f"{shown.to_string(index=False, float_format=lambda v: f'{v:.4g}')}\nstudy: {folder}"


def _interval(table: pd.DataFrame) -> int:
    """Days of the interval by which base flow was separated in the middle one of the basins learned from."""
    return int(table.loc[table["kept"], "interval_days"].quantile(0.5, interpolation="lower"))


def final_models(
    data: Learning, best: Mapping[str, str], design: Design
) -> tuple[dict[str, Fitted], dict[str, Fitted]]:
    """The best model and a forest of every target, trained on all gauges.

    Args:
        data: The gauges.
        best: Regressor by target.
        design: How to search.
    """
    everyone = np.ones(len(data.gauge_id), dtype=bool)
    chosen: dict[str, Fitted] = {}
    forests: dict[str, Fitted] = {}
    for target, name in best.items():
        one = dataclasses.replace(data, targets=data.targets[[target]])
        parameters = validation.search_all(one, everyone, sorted({name, "rf"}), design, ("final",))
        models = validation.fit_all(one, everyone, parameters, design, ("final",))[target]
        chosen[target], forests[target] = models[name], models["rf"]
    return chosen, forests


def _write_maps(
    folder: pathlib.Path,
    data: Learning,
    chosen: Mapping[str, Fitted],
    forests: Mapping[str, Fitted],
    areas: Mapping[str, maps.Applicability],
    interval: int,
    settings: config.Signatures,
    tell: Tell,
) -> None:
    """Write maps.nc; that of the baseflow index tells the days of its interval."""
    begun = time.perf_counter()
    with predictor_store.opened(str(settings.domain.path), data.columns) as source:
        found = maps.predict_grid(chosen, forests, areas, source.read, source.shape)
        facts = {target: f"{REGRESSORS[model.regressor]} trained on {len(data.gauge_id)} basins, {data.digest()[:12]}"
                 for target, model in chosen.items()}  # fmt: skip
        dataset = predictor_store.signature_maps(source.grid, found, facts)
        dataset["baseflow_index"].attrs[map_store.INTERVAL] = interval
        store.write_dataset(dataset, folder / MAPS, "Signatures")
    tell(f"maps.nc: {found[next(iter(chosen))].size} cells in {time.perf_counter() - begun:.0f} s")


def _write_maps_without(
    folder: pathlib.Path,
    data: Learning,
    results: Sequence[Mapping[str, Any]],
    best: Mapping[str, str],
    interval: int,
    settings: config.Signatures,
    design: Design,
    tell: Tell,
) -> None:
    """For each gauge of the table that lies in the domain, maps made without it and the gauges upstream of it.

    Gauges that leave out the same ones share their models. The table of aggregated maps compares the means over the
    catchment with what was observed.
    """
    domain = domain_store.open_domain(str(settings.domain.path))
    gauges = gauge_store.read_gauges(str(settings.gauges.path), domain.grid)
    number = {identifier: site for site, identifier in enumerate(data.gauge_id)}
    known = {str(result["gauge_id"]): result for result in results}
    trained: dict[bytes, dict[str, dict[str, Fitted]]] = {}
    rows = []
    with predictor_store.opened(str(settings.domain.path), data.columns) as source:
        block = domain.grid.pack(np.moveaxis(source.read(slice(0, source.shape[0])), -1, 0)).T
    for identifier, cell in zip(gauges.gauge_id, gauges.cell, strict=True):
        if identifier not in known:
            continue
        site, result = number[identifier], known[identifier]
        training = ~validation.held_out(site, data.downstream, data.whole_catchment)
        validation.require_no_leak(training, site, data)
        if training.tobytes() not in trained:
            parameters = {t: {name: by_name[name]["parameters"] for name in by_name}
                          for t, by_name in result["targets"].items()}  # fmt: skip
            trained[training.tobytes()] = validation.fit_all(data, training, parameters, design, ("site", identifier))
        upstream = slice(int(domain.drainage.first[cell]), int(cell) + 1)
        found, facts = {}, {}
        for target, by_name in trained[training.tobytes()].items():
            values = np.full(domain.cells, np.nan)
            values[upstream] = by_name[best[target]].predict(block[upstream])
            found[target] = domain.grid.unpack(values)
            facts[target] = f"{REGRESSORS[by_name[best[target]].regressor]} trained on {training.sum()} basins"
            if "rf" in by_name:
                for part, spread in zip(("low", "high"), by_name["rf"].spread(block[upstream]), strict=True):
                    around = np.full(domain.cells, np.nan)
                    around[upstream] = spread
                    found[f"{target}_{part}"] = domain.grid.unpack(around)
            mean = attributes.basin_means(values, np.asarray(domain.cell_area), domain.drainage, np.array([cell]))[0]
            rows.append({"gauge_id": identifier, "target": target, "observed": data.targets[target].iloc[site],
                         "aggregated": mean, "area_km2": float(domain.drainage.upstream_area[cell]) / 1e6})  # fmt: skip
        dataset = predictor_store.signature_maps(domain.grid, found, facts)
        dataset["baseflow_index"].attrs[map_store.INTERVAL] = interval
        store.write_dataset(dataset, folder / LEFT_OUT / f"{_file_name(identifier)}.nc", f"Without gauge {identifier}")
    if rows:
        _write_table(pd.DataFrame(rows), folder / AGGREGATED)
        tell(f"{LEFT_OUT}: maps of {len(rows) // len(data.targets.columns)} gauges, {len(trained)} sets of models")


def _write_table(table: pd.DataFrame, path: pathlib.Path, index: bool = False) -> None:
    store.write_text(table.to_csv(index=index, float_format=NUMBERS), path)
