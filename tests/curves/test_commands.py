"""The commands from tables to results: calibrate-lines, approve, assay-lines, design-standards, import-certificates."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xrfree.cli import main
from xrfree.documents.calibration import load_calibration, write_calibration
from xrfree.documents.certificates import load_certificates, save_certificate
from xrfree.documents.conformity import load_conformity
from xrfree.documents.line_method import load_line_method
from xrfree.documents.shipped import shipped_path
from xrfree.errors import DocumentError

COLUMNS = ("specimen", "line", "role", "position", "kind", "rate_per_s", "counting_time_s", "two_theta_deg")


def _write_table(path, measured):
    rows = [COLUMNS]
    for one in measured:
        for line in one.lines.values():
            counted = [("peak", "", line), *(("background", p.name, p) for p in line.background)]
            rows += [
                (
                    one.specimen,
                    line.line,
                    role,
                    name,
                    "gross",
                    p.rate_per_s,
                    p.counting_time_s,
                    np.degrees(p.two_theta_rad),
                )
                for role, name, p in counted
            ]
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _method_text(wd):
    parts = ['schema = "xrfree/line-method/1"', 'name = "beads"', "[excitation]", 'instrument = "wd.toml"']
    parts += ['condition = "wd"', "base = { Li2B4O7 = 0.35, LiBO2 = 0.65 }"]
    for element in wd.ANALYTES:
        transitions = ", ".join(f'"{line.transition}"' for line in wd.main_lines(element))
        parts += [f"[lines.{wd.MEASURED[element]}]", f'element = "{element}"', f"transitions = [{transitions}]"]
        parts += [f"dead_time_s = {wd.DEAD_TIME_S}", 'background = "interpolated"']
    for element in wd.ANALYTES:
        overlaps = ", ".join(f'"{wd.MEASURED[e]}"' for e in wd.OVERLAPS.get(element, ()))
        parts += ["[[curves]]", f'analyte = "{element}"', f'line = "{wd.MEASURED[element]}"']
        parts += ['model = "theoretical influence coefficients"', f"overlaps = [{overlaps}]"]
    parts += ["[conformity]", 'standard = "ISO 9516-1"', 'scheme = "beads"', "[conformity.slots.ranges]"]
    parts += ['what = "ranges"', 'value = ""']
    return "\n".join(parts) + "\n"


@pytest.fixture(scope="module")
def laboratory(spectrometer, beads, wd, tmp_path_factory):
    """A folder with everything a laboratory would have; unknowns with their true contents in the ore."""
    folder = tmp_path_factory.mktemp("laboratory")
    rng = np.random.default_rng(7)
    standards, _ = beads
    (folder / "certificates").mkdir()
    for standard in standards:
        save_certificate(standard.material, folder / "certificates" / f"{standard.material.name}.toml")
    ores = wd.ore_contents(np.random.default_rng(20), 20)
    _write_table(
        folder / "standards.csv",
        [
            spectrometer.measure(s.material.name, {e: w / wd.BEAD.dilution for e, w in ore.items()}, rng)
            for s, ore in zip(standards, ores, strict=True)
        ],
    )
    truth = {f"U{i}": ore for i, ore in enumerate(wd.ore_contents(rng, 5))}
    _write_table(
        folder / "unknowns.csv",
        [
            spectrometer.measure(name, {e: w / wd.BEAD.dilution for e, w in ore.items()}, rng)
            for name, ore in truth.items()
        ],
    )
    names = [s.material.name for s in standards] + list(truth)
    beads_list = ["specimen,form,density_g_cm3,thickness_cm,flux,sample_g,flux_g,ignited_mass_per_g_sample"]
    beads_list += [f"{name},fused bead,2.6,0.3,Li2B4O7:LiBO2 12:22,1,10,0.95" for name in names]
    (folder / "beads.csv").write_text("\n".join(beads_list) + "\n", encoding="utf-8")
    instrument = shipped_path("instruments", "example-wdxrf.toml").read_text(encoding="utf-8")
    (folder / "wd.toml").write_text(instrument, encoding="utf-8")
    (folder / "method.toml").write_text(_method_text(wd), encoding="utf-8")
    return folder, truth


@pytest.fixture(scope="module")
def calibrated(laboratory):
    folder, _ = laboratory
    (folder / "out.csv").write_text(
        "material,curve,reason,by,at\nB07,La,bead cracked,A. Lab,2025-05-02\n", encoding="utf-8"
    )
    code = _run(
        "calibrate-lines",
        folder / "standards.csv",
        "--pls",
        method=folder / "method.toml",
        certificates=folder / "certificates",
        specimens=folder / "beads.csv",
        out=folder / "cal.toml",
        report=folder / "cal.html",
        workbook=folder / "cal.xlsx",
        exclude=folder / "out.csv",
        name="May",
    )
    assert code == 0
    return folder


def _run(command, path, *flags, **options):
    stated = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return main([command, str(path), *flags, *stated])


def _assay(folder, *flags, method="method.toml"):
    return _run(
        "assay-lines",
        folder / "unknowns.csv",
        *flags,
        method=folder / method,
        calibration=folder / "cal.toml",
        specimens=folder / "beads.csv",
        out=folder / "results",
    )


def test_from_tables_to_approved_results(calibrated, laboratory, capsys):
    folder, truth = laboratory
    assert _assay(folder) == 1
    assert "is a draft" in capsys.readouterr().err
    calibration = load_calibration(folder / "cal.toml")
    assert main(["calibration-status", str(folder / "cal.toml"), "approved", "--by", "B", "--why", "controls"]) == 0
    assert load_calibration(folder / "cal.toml").sha256 == calibration.sha256
    assert _assay(folder) == 0
    with (folder / "results" / "assays.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 8
    z = [
        (float(r["mass_fraction"]) - truth[r["specimen"]][r["component"]]) / float(r["standard_uncertainty"])
        for r in rows
    ]
    # 40 values: 1.00 ± 0.11, the errors of the coefficients in common.
    assert 0.6 < np.sqrt(np.mean(np.square(z))) < 1.5
    assert {r["verdict"] for r in rows} <= {"detected", "not detected", "doubtful"}
    document = json.loads((folder / "results" / "assays.json").read_text(encoding="utf-8"))
    assert len(document["assays"]) == 5
    assert "No conformity with ISO 9516-1 is claimed" in capsys.readouterr().out


def test_the_report_of_the_curves_is_complete(calibrated):
    page = (calibrated / "cal.html").read_text(encoding="utf-8")
    assert page.count("<img") == 8
    assert load_calibration(calibrated / "cal.toml").sha256 in page
    assert "bead cracked" in page
    assert "without matrix correction" in page
    assert (calibrated / "cal.xlsx").stat().st_size > 10_000


def test_a_range_is_set_on_the_command_line(calibrated, tmp_path, capsys):
    stated = ("--by", "B. Chief", "--why", "validated with U3")
    path = tmp_path / "c.toml"
    path.write_bytes((calibrated / "cal.toml").read_bytes())
    before = load_calibration(path)
    assert main(["calibration-range", str(path), "La", "0", "0.0001", *stated]) == (
        0 if before.status == "draft" else 1
    )
    assert main(["calibration-range", str(path), "La", "0", "0.0001", "--out", str(tmp_path / "d.toml"), *stated]) == 0
    draft = load_calibration(tmp_path / "d.toml")
    assert draft.status == "draft"
    (span,) = [span for span in draft.validity.ranges if span.element == "La"]
    assert (span.low, span.high, span.by, span.why) == (0.0, 0.0001, "B. Chief", "validated with U3")
    assert draft.sha256 != before.sha256
    assert main(["calibration-status", str(tmp_path / "d.toml"), "approved", *stated]) == 0
    assert main(["calibration-range", str(tmp_path / "d.toml"), "La", "0", "1", *stated]) == 1
    assert "is approved; its ranges stay. Give --out" in capsys.readouterr().err


def test_results_outside_the_range_and_of_a_draft_say_so(calibrated, laboratory, tmp_path, capsys):
    folder, _ = laboratory
    stated = ("--by", "B. Chief", "--why", "validated with U3")
    narrow = folder / "narrow.toml"
    assert main(["calibration-range", str(folder / "cal.toml"), "La", "0", "1e-6", "--out", str(narrow), *stated]) == 0
    code = _run(
        "assay-lines",
        folder / "unknowns.csv",
        "--trial",
        method=folder / "method.toml",
        calibration=narrow,
        specimens=folder / "beads.csv",
        out=tmp_path,
    )
    assert code == 0
    with (tmp_path / "assays.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {r["calibration_status"] for r in rows} == {"draft"}
    assert {(r["verdict"], "above the range set for the calibration" in r["reason"]) for r in rows
            if r["component"] == "La"} == {("doubtful", True)}  # fmt: skip
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "draft: nobody has approved this calibration" in page
    assert "above the range set for the calibration" in page
    told = capsys.readouterr().out
    assert "La doubtful: La is" in told
    assert "draft: nobody has approved this calibration" in told


def test_another_method_is_refused(calibrated, capsys):
    text = (calibrated / "method.toml").read_text(encoding="utf-8")
    (calibrated / "other.toml").write_text(text.replace("2.5e-07", "2.6e-07"), encoding="utf-8")
    assert _assay(calibrated, "--trial", method="other.toml") == 2
    assert "was not made with the method" in capsys.readouterr().err


def test_a_calibration_of_spectra_is_reported_and_compared(tmp_path, capsys):
    whole = load_calibration(shipped_path("fitted", "iron-ore-edxrf.toml"))
    kept = [p for p in whole.points if p.group == "low/band/La L"]
    write_calibration(tmp_path / "c.toml", replace(whole, points=tuple(kept)))
    assert main(["calibration-report", str(tmp_path / "c.toml"), "--out", str(tmp_path / "c.html")]) == 0
    assert "low/band/La L" in (tmp_path / "c.html").read_text(encoding="utf-8")
    assert main(["compare-calibrations", str(tmp_path / "c.toml"), str(tmp_path / "c.toml")]) == 0
    assert "+0.00" in capsys.readouterr().out


def test_certificates_are_imported_and_four_acid_values_noted(tmp_path, capsys):
    table = tmp_path / "table.csv"
    table.write_text(
        "specimen,component,mass_fraction,between_laboratory_sd,unit,basis,assigned_by\n"
        "GBW 7,La,0.9,0.02,%,dry,fusion\nGBW 7,Nb,0.2,0.01,%,dry,four-acid\n",
        encoding="utf-8",
    )
    assert main(["import-certificates", str(table), "--out", str(tmp_path / "certs")]) == 0
    assert "GBW 7: Nb by a digestion" in capsys.readouterr().err
    (material,) = load_certificates(tmp_path / "certs")
    assert set(material.element_values()) == {"La"}
    assert set(material.element_values(force_digestion=True)) == {"La", "Nb"}


def test_a_design_is_planned_with_a_record_that_reads_back(tmp_path, capsys):
    design = shipped_path("designs", "ree-beads.toml")
    assert main(["design-standards", str(design), "--out", str(tmp_path)]) == 0
    materials = load_certificates(tmp_path / "weighing.toml")
    assert len(materials) == 24
    contents = np.array([[v.element_values()[e].mass_fraction if e in v.element_values() else 0.0
                          for e in ("La", "Ce", "Pr", "Nd", "Sm", "Nb", "Ba")] for v in materials])  # fmt: skip
    assert np.abs(np.corrcoef(contents.T) - np.eye(7)).max() < 0.03
    assert "largest correlation 0.0" in capsys.readouterr().out
    with (tmp_path / "coefficients.csv").open(encoding="utf-8") as file:
        slopes = [row for row in csv.DictReader(file) if row["relative_standard_uncertainty"]]
    assert len(slopes) == 12
    assert max(float(row["relative_standard_uncertainty"]) for row in slopes) < 0.005


PROFILES = (
    ("line-methods", "iron-ore-fused-bead-iso9516-scheme.toml"),
    ("line-methods", "iron-ore-ree-gbt-scheme.toml"),
    ("methods", "iron-ore-pressed-powder-edxrf.toml"),
)


@pytest.mark.parametrize("name", PROFILES, ids=lambda name: name[1])
def test_shipped_profiles_claim_nothing(name):
    conformity = load_conformity(shipped_path(*name))
    assert len(conformity.empty_slots) == len(conformity.slots) >= 8
    assert not conformity.complete
    assert conformity.statement().startswith("No conformity")


@pytest.mark.parametrize("name", PROFILES[:2], ids=lambda name: name[1])
def test_shipped_line_methods_are_valid(name):
    method = load_line_method(shipped_path(*name))
    assert method.excitation is not None
    assert len(method.models) >= 10


def test_filling_slots_does_not_change_the_method(tmp_path):
    source = shipped_path(*PROFILES[0])
    text = (
        source.read_text(encoding="utf-8")
        .replace('value = ""', 'value = "typed"')
        .replace('filled_by = ""', 'filled_by = "A. Lab, copy 3"')
    )
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    assert load_line_method(tmp_path / "m.toml").sha256 == load_line_method(source).sha256
    assert load_conformity(tmp_path / "m.toml").complete


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('analyte = "La"', 'analyte = "Xx"'), "analyte"),
        (("overlaps = []", 'overlaps = ["Zr-KA1"]'), "needs Zr-KA1, not measured"),
        (('"L3-M5"', '"L3-M9"'), "not a known characteristic line"),
        (("[excitation]", "[excitations]"), "is not a key"),
        (('condition = "wd"', ""), "condition: is missing"),
    ],
)
def test_a_wrong_line_method_is_refused(wd, tmp_path, change, message):
    (tmp_path / "m.toml").write_text(_method_text(wd).replace(*change), encoding="utf-8")
    with pytest.raises(DocumentError, match=message):
        load_line_method(tmp_path / "m.toml")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("S1,,cracked,A,today", "no measurement is left"),
        ("S9,,cracked,A,today", "S9 cannot be left out"),
        ("S1,La,cracked,A,today", "Empty the column curve"),
        ("S1,,,A,today", "without a reason"),
    ],
)
def test_standards_of_spectra_are_left_out_for_a_reason(tmp_path, capsys, rows, message):
    (tmp_path / "in").mkdir()
    spectra = shipped_path("spectra", "demo")
    for condition in ("low", "high"):
        text = (spectra / f"hematite.{condition}.csv").read_text(encoding="utf-8")
        (tmp_path / "in" / f"S1.{condition}.csv").write_text(text.replace("hematite", "S1"), encoding="utf-8")
    (tmp_path / "c.csv").write_text(
        "specimen,component,mass_fraction,between_laboratory_sd,basis\nS1,Fe,0.6,0.001,dry\n", encoding="utf-8"
    )
    (tmp_path / "out.csv").write_text(f"material,curve,reason,by,at\n{rows}\n", encoding="utf-8")
    code = _run(
        "calibrate",
        tmp_path / "in",
        method=shipped_path("methods", "iron-ore-edxrf.toml"),
        certificates=tmp_path / "c.csv",
        out=tmp_path / "may.toml",
        exclude=tmp_path / "out.csv",
    )
    assert code == 1
    assert message in capsys.readouterr().err
