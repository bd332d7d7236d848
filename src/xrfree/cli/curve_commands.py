"""Commands around calibration curves, certificates and standards; everything heavy is imported when one runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LineMethodOption = Annotated[
    Path,
    typer.Option("--method", "-m", metavar="FILE", help="Line method (.toml): lines, corrections, curves."),
]
SpecimensOption = Annotated[
    Path | None,
    typer.Option("--specimens", "-s", metavar="FILE", help="List (.csv) of form, dilution ... of the specimens."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("calibrate-lines", short_help="Calibrate curves of line intensities.")(calibrate_lines)
    app.command("assay-lines", short_help="Assay line intensities.")(assay_lines)
    app.command("calibration-report", short_help="Page and workbook of a calibration.")(calibration_report)
    app.command("calibration-status", short_help="Approve or supersede a calibration.")(calibration_status)
    app.command("calibration-range", short_help="Set the range of an element.")(calibration_range)
    app.command("compare-calibrations", short_help="What changed between two calibrations.")(compare_calibrations)
    app.command("design-standards", short_help="Plan synthetic standards.")(design_standards)
    app.command("import-certificates", short_help="Tables and weighing records to certificates.")(import_certificates)


def calibrate_lines(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE", help="Tables of intensities of the standards.")],
    method: LineMethodOption,
    certificates: Annotated[
        Path, typer.Option(metavar="PATH", help="Certificates: a .toml, a folder of them, a .csv or .xlsx.")
    ],
    specimens: Annotated[
        Path, typer.Option("--specimens", "-s", metavar="FILE", help="List (.csv) of form, dilution ... of the beads.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Calibration to write (.toml).")],
    exclude: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Standards to leave out, with reasons (.csv)."),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the page (.html).")] = None,
    workbook: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write all numbers (.xlsx).")] = None,
    pls: Annotated[bool, typer.Option("--pls", help="Compare with partial least squares (extra ml).")] = False,
    force_digestion: Annotated[
        bool, typer.Option("--force-digestion", help="Use four-acid values of rare earths and niobium all the same.")
    ] = False,
    name: Annotated[str, typer.Option(metavar="TEXT", help="Name; that of its file if not given.")] = "",
) -> int:
    """Calibrate curves of line intensities: wavelength-dispersive tables of standards and their certificates.

    Errors of certificates and counting enter both sides of the regression; too few or collinear standards are refused.

    \b
    Example:
      xrfree calibrate-lines beads.csv --method wd.toml --certificates certs/ --specimens beads-list.csv --out may.toml
    """  # noqa: D301
    from xrfree.cli import lines

    return lines.calibrate(
        tables,
        method=method,
        certificates=certificates,
        specimens=specimens,
        out=out,
        exclude=exclude,
        report=report,
        workbook=workbook,
        pls=pls,
        force_digestion=force_digestion,
        name=name,
    )


def assay_lines(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE", help="Tables of intensities.")],
    method: LineMethodOption,
    calibration: Annotated[
        Path, typer.Option("--calibration", "-c", metavar="FILE", help="Calibration made by `xrfree calibrate-lines`.")
    ],
    specimens: Annotated[
        Path,
        typer.Option("--specimens", "-s", metavar="FILE", help="List (.csv) of form, dilution ... of the specimens."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the results.")],
    drift: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Monitors (.csv): line, monitor, reference and present rates.")
    ] = None,
    trial: Annotated[bool, typer.Option("--trial", help="Allow a calibration that nobody has approved yet.")] = False,
    superseded: Annotated[
        bool, typer.Option("--superseded", help="Allow a superseded calibration, to repeat what was done with it.")
    ] = False,
) -> int:
    """Assay line intensities with approved curves: mass fractions with uncertainties, limits and verdicts.

    \b
    Example:
      xrfree assay-lines monday.csv --method wd.toml --calibration may.toml --specimens list.csv --out results
    """  # noqa: D301
    from xrfree.cli import lines

    return lines.assay(
        tables,
        method=method,
        calibration=calibration,
        specimens=specimens,
        out=out,
        drift=drift,
        trial=trial,
        superseded=superseded,
    )


def calibration_report(
    calibration: Annotated[Path, typer.Argument(metavar="FILE", help="Calibration of spectra (.toml).")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Page to write (.html).")],
    certificates: Annotated[Path | None, typer.Option(metavar="PATH", help="Certificates of the standards.")] = None,
    method: Annotated[Path | None, typer.Option(metavar="FILE", help="Its method: which standard it follows.")] = None,
    workbook: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write all numbers (.xlsx).")] = None,
) -> int:
    """Page of a calibration: curves, residuals, leverage, leave-one-out, limits, standards, exclusions, history."""
    from xrfree.cli import calibrations

    return calibrations.report(calibration, out=out, certificates=certificates, method=method, workbook=workbook)


def calibration_status(
    calibration: Annotated[Path, typer.Argument(metavar="FILE", help="Calibration (.toml).")],
    status: Annotated[str, typer.Argument(metavar="STATUS", help="approved or superseded.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who decides.")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why.")],
) -> int:
    """Approve or supersede a calibration: who, when and why are kept in its document; its numbers stay."""
    from xrfree.cli import calibrations

    return calibrations.change_status(calibration, status, by=by, why=why)


def calibration_range(
    calibration: Annotated[Path, typer.Argument(metavar="FILE", help="Calibration (.toml).")],
    element: Annotated[str, typer.Argument(metavar="ELEMENT", help="Analyte or matrix element.")],
    low: Annotated[float, typer.Argument(metavar="LOW", help="Lowest content, kg/kg of the specimen.")],
    high: Annotated[float, typer.Argument(metavar="HIGH", help="Highest content, kg/kg of the specimen.")],
    by: Annotated[str, typer.Option(metavar="NAME", help="Who decides.")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write a draft there; needed unless it is one.")
    ] = None,
) -> int:
    """Set the range of one element, outside of which results are doubtful; the range of the standards is replaced.

    \b
    Example:
      xrfree calibration-range may.toml La 0 0.03 --by "B. Chief" --why "validated with P17" --out may-2.toml
    """  # noqa: D301
    from xrfree.cli import calibrations

    return calibrations.set_range(calibration, element, low, high, by=by, why=why, out=out)


def compare_calibrations(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Calibration (.toml).")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Calibration (.toml).")],
) -> int:
    """What changed between two calibrations, and whether more than their uncertainties explain."""
    from xrfree.cli import calibrations

    return calibrations.compare(old, new)


def design_standards(
    design: Annotated[Path, typer.Argument(metavar="FILE", help="Design document (.toml): substances and ranges.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the plan.")],
    existing: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Certificates of standards that are there already.")
    ] = None,
) -> int:
    """Plan synthetic standards whose contents are independent, with weighing sheet and predictions.

    \b
    Written into the folder of --out:
      weighing-sheet.csv   what to weigh, with room for what was weighed
      weighing.toml        the same as a weighing record, to be corrected to what was weighed
      rates.csv            predicted rates (if the design names a line method)
      coefficients.csv     predicted uncertainty of every coefficient

    \b
    Example:
      xrfree design-standards ree.toml --existing certificates/ --out plan
    """  # noqa: D301
    from xrfree.cli import designing

    return designing.run(design, out=out, existing=existing)


def import_certificates(
    table: Annotated[Path, typer.Argument(metavar="FILE", help="Table (.csv, .xlsx) or weighing record (.toml).")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for one document per material.")],
) -> int:
    """Certificate documents from a table of reference values, or from weighing records of synthetic standards."""
    from xrfree.cli import calibrations

    return calibrations.import_certificates(table, out=out)
