from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from xrfree.calibration import Calibration, StandardPoint
from xrfree.report.terminal import (
    assay_table,
    calibration_table,
    doubts,
    draw_spectrum,
    measurement_table,
    printable,
)
from xrfree.spectrum import EnergyScale, ExcitationCondition, Measurement, Spectrum


def _text(table, width=200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()


def _spectrum(counts) -> Spectrum:
    return Spectrum(
        counts=np.array(counts),
        live_time_s=10.0,
        real_time_s=12.5,
        energy_scale=EnergyScale(zero_kev=0.0, gain_kev=0.02),
        condition=ExcitationCondition(name="low", tube_voltage_kv=15.0),
    )


def test_wide_table_has_one_row_per_specimen(make_assay):
    text = _text(assay_table([make_assay("P01"), make_assay("P02")], width=200))
    assert "1.235 ± 0.027" in text
    assert "doubtful" in text
    assert text.count("P01") == 1


def test_narrow_table_has_one_row_per_analyte(make_assay):
    text = _text(assay_table([make_assay("P01")], width=80), width=80)
    assert max(map(len, text.splitlines())) <= 80
    rows = [line for line in text.splitlines() if " mg/kg " in line or " % " in line]
    assert len(rows) == 6


def test_names_cannot_steer_the_terminal(make_assay):
    text = _text(assay_table([make_assay("[red]P\x1b[31m01")], width=200))
    assert "\x1b" not in text
    assert "[red]" in text
    assert printable("a\nb\x07") == "a�b�"


def test_doubts_that_share_a_reason_share_a_line(make_assay):
    assert doubts([make_assay()]) == ["P01: Nb doubtful: poor fit: something is there"]


def test_calibration_table_tells_how_well_standards_agree():
    point = StandardPoint(
        material="A",
        group="low/band/La L",
        certified=0.01,
        certified_uncertainty=0.0,
        found=0.01,
        found_uncertainty=0.0,
    )
    calibration = Calibration(
        name="May",
        groups=("low/band/La L",),
        log_sensitivity=np.zeros(1),
        covariance=np.array([[0.0001]]),
        blank=np.array([-1.23e-5]),
        blank_uncertainty=np.array([4e-6]),
        blank_correlation=np.zeros(1),
        relative_scatter=np.array([0.02]),
        absolute_scatter=np.zeros(1),
        points=(point,),
        tables="",
        instrument_sha256="",
        method_sha256="",
        created="",
        software_version="",
    )
    row = next(line for line in _text(calibration_table(calibration)).splitlines() if "La L" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        "low/band/La L", "1", "1.000", "1.0", "\N{MINUS SIGN}12.3", "4.0", "2.0",
    ]  # fmt: skip


def test_measurement_table_says_what_is_not_stated():
    text = _text(measurement_table(Measurement(specimen="P01", spectra={"low": _spectrum([1, 5, 2])})))
    assert "dead time 20.0 %" in text
    assert "15 kV" in text
    assert "not stated" in text
    assert "5 counts at 0.02 keV" in text


@pytest.mark.parametrize("braille", [True, False])
@pytest.mark.parametrize("counts", [[0], [7], [0] * 2048, list(range(4096))])
def test_drawing_keeps_its_size(counts, braille):
    lines = draw_spectrum(_spectrum(counts), width=70, height=8, braille=braille).splitlines()
    assert len(lines) == 10
    assert max(map(len, lines)) <= 75
    assert braille or all(line.isascii() for line in lines)


def test_highest_channel_reaches_the_top():
    counts = np.zeros(1000, dtype=int)
    counts[500] = 10000
    top = draw_spectrum(_spectrum(counts), width=109, height=10).splitlines()[0]
    assert top.rstrip()[-1] not in " │"
    assert 57 <= len(top) <= 61
