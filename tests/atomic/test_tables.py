"""The one door to the tables: edges, cross sections and cascades; and that nothing silently becomes zero."""

from __future__ import annotations

import numpy as np
import pytest
import xraylib
from hypothesis import given
from hypothesis import strategies as st

from xrfree.atomic import TABLES, _tables, atomic_number, atomic_weight, parse_formula
from xrfree.errors import DomainError

INDEX = {"K": 0, "L1": 1, "L2": 2, "L3": 3}
ALL = {**INDEX, "M1": 4, "M2": 5, "M3": 6, "M4": 7, "M5": 8}
EDGES = [
    *((e, "K") for e in ("Ti", "V", "Cr", "Mn", "Fe", "Sr", "Y", "Zr", "Nb")),
    *((e, s) for e in ("Ba", "La", "Ce", "Pr", "Nd", "Sm", "Pb", "Th") for s in ("L1", "L2", "L3")),
]
LIGHT = ("Li", "Be", "B", "C", "N", "O", "F", "Na", "Mg")
ORE = (
    "Al",
    "Si",
    "P",
    "K",
    "Ca",
    "Ti",
    "Mn",
    "Fe",
    "Sr",
    "Y",
    "Zr",
    "Nb",
    "Rh",
    "Ag",
    "Ba",
    "La",
    "Ce",
    "Pr",
    "Nd",
    "Th",
)


@pytest.mark.parametrize(("element", "shell"), EDGES, ids=[f"{e}-{s}" for e, s in EDGES])
def test_edge_agrees_with_an_independent_compilation(element: str, shell: str) -> None:
    xraydb = pytest.importorskip("xraydb", reason="xraydb is the independent table; pip install xrfree[peers]")
    # Both go back to Bearden & Burr 1967 with later corrections of at most 1 eV.
    assert 1e3 * _tables.edge_energy_kev(atomic_number(element), shell) == pytest.approx(
        xraydb.xray_edge(element, shell).energy, abs=1.0
    )


def test_shell_that_an_element_lacks_has_no_edge() -> None:
    assert _tables.edge_energy_kev(atomic_number("H"), "L3") == 0.0
    assert _tables.shell_photo_absorption(atomic_number("H"), "L3", np.array([5.0, 10.0])).tolist() == [
        0.0,
        0.0,
    ]


@pytest.mark.parametrize("element", ORE)
def test_attenuation_agrees_with_an_independent_compilation(element: str) -> None:
    xraydb = pytest.importorskip("xraydb", reason="xraydb is the independent table; pip install xrfree[peers]")
    z = atomic_number(element)
    energy = np.array([3.0, 4.5, 5.0, 6.4, 8.0, 10.0, 14.0, 16.6, 19.0, 22.0, 30.0, 40.0])
    near_an_edge = [
        any(abs(e / _tables.edge_energy_kev(z, s) - 1.0) < 0.02 for s in INDEX if _tables.edge_energy_kev(z, s))
        for e in energy
    ]
    far = energy[~np.array(near_an_edge)]
    other = xraydb.mu_elam(element, 1e3 * far)
    # Kissel and Elam (McMaster, Cromer & Liberman) differ by 2-3 % between L edges, elsewhere by less than 1 %.
    assert _tables.total_attenuation(z, far) == pytest.approx(other, rel=0.03)


@pytest.mark.parametrize("element", LIGHT)
@pytest.mark.xfail(
    strict=True,
    reason="xraylib's subshell tables (Kissel) of light elements end in nothing far above the edge: Be lacks 29 % "
    "at 4.1, 71 % at 6 keV, C of 55 % at 14, O of 11 % at 17 and 31 % at 20 keV (tschoonj/xraylib issue 227); CS_Total "
    "and CS_Photo are right",
)
def test_attenuation_of_light_elements_agrees_with_an_independent_compilation(element: str) -> None:
    xraydb = pytest.importorskip("xraydb", reason="xraydb is the independent table; pip install xrfree[peers]")
    energy = np.array([3.0, 4.5, 6.4, 8.0, 10.0, 14.0, 16.6, 20.0, 25.0, 40.0])
    other = xraydb.mu_elam(element, 1e3 * energy)
    # Where scattering matters the compilations differ by up to 1 %.
    assert _tables.total_attenuation(atomic_number(element), energy) == pytest.approx(other, rel=0.02)


@given(z=st.integers(1, 92), energy_kev=st.floats(1.0, 60.0))
def test_total_is_the_sum_of_its_parts(z: int, energy_kev: float) -> None:
    energy = np.array([energy_kev])
    parts = _tables.photo_absorption(z, energy) + _tables.rayleigh(z, energy) + _tables.compton(z, energy)
    # The parts are separate interpolations of the same tables.
    assert _tables.total_attenuation(z, energy)[0] == pytest.approx(parts[0], rel=1e-3)


@given(z=st.integers(19, 92), shell=st.sampled_from(tuple(INDEX)), energy_kev=st.floats(1.0, 60.0))
def test_subshell_is_part_of_the_atom_and_silent_below_its_edge(z: int, shell: str, energy_kev: float) -> None:
    energy = np.array([energy_kev])
    part = _tables.shell_photo_absorption(z, shell, energy)[0]
    assert 0.0 <= part <= _tables.photo_absorption(z, energy)[0] * (1.0 + 1e-6)
    assert (part > 0.0) == (energy_kev > _tables.edge_energy_kev(z, shell))


@pytest.mark.parametrize("element", ["Ti", "Fe", "Nb", "Ba", "La", "Ce", "Pr", "Nd", "Sm"])
@pytest.mark.parametrize("shell", tuple(INDEX))
def test_vacancy_transfer_is_the_tables_own_cascade(element: str, shell: str) -> None:
    check_cascade(element, shell)


@pytest.mark.parametrize("shell", tuple(ALL))
@pytest.mark.parametrize("element", ["Pb", "Th"])
def test_vacancy_transfer_of_heavy_elements_is_the_tables_own_cascade(element: str, shell: str) -> None:
    check_cascade(element, shell)


def check_cascade(element: str, shell: str) -> None:
    z = atomic_number(element)
    for energy_kev in (3.5, 7.2, 15.0, 21.0, 45.0, 60.0, 90.0):
        energy = np.array([energy_kev])
        made = sum(
            decays * _tables.shell_photo_absorption(z, donor, energy)[0]
            for donor, decays in _tables.vacancy_transfer(z, shell).items()
        )
        try:
            tabulated = xraylib.CS_FluorShell_Kissel_Cascade(z, ALL[shell], energy_kev)
        except ValueError:  # below the edge
            tabulated = 0.0
        # Rounding of differences of cross sections.
        assert made == pytest.approx(tabulated, rel=1e-6), (element, shell, energy_kev)


def test_coster_kronig_transfer_adds_the_detour_to_the_direct_way() -> None:
    z = atomic_number("La")
    f12, f13, f23 = (_tables.coster_kronig(z, *pair) for pair in (("L1", "L2"), ("L1", "L3"), ("L2", "L3")))
    assert min(f12, f13, f23) > 0.0
    own = xraylib.FluorYield(z, INDEX["L3"])
    transfer = _tables.vacancy_transfer(z, "L3")
    assert transfer["L3"] == own
    assert transfer["L2"] == pytest.approx(f23 * own, rel=1e-12)
    # L1-L2 and L1-L3 photons add 0.2 %.
    assert 0.0 < transfer["L1"] / own - (f13 + f12 * f23) < 0.003 * transfer["L1"] / own


@given(z=st.integers(28, 92))
def test_no_vacancy_decays_more_than_once(z: int) -> None:
    total: dict[str, float] = {}
    for shell in ("L1", "L2", "L3"):
        own = _tables.vacancy_transfer(z, shell).get(shell, 0.0)
        assert 0.0 <= own < 1.0
        for donor in ("L1", "L2"):
            if donor < shell:
                total[donor] = total.get(donor, 0.0) + _tables.coster_kronig(z, donor, shell)
        total[shell] = total.get(shell, 0.0) + own
    # f12 + f13 + ω1 and f23 + ω2 are shares of one decay; tables of f13 come from other work than those of ω1.
    assert all(share <= 1.02 for share in total.values())


def test_vacancies_move_to_higher_subshells_only() -> None:
    assert _tables.coster_kronig(57, "L3", "L1") == 0.0
    assert set(_tables.vacancy_transfer(57, "K")) == {"K"}
    assert "L3" not in _tables.vacancy_transfer(57, "L2")


def test_element_without_yield_has_no_radiative_decay() -> None:
    assert _tables.vacancy_transfer(atomic_number("H"), "K") == {}


LOOK_UPS = ["total_attenuation", "photo_absorption", "rayleigh", "compton"]


@pytest.mark.parametrize("look_up", LOOK_UPS)
@pytest.mark.parametrize("energy_kev", [0.0, -1.0, 0.09, 100.5, 1e6, float("nan"), float("inf")])
def test_energy_outside_the_tables_is_refused_with_its_value(look_up: str, energy_kev: float) -> None:
    with pytest.raises(DomainError, match=rf"cover 0.1 to 100.0 keV, asked for {energy_kev} keV"):
        getattr(_tables, look_up)(26, np.array([5.0, energy_kev, 6.0]))


@pytest.mark.parametrize("energy_kev", [0.0, 101.0])
def test_energy_outside_the_tables_is_refused_by_subshell_and_angle_too(energy_kev: float) -> None:
    energy = np.array([energy_kev])
    with pytest.raises(DomainError, match="attenuation tables cover"):
        _tables.shell_photo_absorption(26, "K", energy)
    with pytest.raises(DomainError, match="attenuation tables cover"):
        _tables.rayleigh_differential(26, energy, 1.5)
    with pytest.raises(DomainError, match="attenuation tables cover"):
        _tables.compton_differential(26, energy, 1.5)


@pytest.mark.parametrize("look_up", LOOK_UPS)
def test_answers_have_the_shape_of_the_question(look_up: str) -> None:
    for energy in (np.full((2, 3), 6.4), np.full(1, 6.4), np.zeros(0)):
        assert getattr(_tables, look_up)(26, energy).shape == energy.shape


@pytest.mark.parametrize(
    ("look_up", "whole"), [("rayleigh", "rayleigh_differential"), ("compton", "compton_differential")]
)
def test_differential_cross_section_integrates_to_the_whole(look_up: str, whole: str) -> None:
    cosine, weight = np.polynomial.legendre.leggauss(60)
    energy = np.array([15.0])
    around = [getattr(_tables, whole)(26, energy, float(np.arccos(c)))[0] for c in cosine]
    integral = 2.0 * np.pi * float(np.sum(weight * np.array(around)))
    # Form factors and whole cross sections are two interpolated tables.
    assert integral == pytest.approx(getattr(_tables, look_up)(26, energy)[0], rel=0.01)


@pytest.mark.parametrize("z", [6, 26, 58])
def test_compton_profile_counts_the_electrons(z: int) -> None:
    momentum = np.concatenate([np.linspace(0.0, 5.0, 500), np.linspace(5.05, 99.0, 2000)])
    # 2 ∫ J(p) dp over p >= 0 is the number of electrons; the table ends at p = 100 with less than 2 % missing.
    assert 2.0 * np.trapezoid(_tables.compton_profile(z, momentum), momentum) == pytest.approx(z, rel=0.02)


def test_formula_is_taken_apart_by_mass() -> None:
    fractions = parse_formula("La2(CO3)3")
    mass = {"La": 2 * 138.90547, "C": 3 * 12.011, "O": 9 * 15.999}
    # The table's atomic weights are older than those of IUPAC 2013 used here (La 138.92 and not 138.905).
    assert fractions == pytest.approx({e: m / sum(mass.values()) for e, m in mass.items()}, rel=2e-4)


@pytest.mark.parametrize("formula", ["", "Xx2", "Fe2O3)", "fe2o3", "2", "ore"])
def test_what_is_no_formula_is_refused_by_name(formula: str) -> None:
    with pytest.raises(DomainError, match="is not a chemical formula such as"):
        parse_formula(formula)


def test_formula_with_an_element_beyond_the_tables_is_refused_by_its_name() -> None:
    with pytest.raises(DomainError, match="'Pu' is not the symbol of an element from H to U"):
        parse_formula("PuO2")


def test_atomic_weight_and_density_are_those_of_the_element() -> None:
    # IUPAC 2013: 138.905 47(7), the table has 138.92; density of silicon at 20 °C 2.329 g/cm³.
    assert atomic_weight(57) == pytest.approx(138.90547, rel=2e-4)
    assert _tables.density_g_cm3(14) == pytest.approx(2.33, rel=2e-3)


def test_level_without_an_entry_has_no_width() -> None:
    assert _tables.level_width_kev(57, "P1") == 0.0
    assert _tables.level_width_kev(57, "L3") > 0.0


def test_tables_have_a_name_and_a_version() -> None:
    assert f"xraylib {xraylib.__version__}" == TABLES
