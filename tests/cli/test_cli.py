from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from xrfree.batch import work
from xrfree.calibration import CalibrationStatus
from xrfree.cli import FAILED, HELD, INTERRUPTED, OK, REFUSED, assaying, main
from xrfree.curves.lifecycle import with_status
from xrfree.documents.calibration import load_calibration, write_calibration
from xrfree.documents.shipped import shipped_path
from xrfree.errors import CalibrationError, FitError
from xrfree.readers import read_measurement, read_measurements

METHOD = str(shipped_path("methods", "iron-ore-edxrf.toml"))
HEAVY = ("numpy", "scipy", "numba", "matplotlib", "pydantic", "h5py", "xraylib", "jinja2", "lmfit")


def write_spectra(folder: Path, specimen: str, *conditions: str, live_time_s: str = "10") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for condition in conditions or ("low", "high"):
        lines = [f"# specimen: {specimen}", f"# condition: {condition}", f"# live_time_s: {live_time_s}"]
        lines += ["# real_time_s: 11", "# energy_zero_kev: 0", "# energy_gain_kev: 0.01", "channel,counts"]
        lines += [f"{i},{100 + (7 * i) % 13}" for i in range(64)]
        (folder / f"{specimen}.{condition}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def assayed(monkeypatch, make_assay):
    """The chain without its physics; returns what it was called with."""
    calls = []

    def prepare(method, instrument, calibration=None):
        calls.append((method, instrument, calibration))
        return SimpleNamespace(method=method, calibration=calibration)

    def quantify(measurement, prepared, specimen):
        if measurement.specimen.startswith("bad"):
            raise FitError("too few counts: measure longer")
        return make_assay(measurement.specimen)

    monkeypatch.setattr(assaying, "prepare", prepare)
    monkeypatch.setattr(work, "quantify", quantify)
    monkeypatch.setattr("xrfree.report.page.data_address", lambda *_: "")
    return calls


def _assay(tmp_path: Path, *more: str) -> int:
    return main(["assay", str(tmp_path / "in"), "--method", METHOD, "--out", str(tmp_path / "out"), *more])


# --- assay --------------------------------------------------------------------------------------------------


def test_all_assayed_exits_with_0(tmp_path, assayed, capsys):
    for name in ("P10", "P2"):
        write_spectra(tmp_path / "in", name)
    assert _assay(tmp_path) == OK
    written = capsys.readouterr()
    assert "1.235 ± 0.027" in written.out
    assert str((tmp_path / "out" / "report.html").resolve()) in written.out
    assert "refused:" not in written.err
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == [
        "assays.csv",
        "assays.json",
        "fits",
        "ledger.sqlite",
        "refused.csv",
        "report.html",
    ]
    with (out / "assays.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(dict.fromkeys(row["specimen"] for row in rows)) == ["P2", "P10"]
    assert len(json.loads((out / "assays.json").read_text(encoding="utf-8"))["assays"]) == 2


def test_refused_files_exit_with_2_and_the_rest_goes_on(tmp_path, assayed, capsys):
    write_spectra(tmp_path / "in", "P1")
    write_spectra(tmp_path / "in", "bad1")
    write_spectra(tmp_path / "in", "P3", "low", live_time_s="0")
    assert _assay(tmp_path, str(tmp_path / "missing.csv")) == REFUSED
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("refused: ")]
    assert len(lines) == 4
    assert any("bad1.low.csv: too few counts: measure longer" in line for line in lines)
    assert any("P3.low.csv: line 3: live_time_s is 0 s" in line for line in lines)
    assert any("missing.csv: there is no such file" in line for line in lines)
    refused = (tmp_path / "out" / "refused.csv").read_text(encoding="utf-8")
    assert refused.count("\n") == 5
    assert "too few counts" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_folder_is_watched(tmp_path, assayed, capsys):
    for name in ("P1", "bad1"):
        write_spectra(tmp_path / "in", name)
    arguments = ["watch", str(tmp_path / "in"), "-m", METHOD, "-o", str(tmp_path / "in" / "out")]
    arguments += ["--every", "0.05", "--settle", "0.1", "--until-idle", "0.3"]
    assert main(arguments) == REFUSED
    written = capsys.readouterr()
    assert "1 assayed, 2 refused, 0 waiting" in written.err
    assert "1 specimens assayed, 2 files refused" in written.out
    table = (tmp_path / "in" / "out" / "assays.csv").read_text(encoding="utf-8")
    assert "P1,La" in table
    # What the ledger knows is recognised by the next watch, and by `assay`.
    assert main([*arguments[:4], "-o", str(tmp_path / "in" / "out"), *arguments[6:]]) == REFUSED
    assert "1 of them before" in capsys.readouterr().out


def test_a_worklist_names_the_samples(tmp_path, assayed, capsys):
    write_spectra(tmp_path / "in", "P1")
    worklist = tmp_path / "in" / "worklist.csv"
    worklist.write_text("sample,files\nLAB-7,P1.low.csv P1.high.csv\nLAB-8,\n", encoding="utf-8")
    assert _assay(tmp_path, "--worklist", str(worklist)) == OK
    assert "no spectrum of LAB-8" in capsys.readouterr().err
    assert "\nLAB-7,La" in (tmp_path / "out" / "assays.csv").read_text(encoding="utf-8")


def test_everything_refused_exits_with_2(tmp_path, assayed):
    write_spectra(tmp_path / "in", "bad1")
    assert _assay(tmp_path) == REFUSED
    assert (tmp_path / "out" / "assays.csv").read_text(encoding="utf-8").count("\n") == 1


def test_results_do_not_keep_what_an_earlier_run_refused(tmp_path, assayed):
    write_spectra(tmp_path / "in", "P1")
    write_spectra(tmp_path / "in", "bad1")
    assert _assay(tmp_path) == REFUSED
    for path in (tmp_path / "in").glob("bad1*"):
        path.unlink()
    assert _assay(tmp_path) == OK
    assert (tmp_path / "out" / "refused.csv").read_text(encoding="utf-8") == "path,specimen,reason,remedy\n"


def test_results_may_lie_beside_the_spectra(tmp_path, assayed):
    write_spectra(tmp_path / "in", "P1")
    for _ in range(2):
        assert main(["assay", str(tmp_path / "in"), "-m", METHOD, "-o", str(tmp_path / "in")]) == OK


def test_a_specimen_list_is_no_spectrum(tmp_path, assayed):
    write_spectra(tmp_path / "in", "P1")
    listed = tmp_path / "in" / "list.csv"
    listed.write_text("specimen;form;density_g_cm3;thickness_cm\nP1;pressed powder;3,1;0,4\n", encoding="utf-8")
    assert _assay(tmp_path, "--specimens", str(listed)) == OK


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--method", "missing.toml"], "there is no such file"),
        (["--calibration", METHOD], "schema"),
        (["--specimens", METHOD], "column"),
        (["--profile", METHOD], "schema"),
        (["--jobs", "-1"], "--jobs"),
        (["--jobs", "many"], "--jobs"),
        (["--colour"], "--colour"),
    ],
)
def test_usage_and_document_errors_exit_with_1_and_one_line(tmp_path, assayed, capsys, more, complaint):
    write_spectra(tmp_path / "in", "P1")
    assert _assay(tmp_path, *more) == FAILED
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("xrfree: ")
    assert written.err.count("\n") == 1
    assert complaint in written.err
    assert not (tmp_path / "out" / "assays.csv").exists()


def test_a_folder_without_spectra_exits_with_1(tmp_path, assayed, capsys):
    (tmp_path / "in").mkdir()
    assert _assay(tmp_path) == FAILED
    assert "no spectrum file found in" in capsys.readouterr().err


def test_an_unwritable_folder_is_found_before_the_work(tmp_path, assayed, capsys):
    write_spectra(tmp_path / "in", "P1")
    (tmp_path / "out").write_text("a file")
    assert _assay(tmp_path) == FAILED
    assert "cannot be written" in capsys.readouterr().err
    assert assayed == []


def test_a_calibration_of_another_instrument_exits_with_1(tmp_path, monkeypatch, capsys):
    def prepare(method, instrument, calibration=None):
        raise CalibrationError("calibration May belongs to another instrument")

    monkeypatch.setattr(assaying, "prepare", prepare)
    write_spectra(tmp_path / "in", "P1")
    assert _assay(tmp_path) == FAILED
    assert capsys.readouterr().err.endswith("May belongs to another instrument (xrfree docs calibration)\n")


def test_a_superseded_calibration_is_used_on_purpose_only(tmp_path, assayed, capsys):
    draft = load_calibration(shipped_path("fitted", "iron-ore-edxrf.toml"))
    gone = with_status(
        draft, CalibrationStatus.SUPERSEDED, by="B. Chief", at="2025-06-01T08:00:00+00:00", why="new tube"
    )
    write_calibration(tmp_path / "old.toml", gone)
    write_spectra(tmp_path / "in", "P1")
    assert _assay(tmp_path, "--calibration", str(tmp_path / "old.toml")) == FAILED
    assert "was superseded by B. Chief at 2025-06-01T08:00:00+00:00 (new tube)" in capsys.readouterr().err
    assert assayed == []
    assert _assay(tmp_path, "--calibration", str(tmp_path / "old.toml"), "--superseded") == OK
    assert assayed[0][2].status is CalibrationStatus.SUPERSEDED


def with_gates(folder: Path, gates: str) -> str:
    """The shipped method with gates of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / "gated.toml"
    instrument = shipped_path("instruments", "example-edxrf.toml").as_posix()
    text = Path(METHOD).read_text(encoding="utf-8").replace("../instruments/example-edxrf.toml", instrument)
    path.write_text(text + gates, encoding="utf-8")
    return str(path)


BLANK_GATE = '[[gates]]\nname = "blank"\nkind = "blank"\n'
DEAD_TIME_GATE = (
    '[[gates]]\nname = "dead"\nkind = "dead time"\naction = "{action}"\ncondition = "low"\nhighest = 0.01\n'
)


def test_a_contaminated_blank_holds_the_batch(tmp_path, assayed, capsys):
    for name in ("B1", "P1"):
        write_spectra(tmp_path / "in", name)
    listed = tmp_path / "list.csv"
    listed.write_text(
        "specimen,role,form,density_g_cm3,thickness_cm\nB1,blank,pressed powder,3.1,0.4\n", encoding="utf-8"
    )
    method = with_gates(tmp_path / "docs", BLANK_GATE)
    assert _assay(tmp_path, "--method", method, "--specimens", str(listed)) == HELD
    written = capsys.readouterr()
    assert "hold: blank: B1: the blank is contaminated with La 1.235 %" in written.err
    assert "Batch held. Repeat: B1" in written.err
    assert "must not be released" in written.out
    out = tmp_path / "out"
    assert json.loads((out / "assays.json").read_text(encoding="utf-8"))["gates"]["outcome"] == "hold"
    assert "contaminated" in (out / "gates.csv").read_text(encoding="utf-8")
    assert "held: results must not be released" in (out / "report.html").read_text(encoding="utf-8")
    # What the gates found is no spectrum and does not disturb the next run.
    assert main(["assay", str(out), "--method", method, "--out", str(tmp_path / "again")]) == FAILED


def test_instrument_gates_speak_before_the_batch(tmp_path, assayed, capsys):
    write_spectra(tmp_path / "in", "P1")
    for action, code in (("warn", OK), ("hold", HELD)):
        method = with_gates(tmp_path / "docs", DEAD_TIME_GATE.format(action=action))
        assert _assay(tmp_path, "--method", method) == code
        assert f"before the batch: {action}: dead: P1: dead time of condition low is 9.1 %" in capsys.readouterr().err


def test_certificates_of_check_standards_are_read_before_the_work(tmp_path, assayed, capsys):
    write_spectra(tmp_path / "in", "P1")
    assert _assay(tmp_path, "--certificates", str(tmp_path / "nowhere.csv")) == FAILED
    assert assayed == []
    assert "nowhere.csv" in capsys.readouterr().err


# --- demo ---------------------------------------------------------------------------------------------------


def test_demo_goes_the_way_of_every_assay(tmp_path, assayed, monkeypatch, capsys):
    spectra = tmp_path / "demo"
    write_spectra(spectra, "P1")
    (spectra / "specimens.csv").write_text(
        "specimen,form,density_g_cm3,thickness_cm\nP1,pressed powder,3.1,0.4\n", encoding="utf-8"
    )
    places = {
        ("methods", "iron-ore-edxrf.toml"): Path(METHOD),
        ("fitted", "example-edxrf.toml"): shipped_path("instruments", "example-edxrf.toml"),
        ("fitted", "iron-ore-edxrf.toml"): tmp_path / "fitted.toml",
        ("spectra", "demo"): spectra,
    }
    monkeypatch.setattr(assaying, "shipped_path", lambda *parts: places[parts])
    (tmp_path / "fitted.toml").write_text('name = "fitted"\n', encoding="utf-8")
    fitted = SimpleNamespace(sha256="c" * 64, status="draft")
    monkeypatch.setattr("xrfree.cli.documents.load_calibration", lambda path: fitted)
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == OK
    written = capsys.readouterr()
    assert "demo" in written.err
    assert "1.235 ± 0.027" in written.out
    assert assayed[0][2] is fitted
    assert "demonstration" in (tmp_path / "xrfree-demo" / "report.html").read_text(encoding="utf-8")


# --- the frame ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["assay"], ["nonsense"], ["inspect"], ["calibrate", "x"]])
def test_incomplete_commands_exit_with_1(capsys, arguments):
    assert main(arguments) == FAILED
    written = capsys.readouterr()
    assert "--help" in written.err + written.out


@pytest.mark.parametrize("command", ["assay", "calibrate", "calibrate-instrument", "inspect", "demo", "schema"])
def test_every_command_has_help_with_an_example(capsys, command):
    assert main([command, "--help"]) == OK
    assert f"Example:\n    xrfree {command}" in capsys.readouterr().out


def test_unexpected_errors_are_an_apology_and_a_traceback_on_request(monkeypatch, capsys):
    def broken(*_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("xrfree.documents.schemas.json_schema", broken)
    assert main(["schema", "method"]) == FAILED
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert "ZeroDivisionError: oops" in written
    assert main(["schema", "method", "--debug"]) == FAILED
    assert "Traceback" in capsys.readouterr().err


def test_interruption_is_one_line(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("xrfree.documents.schemas.json_schema", interrupted)
    assert main(["schema", "method"]) == INTERRUPTED
    assert capsys.readouterr().err.splitlines()[-1].startswith("xrfree: interrupted")


def test_version_and_schemas(capsys):
    assert main(["--version"]) == OK
    assert capsys.readouterr().out.startswith("xrfree ")
    assert main(["schema"]) == OK
    names = capsys.readouterr().out.split()
    assert "method" in names
    for name in names:
        assert main(["schema", name]) == OK
        assert json.loads(capsys.readouterr().out)["type"] == "object"
    assert main(["schema", "nonsense"]) == FAILED


def test_help_starts_without_the_heavy_libraries():
    code = (
        "import sys\nfrom xrfree.cli import main\nassert main(['--help']) == 0\n"
        f"sys.exit([m for m in {HEAVY!r} if m in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- inspect ------------------------------------------------------------------------------------------------


def test_inspect_shows_and_draws(tmp_path, capsys):
    write_spectra(tmp_path, "P1", "low")
    assert main(["inspect", str(tmp_path / "P1.low.csv"), "--png", str(tmp_path / "p.png")]) == OK
    shown = capsys.readouterr().out
    assert "live time" in shown
    assert "10 s" in shown
    assert "sha256" in shown
    assert "keV" in shown
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_inspect_refuses_with_a_reason(tmp_path, capsys):
    (tmp_path / "x.csv").write_text("")
    assert main(["inspect", str(tmp_path / "x.csv")]) == REFUSED
    assert "refused: " in capsys.readouterr().err


def test_inspect_names_the_format_and_what_is_remarkable(tmp_path, capsys):
    write_spectra(tmp_path, "P1", "low")
    assert main(["inspect", str(tmp_path / "P1.low.csv")]) == OK
    shown = capsys.readouterr().out
    assert "Format: delimited text" in shown
    assert "note: " in shown


def test_inspect_shows_tables(tmp_path, capsys):
    (tmp_path / "s1.csv").write_text("Sample ID,Units,Nb,Nb Err,La,La Err\nore,ppm,52,3,<LOD,60\n")
    assert main(["inspect", str(tmp_path / "s1.csv")]) == OK
    shown = capsys.readouterr().out
    assert "Format: Bruker S1 results" in shown
    assert "La: <LOD (not detected)" in shown


# --- convert ------------------------------------------------------------------------------------------------


def test_convert_to_one_file_and_to_a_folder(tmp_path, capsys):
    write_spectra(tmp_path, "P1", "low")
    write_spectra(tmp_path, "P2", "low")
    (tmp_path / "broken.msa").write_text("#FORMAT : EMSA\n")
    assert main(["convert", str(tmp_path / "P1.low.csv"), str(tmp_path / "P2.low.csv"), str(tmp_path / "a.h5")]) == OK
    assert [m.specimen for m in read_measurements(tmp_path / "a.h5")] == ["P1", "P2"]
    assert main(["convert", str(tmp_path / "a.h5"), str(tmp_path / "out"), "--to", "emsa"]) == OK
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["P1.low.msa", "P2.low.msa"]
    original = read_measurement(tmp_path / "P1.low.csv").spectra["low"]
    again = read_measurement(tmp_path / "out/P1.low.msa").spectra["low"]
    assert again.counts.tolist() == original.counts.tolist()
    assert original.metadata.items() <= again.metadata.items()
    capsys.readouterr()
    assert (
        main(["convert", str(tmp_path / "broken.msa"), str(tmp_path / "P1.low.csv"), str(tmp_path / "b.csv")])
        == REFUSED
    )
    assert "refused: " in capsys.readouterr().err
    assert (tmp_path / "b.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.csv"], "needs at least one input"),
        (["a.csv", "out"], "names no format"),
        (["a.csv", "out", "--to", "pdf"], "is not a format to write"),
        (["a.csv", "b.h5", "--to", "csv"], "Leave one of them out"),
    ],
)
def test_convert_says_what_is_missing(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *arguments]) == FAILED
    assert message in capsys.readouterr().err


# --- calibrate ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forced", [False, True])
def test_calibrate_uses_standards_and_tells_the_rest(tmp_path, monkeypatch, capsys, forced):
    from xrfree.cli import calibrating

    def calibrate(measurements, certificates, specimens, prepared, *, name, force_digestion):
        assert sorted(measurements) == sorted(certificates) == sorted(specimens) == ["S1"]
        assert name == "may"
        assert force_digestion == forced
        raise CalibrationError("one standard is not enough")

    monkeypatch.setattr(calibrating, "calibrate", calibrate)
    monkeypatch.setattr(calibrating, "prepare", lambda method, instrument: SimpleNamespace(method=method))
    for name in ("S1", "S2", "U1"):
        write_spectra(tmp_path / "in", name)
    roles = {"S1": "standard", "S2": "blank", "U1": "unknown"}
    rows = "".join(f"{name},{role},pressed powder,3,0.5\n" for name, role in roles.items())
    (tmp_path / "list.csv").write_text("specimen,role,form,density_g_cm3,thickness_cm\n" + rows)
    (tmp_path / "c.csv").write_text(
        "specimen,component,mass_fraction,expanded_uncertainty,coverage_factor,basis,assigned_by\n"
        "S1,La,0.01,0.001,2,dry,fusion\nS1,Ce,0.01,0.001,2,dry,four-acid\nS1,Ta,0.01,0.001,2,dry,four-acid\n"
    )
    arguments = ["calibrate", str(tmp_path / "in"), "-m", METHOD, "--certificates", str(tmp_path / "c.csv")]
    arguments += ["-o", str(tmp_path / "may.toml"), "-s", str(tmp_path / "list.csv")]
    assert main([*arguments, "--force-digestion"] if forced else arguments) == FAILED
    told = capsys.readouterr().err
    assert "left out: U1" in told
    assert f"S1: Ce by a digestion that leaves part of them undissolved; {'used' if forced else 'not used'}" in told
    assert told.count("there is no certificate called 'S2'") == 2
    assert told.splitlines()[-1] == "xrfree: one standard is not enough (xrfree docs calibration)"
    assert not (tmp_path / "may.toml").exists()


def test_calibrate_instrument_uses_compounds_by_formula_or_by_name(tmp_path, monkeypatch, capsys):
    from xrfree.cli import calibrating

    def calibrate_instrument(measurements, compounds, method, instrument):
        assert {name: compound.contents for name, compound in compounds.items()} == {
            "La2O3": {"La2O3": 1.0},
            "iron": {"Fe2O3": 1.0},
        }
        assert [list(m.spectra) for m in measurements.values()] == [["low"], ["low", "high"]]
        raise CalibrationError("too little to calibrate with")

    monkeypatch.setattr(calibrating, "calibrate_instrument", calibrate_instrument)
    write_spectra(tmp_path / "in", "La2O3", "low")
    write_spectra(tmp_path / "in", "iron")
    write_spectra(tmp_path / "in", "P1")
    rows = "La2O3,pure,,pressed powder,3,0.5\niron,pure,Fe2O3,pressed powder,3,0.5\nP1,,,pressed powder,3,0.5\n"
    header = "specimen,role,formula,form,density_g_cm3,thickness_cm\n"
    (tmp_path / "list.csv").write_text(header + rows, encoding="utf-8")
    arguments = ["calibrate-instrument", str(tmp_path / "in"), "-m", METHOD, "-s", str(tmp_path / "list.csv")]
    assert main([*arguments, "-o", str(tmp_path / "bench.toml")]) == FAILED
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("left out: P1 ")
    assert told[-1] == "xrfree: too little to calibrate with (xrfree docs calibration)"
    assert not (tmp_path / "bench.toml").exists()
