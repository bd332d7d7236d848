"""The commands with their options and help texts. Everything heavy is imported when a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from xrfree.cli import curve_commands
from xrfree.cli.pages import name_pages

app = typer.Typer(
    name="xrfree",
    help="X-ray fluorescence spectra of iron ore in; mass fractions of La, Ce, Pr, Nd, Sm and Nb out.",
    epilog="Exit codes: 0 everything done, 1 usage or document error, 2 some inputs refused, 3 batch held by a gate. "
    "Documentation without a network: xrfree docs.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Paths = Annotated[list[Path], typer.Argument(metavar="PATH", help="Spectrum files, or folders of them.")]
MethodOption = Annotated[
    Path,
    typer.Option("--method", "-m", metavar="FILE", help="Method document (.toml): what is measured and how."),
]
InstrumentOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Instrument document (.toml), if not the one that the method names."),
]
SpecimensOption = Annotated[
    Path | None,
    typer.Option(
        "--specimens",
        "-s",
        metavar="FILE",
        help="List (.csv) of form, density, thickness ... of the specimens.",
    ),
]
ProfileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Reader profile (.toml): what the spectrum files do not say themselves."),
]


def is_usage_error(error: Exception) -> bool:
    """Whether an exception says that something was typed wrongly."""
    # typer brings its own copy of click, or uses the package: ask its own classes.
    base = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    return isinstance(error, base | typer.Abort)


def typed_wrongly(error: Any) -> str:
    """One line that says what was typed wrongly, and where the right way is written."""
    if isinstance(error, typer.Abort):
        return "interrupted"
    context = getattr(error, "ctx", None)
    command = "xrfree" if context is None else context.command_path
    message = " ".join(error.format_message().split()).rstrip(".")
    return f"{message}. Try: {command} --help"


def _show_version(wanted: bool) -> None:
    if wanted:
        from xrfree import __version__

        typer.echo(f"xrfree {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _xrfree(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="After an error, show where in the program it happened.")
    ] = False,
) -> None:
    del version, debug  # one is done by its callback, the other by main()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(1)


JobsOption = Annotated[
    int, typer.Option("--jobs", "-j", min=0, metavar="N", help="Worker processes; 0: one per processor.")
]
SchedulerOption = Annotated[
    str, typer.Option(metavar="URL", help="Work on a dask cluster: address of its scheduler (tcp://host:8786).")
]
ClusterOption = Annotated[
    str, typer.Option(metavar="local", help="Work on a dask cluster of this machine, with --jobs workers.")
]
LedgerOption = Annotated[
    str,
    typer.Option(metavar="PLACE", envvar="XRFREE_LEDGER", help="Ledger: a file, or the URL of a PostgreSQL database."),
]
OperatorOption = Annotated[
    str, typer.Option(metavar="NAME", help="Who works; else XRFREE_OPERATOR, or the name of the account.")
]
KeyOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", envvar="XRFREE_KEY", help="Private key (`xrfree ledger key`) to sign records with."),
]
WorklistOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Worklist (.csv, .xlsx, .json): samples, expected files, customer ..."),
]
RetryOption = Annotated[bool, typer.Option("--retry", help="Assay again what was refused before.")]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        "-c",
        metavar="FILE",
        help="Calibration (.toml) made by `xrfree calibrate`; without it: fundamental parameters alone.",
    ),
]
SupersededOption = Annotated[
    bool, typer.Option("--superseded", help="Allow a superseded calibration, to repeat what was done with it.")
]


@app.command(short_help="Assay spectra.")
def assay(
    paths: Paths,
    method: MethodOption,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the results; made if needed.")],
    instrument: InstrumentOption = None,
    calibration: CalibrationOption = None,
    specimens: SpecimensOption = None,
    profile: ProfileOption = None,
    certificates: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Certificates of check standards among the spectra, for the method's gates."),
    ] = None,
    jobs: JobsOption = 1,
    scheduler: SchedulerOption = "",
    cluster: ClusterOption = "",
    ledger: LedgerOption = "",
    operator: OperatorOption = "",
    key: KeyOption = None,
    retry: RetryOption = False,
    worklist: WorklistOption = None,
    keep_fits: Annotated[bool, typer.Option("--keep-fits", help="Keep the fitted curves of all specimens.")] = False,
    status: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep how far it is in this file (.json), for other programs.")
    ] = None,
    superseded: SupersededOption = False,
) -> int:
    """Assay spectra: mass fractions with uncertainties, as tables and as a page to read.

    Several files of one specimen (one per excitation condition) are one measurement. Files that cannot be
    used are refused, each with its reason; the others are assayed all the same.

    Every result is recorded as soon as it is done. A run that was interrupted goes on when the same command
    is given again; what the ledger knows already is not assayed twice.

    \b
    Written into the folder of --out:
      report.html   results, fits and reasons, to read and to print
      assays.csv    results for other programs, in kg/kg
      assays.json   the same with covariances, budgets and digests of all inputs; of up to 10 000 specimens
      refused.csv   what was refused, why, and what to do
      gates.csv     what the gates of the method found, if it has any
      ledger.sqlite the record of everything, unless --ledger names another

    \b
    Example:
      xrfree assay monday/ --method ore.toml --calibration may.toml --specimens list.csv --out results
    """  # noqa: D301  \b keeps the lines of a paragraph apart
    from xrfree.cli import assaying, recording

    return assaying.run(
        assaying.Request(
            paths=paths,
            method=method,
            out=out,
            instrument=instrument,
            calibration=calibration,
            specimens=specimens,
            profile=profile,
            certificates=certificates,
            jobs=jobs,
            scheduler=assaying.scheduler_of(scheduler=scheduler, cluster=cluster),
            ledger=ledger,
            hand=recording.Hand(name=operator, key=key),
            retry=retry,
            worklist=worklist,
            keep_fits=keep_fits,
            status=status,
            superseded=superseded,
        )
    )


@app.command(short_help="Assay what a spectrometer writes into a folder.")
def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder that is watched, with its subfolders.")],
    method: MethodOption,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the results; made if needed.")],
    instrument: InstrumentOption = None,
    calibration: CalibrationOption = None,
    specimens: SpecimensOption = None,
    profile: ProfileOption = None,
    jobs: JobsOption = 1,
    ledger: LedgerOption = "",
    operator: OperatorOption = "",
    key: KeyOption = None,
    every: Annotated[float, typer.Option(min=0.05, metavar="S", help="Seconds between two looks.")] = 2.0,
    settle: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Seconds for which a file must stand still to be complete.")
    ] = 5.0,
    patience: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="Seconds a specimen waits for its other conditions.")
    ] = 600.0,
    until_idle: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="End when nothing has come for so long; 0: never.")
    ] = 0.0,
    superseded: SupersededOption = False,
) -> int:
    """Assay new spectra as they come into a folder, also on a network drive, until interrupted.

    \b
    Example:
      xrfree watch /mnt/spectrometer --method ore.toml --calibration may.toml --out results
    """  # noqa: D301
    from xrfree.cli import assaying, recording, watching

    return watching.run(
        assaying.Request(
            paths=[folder],
            method=method,
            out=out,
            instrument=instrument,
            calibration=calibration,
            specimens=specimens,
            profile=profile,
            jobs=jobs,
            ledger=ledger,
            hand=recording.Hand(name=operator, key=key),
            superseded=superseded,
        ),
        watching.Rhythm(every_s=every, settle_s=settle, patience_s=patience, until_idle_s=until_idle),
    )


@app.command(short_help="Work in the browser, on this machine.")
def bench(
    home: Annotated[
        Path, typer.Option(metavar="FOLDER", envvar="XRFREE_BENCH", help="Folder of batches, documents and ledger.")
    ] = Path("xrfree-bench"),
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen at; any but this machine's own wants a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0: any free one.")] = 8484,
    ledger: LedgerOption = "",
    operator: OperatorOption = "",
    key: KeyOption = None,
    jobs: JobsOption = 0,
    most_files: Annotated[int, typer.Option(min=1, metavar="N", help="Files that one upload may hold.")] = 5000,
    most_mb: Annotated[float, typer.Option(min=0.001, metavar="N", help="MB that one upload may hold.")] = 1000.0,
    open_browser: Annotated[bool, typer.Option("--open", help="Also open the browser.")] = False,
) -> int:
    """Serve the bench: a page in the browser to upload spectra, assay them, and look at everything.

    Needs the extra "app": pip install "xrfree[app]". It works without internet, and only this machine can reach
    it, unless --host says otherwise: then whoever comes needs the token in the address that is printed.
    Methods, instruments and calibrations of the laboratory are put into FOLDER/documents.

    \b
    Example:
      xrfree bench --home lab --open
    """  # noqa: D301
    from xrfree.cli import benching, recording

    return benching.run(
        benching.Request(
            home=home,
            host=host,
            port=port,
            ledger=ledger,
            hand=recording.Hand(name=operator, key=key),
            jobs=jobs,
            most_files=most_files,
            most_mb=most_mb,
            open_browser=open_browser,
        )
    )


@app.command(short_help="Explain the uncertainty of results.")
def explain(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="assays.json of a batch, or its folder.")],
    specimen: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this specimen; may be given several times.")
    ] = None,
    component: Annotated[
        list[str] | None, typer.Option(metavar="ELEMENT", help="These elements instead of the analytes.")
    ] = None,
    of: Annotated[
        list[str] | None,
        typer.Option("--of", metavar="TEXT", help="A sum or ratio: REO (all rare-earth oxides), La2O3+CeO2, La/Nd."),
    ] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw the budget into this picture.")] = None,
    monte_carlo: Annotated[
        int, typer.Option("--monte-carlo", min=0, metavar="N", help="Check by repeating the assay N times, redrawn.")
    ] = 0,
    method: Annotated[
        Path | None, typer.Option("--method", "-m", metavar="FILE", help="Method document, for --monte-carlo.")
    ] = None,
    instrument: InstrumentOption = None,
    calibration: Annotated[
        Path | None, typer.Option("--calibration", "-c", metavar="FILE", help="Calibration, for --monte-carlo.")
    ] = None,
    specimens: SpecimensOption = None,
    profile: ProfileOption = None,
) -> int:
    """Explain uncertainties: the budget of each analyte as table and bars, and what to improve first.

    Sums and ratios take the correlation between analytes into account.

    \b
    Example:
      xrfree explain results/ --specimen P17 --of REO --of La/Nd
    """  # noqa: D301
    from xrfree.cli import explaining

    return explaining.run(
        explaining.Request(
            result=result,
            specimens=specimen or (),
            components=component or (),
            combinations=of or (),
            png=png,
            trials=monte_carlo,
            method=method,
            instrument=instrument,
            calibration=calibration,
            specimen_list=specimens,
            profile=profile,
        )
    )


@app.command(short_help="Judge results against a specification.")
def conform(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="assays.json of a batch, or its folder.")],
    specification: Annotated[Path, typer.Option(metavar="FILE", help="Specification (.toml): limits and rules.")],
    specimen: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this specimen; may be given several times.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Table to write (.csv).")] = None,
    lots: Annotated[
        bool, typer.Option("--lots", help="Also the capability of the process, each specimen being a lot.")
    ] = False,
) -> int:
    """Judge results: conformity with limits under a stated decision rule, and the risk of a false decision.

    Standards, blanks, monitors and checks of the list of specimens are left out, unless named with --specimen.

    Exit code 2: something does not conform.

    \b
    Example:
      xrfree conform results/ --specification grade-a.toml --out conformity.csv
    """  # noqa: D301
    from xrfree.cli import conforming

    return conforming.run(result, specification=specification, specimens=specimen or (), out=out, lots=lots)


@app.command(short_help="Control chart of a monitor.")
def chart(
    subject: Annotated[
        str,
        typer.Argument(metavar="SPECIMEN", help="Name of the monitor; for range that of the method."),
    ],
    component: Annotated[str, typer.Option(metavar="ELEMENT", help="Component whose results are drawn.")],
    ledger: LedgerOption = "",
    kind: Annotated[
        str,
        typer.Option(metavar="KIND", help="shewhart (Westgard's rules), ewma or cusum; range for duplicates."),
    ] = "shewhart",
    history: Annotated[
        int, typer.Option(min=0, metavar="N", help="Limits from the first N results; 10 if not given.")
    ] = 0,
    mean: Annotated[float | None, typer.Option(metavar="W", help="Centre (kg/kg) instead, with --sd.")] = None,
    sd: Annotated[float | None, typer.Option(metavar="S", help="Standard deviation (kg/kg), with --mean.")] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Also draw the chart into this picture.")] = None,
    operator: OperatorOption = "",
    key: KeyOption = None,
) -> int:
    """Draw results of one specimen, or ranges of duplicates, over time; announce broken rules, and record the chart.

    Exit code 2: the last result breaks a rule that rejects.

    \b
    Example:
      xrfree chart monitor --component La --ledger lab.sqlite --png monitor.png
      xrfree chart "Iron ore" --kind range --component La --ledger lab.sqlite
    """  # noqa: D301
    from xrfree.cli import charting, recording

    return charting.run(
        charting.Request(
            subject=subject,
            component=component,
            ledger=ledger,
            kind=kind,
            history=history,
            mean=mean,
            standard_deviation=sd,
            png=png,
            hand=recording.Hand(name=operator, key=key),
        )
    )


@app.command(short_help="Evaluate a validation plan.")
def validate(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="Validation plan (.toml).")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the dossier.")],
    pdf: Annotated[bool, typer.Option("--pdf", help='Also write a PDF (needs the extra "pdf").')] = False,
) -> int:
    """Validate a method: measured data against a plan, with a verdict per criterion, as a dossier to sign.

    Measurements that the plan wants and nobody has made yet are listed. Exit code 2: a criterion fails, or
    measurements are missing.

    \b
    Example:
      xrfree validate plan.toml --out dossier --pdf
    """  # noqa: D301
    from xrfree.cli import validating

    return validating.run(plan, out=out, pdf=pdf)


@app.command(short_help="Prove that this installation computes right.")
def selftest(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Record to write (.json), for the files.")
    ] = None,
) -> int:
    """Run cases with known answers (statistics, fits, matrix model) on this machine, and keep a record.

    The record names versions, digests and the machine: the evidence that ISO/IEC 17025, 7.11.2 asks for.
    Exit code 2: a case failed.

    \b
    Example:
      xrfree selftest --out selftest-2026-11.json
    """  # noqa: D301
    from xrfree.cli import selftesting

    return selftesting.run(out)


@app.command(short_help="Calibrate with measured standards.")
def calibrate(
    paths: Paths,
    method: MethodOption,
    certificates: Annotated[
        Path,
        typer.Option(metavar="PATH", help="Certificates of the standards: a .toml, a folder of them, or a .csv."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Calibration to write (.toml).")],
    instrument: InstrumentOption = None,
    specimens: SpecimensOption = None,
    profile: ProfileOption = None,
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="Name of the calibration; the name of its file if not given.")
    ] = "",
    exclude: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Standards to leave out, with reasons (.csv).")
    ] = None,
    force_digestion: Annotated[
        bool, typer.Option("--force-digestion", help="Use four-acid values of rare earths and niobium all the same.")
    ] = False,
) -> int:
    """Calibrate: sensitivities of the elements from measured standards and their certificates.

    A specimen and its certificate have the same name. If the list of specimens has a column `role`, only
    specimens with the role standard or blank are used.

    \b
    Example:
      xrfree calibrate standards/ --method ore.toml --certificates certificates.csv --out may.toml
    """  # noqa: D301
    from xrfree.cli import calibrating

    return calibrating.run(
        paths,
        method=method,
        certificates=certificates,
        out=out,
        instrument=instrument,
        specimens=specimens,
        profile=profile,
        name=name,
        exclude=exclude,
        force_digestion=force_digestion,
    )


@app.command("calibrate-instrument", short_help="Calibrate the instrument itself.")
def calibrate_instrument(
    paths: Paths,
    method: MethodOption,
    specimens: Annotated[
        Path,
        typer.Option("--specimens", "-s", metavar="FILE", help="List (.csv) of compounds and blanks with formulas."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Instrument to write (.toml).")],
    instrument: InstrumentOption = None,
    profile: ProfileOption = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Page (.html) with all fits, to look through.")
    ] = None,
) -> int:
    """Calibrate the instrument: detector response, line ratios and scale from spectra of pure compounds and blanks.

    The list of specimens names a formula for each compound, or formulas and mass shares of a mixture
    (Fe2O3:0.8 SiO2:0.2), or has the role pure and the formula as name. Mixtures are fitted as ores are.

    \b
    Example:
      xrfree calibrate-instrument pure/ --method ore.toml --specimens list.csv --out bench.toml
    """  # noqa: D301
    from xrfree.cli import calibrating

    return calibrating.run_instrument(
        paths,
        method=method,
        specimens=specimens,
        out=out,
        instrument=instrument,
        profile=profile,
        report=report,
    )


InstrumentArgument = Annotated[Path, typer.Argument(metavar="INSTRUMENT", help="Instrument document (.toml).")]
CompositionsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SPECIMENS", help="List (.csv) of specimens with their composition as measured in the column formula."
    ),
]


@app.command("plan", short_help="Predict a measurement: precision, limits, best split of the time.")
def plan_measurement(
    instrument: InstrumentArgument,
    specimens: CompositionsArgument,
    time: Annotated[float, typer.Option(metavar="S", help="Seconds for all conditions together.")] = 600.0,
    specimen: Annotated[str, typer.Option(metavar="NAME", help="Specimen of the list, if it has several.")] = "",
    analyte: Annotated[
        list[str] | None,
        typer.Option("--analyte", "-a", metavar="ELEMENT", help="May be given several times; else La Ce Pr Nd Sm Nb."),
    ] = None,
    kv: Annotated[
        list[float] | None, typer.Option("--kv", metavar="KV", help="Tube voltage to consider; several times.")
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="EL:UM", help="Filter to consider, Ag:50, Al:200+Ti:10 or none; several times."
        ),
    ] = None,
    base: Annotated[
        str, typer.Option(metavar="NAME", help="Condition whose geometry and detector --kv and --filter share.")
    ] = "",
    most_rate: Annotated[
        float, typer.Option("--most-rate", metavar="N", help="Counts/s to which the tube current is lowered.")
    ] = float("inf"),
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Also write a table (.csv).")] = None,
) -> int:
    """Plan a measurement before it is made: what each condition would give, and how to split the time.

    Without --kv and --filter the conditions of the instrument are the choices; with them, every combination.
    Precision is what Poisson counts allow with all lines, background, energy scale and width free.

    \b
    Example:
      xrfree plan bench.toml ore.csv --kv 15 --kv 50 --filter none --filter Ag:50 --most-rate 80000
    """  # noqa: D301
    from xrfree.cli import planning

    return planning.run(
        planning.Request(
            instrument=instrument,
            specimens=specimens,
            specimen=specimen,
            analytes=analyte or ("La", "Ce", "Pr", "Nd", "Sm", "Nb"),
            time_s=time,
            voltages_kv=kv or (),
            filters=filters or (),
            base=base,
            most_counts_per_s=most_rate,
            out=out,
        )
    )


@app.command("simulate", short_help="Write spectra of given compositions.")
def simulate_spectra(
    instrument: InstrumentArgument,
    specimens: CompositionsArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File or folder to write.")],
    time: Annotated[float, typer.Option(metavar="S", help="Live time of each spectrum, seconds.")] = 600.0,
    condition: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Condition of the instrument; several times. Else all.")
    ] = None,
    rate: Annotated[
        float, typer.Option(metavar="N", help="Counts/s of each spectrum; else what the calibrated instrument gives.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the counting noise; the same gives the same.")] = 1,
    to: Annotated[
        str, typer.Option(metavar="FORMAT", help="hdf5, emsa or csv, if the suffix of OUT does not say it.")
    ] = "",
) -> int:
    """Simulate spectra with counting noise, as the instrument would record them.

    They come from the model that the assays use: good for training and trials, no proof of accuracy.

    \b
    Example:
      xrfree simulate bench.toml ores.csv spectra/ --to csv --time 300 --rate 80000
    """  # noqa: D301
    from xrfree.cli import simulating

    return simulating.run(
        simulating.Request(
            instrument=instrument,
            specimens=specimens,
            out=out,
            time_s=time,
            conditions=tuple(condition or ()),
            seed=seed,
            to=to,
            rate_per_s=rate,
        )
    )


@app.command(short_help="Show and draw a spectrum file.")
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Spectrum file of any known format.")],
    png: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the spectra into this picture (.png).")
    ] = None,
    profile: ProfileOption = None,
) -> int:
    """Show what a spectrum file holds, and draw it.

    \b
    Example:
      xrfree inspect ore-17.mp2 --png ore-17.png
    """  # noqa: D301
    from xrfree.cli import inspecting

    return inspecting.run(file, png=png, profile=profile)


@app.command(short_help="Convert spectrum files.")
def convert(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="IN... OUT", help="Spectrum files, or folders of them; then a file or a folder."),
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="hdf5, emsa or csv; needed where OUT is a folder.")
    ] = "",
    profile: ProfileOption = None,
) -> int:
    """Convert spectra of any known format to HDF5 (NeXus), EMSA/MAS or CSV, without loss.

    OUT with the suffix .h5 holds all measurements in one file, .msa or .csv a single spectrum; in a folder,
    each spectrum gets a file of its own. Counts are exact, and every key of the original file is kept.

    \b
    Examples:
      xrfree convert monday/ monday.h5
      xrfree convert ore-17.pdz exports/ --to emsa
    """  # noqa: D301
    from xrfree.cli import converting

    return converting.run(paths, to=to, profile=profile)


@app.command(short_help="Assay the example spectra.")
def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the results; made if needed.")
    ] = Path("xrfree-demo"),
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=0, metavar="N", help="Worker processes; 0: one per processor.")
    ] = 0,
) -> int:
    """Assay the example spectra that ship with xrfree: simulated ores whose composition is known.

    \b
    Example:
      xrfree demo
    """  # noqa: D301
    from xrfree.cli import assaying

    return assaying.run_demo(out, jobs=jobs)


@app.command(short_help="Print the JSON schema of a document.")
def schema(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Kind of document, e.g. method.")] = "",
) -> int:
    """Print the JSON schema of a kind of document; without a name, the kinds there are.

    \b
    Example:
      xrfree schema method
    """  # noqa: D301
    import json

    from xrfree.documents.schemas import json_schema, schema_names

    typer.echo(json.dumps(json_schema(name), indent=2) if name else "\n".join(schema_names()))
    return 0


@app.command(short_help="Read the documentation.")
def docs(
    page: Annotated[str, typer.Argument(metavar="[PAGE]", help="Name of a page, e.g. readers.")] = "",
) -> int:
    """Show a page of the documentation in the terminal; without a name, the pages there are.

    \b
    Example:
      xrfree docs tutorials/technician
    """  # noqa: D301
    from xrfree.cli import reading

    return reading.run(page)


@app.command(short_help="Balance a flow sheet; custody of lots.")
def flow(
    sheet: Annotated[Path, typer.Argument(metavar="FILE", help="Flow sheet document (.toml).")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the results; made if needed.")],
    ledger: LedgerOption = "",
    false_alarm: Annotated[
        float, typer.Option(min=1e-6, max=0.5, metavar="P", help="Probability of suspecting something for nothing.")
    ] = 0.05,
    operator: OperatorOption = "",
    key: KeyOption = None,
) -> int:
    """Balance mass, iron, rare earths and niobium over a flow sheet, and follow lots from hand to hand.

    Exit code 2: a measurement contradicts the others, or a lot does not fit its source or its parts.

    \b
    Written into the folder of --out:
      flow.html      streams, recoveries, tests, unaccounted metal, Sankey diagrams
      balance.csv    every quantity, measured and reconciled
      balance.json   tests and recoveries for other programs
      flow-*.svg     the diagrams
      lot-*.html     chain-of-custody document of each lot

    \b
    Example:
      xrfree flow week12.toml --ledger lab.sqlite --out week12
    """  # noqa: D301
    from xrfree.cli import flowing, recording

    return flowing.run(
        flowing.Request(
            sheet=sheet,
            out=out,
            ledger=ledger,
            false_alarm=false_alarm,
            hand=recording.Hand(name=operator, key=key),
        )
    )


@app.command(short_help="Results from the ledger, for other systems.")
def results(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write (.csv, .xlsx, .json).")],
    samples: Annotated[list[str] | None, typer.Argument(metavar="[SAMPLE]...", help="Samples; all if none.")] = None,
    ledger: LedgerOption = "",
    worklist: WorklistOption = None,
    unit: Annotated[str, typer.Option(metavar="UNIT", help="kg/kg, % or mg/kg.")] = "kg/kg",
    released_only: Annotated[bool, typer.Option("--released-only", help="Nothing that is not released.")] = False,
) -> int:
    """Write results with units, limits, uncertainty and flags; exit code 2 if a sample has none.

    \b
    Example:
      xrfree results --worklist monday.csv --ledger lab.sqlite --unit % --out monday.xlsx
    """  # noqa: D301
    from xrfree.cli import resulting

    return resulting.run_results(
        resulting.ResultsRequest(
            ledger=ledger,
            out=out,
            worklist=worklist,
            samples=samples or [],
            unit=unit,
            released_only=released_only,
        )
    )


@app.command(short_help="Certificates of analysis.")
def certificate(
    laboratory: Annotated[Path, typer.Option(metavar="FILE", help="Laboratory document (.toml): name, address ...")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the certificates.")],
    samples: Annotated[list[str] | None, typer.Argument(metavar="[SAMPLE]...", help="Samples.")] = None,
    ledger: LedgerOption = "",
    worklist: WorklistOption = None,
    batch: Annotated[bool, typer.Option("--batch", help="One certificate for all samples.")] = False,
    draft: Annotated[bool, typer.Option("--draft", help="Also for results that are not released.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf/--no-pdf", help="Also as PDF.")] = True,
    font: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TrueType font of the PDF, e.g. for Chinese names.")
    ] = None,
    operator: OperatorOption = "",
    key: KeyOption = None,
) -> int:
    """Write certificates with the items of ISO/IEC 17025, 7.8.2.1; each is recorded and has a number of its own.

    \b
    Example:
      xrfree certificate P1 P2 --ledger lab.sqlite --laboratory lab.toml --worklist monday.csv --out certificates
    """  # noqa: D301
    from xrfree.cli import recording, resulting

    return resulting.run_certificate(
        resulting.CertificateRequest(
            ledger=ledger,
            out=out,
            laboratory=laboratory,
            samples=samples or [],
            worklist=worklist,
            batch=batch,
            draft=draft,
            pdf=pdf,
            font=font,
            hand=recording.Hand(name=operator, key=key),
        )
    )


ledger_app = typer.Typer(
    name="ledger",
    help="The record that cannot be rewritten unseen: check, show, export, amend, release.",
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.add_typer(ledger_app)


@ledger_app.command("verify")
def ledger_verify(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="Ledger (file or URL) or exported package (.zip).")],
    anchor: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER:DIGEST", help="A last record noted earlier (or a file with it); may be repeated."),
    ] = None,
) -> int:
    """Find every record that was changed, removed, inserted or moved; exit code 1 if there is one.

    Records that were cut off at the end together with the ledger's own note of its last record are found
    by an anchor: what `xrfree ledger anchor` printed, or the number on a certificate.
    """
    from xrfree.cli import ledgering

    return ledgering.run_verify(place, anchor or [])


@ledger_app.command("anchor")
def ledger_anchor(
    ledger: LedgerOption = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Also write it here.")] = None,
) -> int:
    """Print number and digest of the last record: keep it outside of the ledger."""
    from xrfree.cli import ledgering

    return ledgering.run_anchor(ledger, out)


@ledger_app.command("show")
def ledger_show(
    result: Annotated[str, typer.Argument(metavar="RESULT", help="Name of a specimen, or number of a record.")],
    ledger: LedgerOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="All records of the story, for other programs.")] = False,
) -> int:
    """Tell the whole story of a result: files, documents, reference materials, software, people."""
    from xrfree.cli import ledgering

    return ledgering.run_show(ledger, result, as_json=as_json)


@ledger_app.command("list")
def ledger_list(
    ledger: LedgerOption = "",
    kind: Annotated[str, typer.Option(metavar="KIND", help="Only this kind, e.g. result.")] = "",
    subject: Annotated[str, typer.Option(metavar="NAME", help="Only records about this.")] = "",
) -> int:
    """List records, one line each."""
    from xrfree.cli import ledgering

    return ledgering.run_list(ledger, kind, subject)


@ledger_app.command("export")
def ledger_export(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Package to write (.zip).")],
    ledger: LedgerOption = "",
) -> int:
    """Write all records into one package (JSON-LD, CSV, and a program that checks them)."""
    from xrfree.cli import ledgering

    return ledgering.run_export(ledger, out)


@ledger_app.command("amend")
def ledger_amend(
    result: Annotated[str, typer.Argument(metavar="RESULT", help="Name of a specimen, or number of a record.")],
    change: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="What is to be read instead.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")],
    ledger: LedgerOption = "",
    operator: OperatorOption = "",
    key: KeyOption = None,
) -> int:
    """Amend a result; the original stays, and a release must be given again. For reviewers."""
    from xrfree.cli import ledgering, recording

    return ledgering.run_amend(ledger, result, change, reason, recording.Hand(name=operator, key=key))


@ledger_app.command("release")
def ledger_release(
    results: Annotated[list[str], typer.Argument(metavar="RESULT", help="Names of specimens, or numbers of records.")],
    ledger: LedgerOption = "",
    statement: Annotated[str, typer.Option(metavar="TEXT", help="What is to be noted with it.")] = "",
    operator: OperatorOption = "",
    key: KeyOption = None,
) -> int:
    """Release results. For approvers; where the method says so, for somebody else than who recorded them."""
    from xrfree.cli import ledgering, recording

    return ledgering.run_release(ledger, results, statement, recording.Hand(name=operator, key=key))


@ledger_app.command("key")
def ledger_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="New file for the private key.")],
    password: Annotated[
        str, typer.Option(envvar="XRFREE_KEY_PASSWORD", metavar="TEXT", help="Encrypts the file.")
    ] = "",
) -> int:
    """Make a pair of keys (Ed25519) for one person."""
    from xrfree.cli import ledgering

    return ledgering.run_key(file, password)


@ledger_app.command("person")
def ledger_person(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    role: Annotated[list[str] | None, typer.Option(metavar="ROLE", help="operator, reviewer or approver.")] = None,
    public_key: Annotated[str, typer.Option(metavar="HEX", help="From then on, this person signs.")] = "",
    ledger: LedgerOption = "",
    operator: OperatorOption = "",
    key: KeyOption = None,
) -> int:
    """Introduce a person, or change roles and key; once there is an approver, approvers do this."""
    from xrfree.cli import ledgering, recording

    return ledgering.run_person(ledger, name, role or [], public_key, recording.Hand(name=operator, key=key))


@ledger_app.command("add")
def ledger_add(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="gate, chart, method, calibration, note ...")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Document (.toml or .json).")],
    ledger: LedgerOption = "",
    operator: OperatorOption = "",
    key: KeyOption = None,
) -> int:
    """Record a document."""
    from xrfree.cli import ledgering, recording

    return ledgering.run_add(ledger, kind, file, recording.Hand(name=operator, key=key))


curve_commands.register(app)


name_pages(app)
