"""Monte Carlo check of an assay's uncertainty: the whole chain repeated with everything redrawn that was uncertain.

What is redrawn   counts of all spectra (Poisson); line ratios, background shapes, escape and pile-up as calibrations
                  know them; sensitivities and blanks, the scatter between specimens; drift, preparation, ignition loss
                  and weighed flux as far as the laboratory states them.
Source            JCGM 101:2008 (GUM supplement 1), 7: the distribution of the result from draws of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xrfree.assay import Assay
from xrfree.errors import DomainError, XrfreeError
from xrfree.fit import JointPrior
from xrfree.instrument import Response
from xrfree.method import LaboratoryUncertainty
from xrfree.quantification import Prepared, quantify
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement, Spectrum

FloatArray = NDArray[np.float64]

FEWEST_TRIALS = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Draws of an assay's mass fractions, shape (n_trials, n_components), and how many trials could not be assayed."""

    components: tuple[str, ...]
    mass_fraction: FloatArray
    refused: int

    @property
    def standard_uncertainty(self) -> FloatArray:
        """Standard deviation of the draws, shape (n_components,)."""
        return np.asarray(self.mass_fraction.std(axis=0, ddof=1))

    @property
    def own_uncertainty(self) -> float:
        """Relative standard uncertainty of such a standard deviation: 1/sqrt(2 (n - 1))."""
        return float(1.0 / np.sqrt(2.0 * (self.mass_fraction.shape[0] - 1)))


def monte_carlo_assay(
    measurement: Measurement,
    prepared: Prepared,
    specimen: Specimen,
    *,
    trials: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Drawn:
    """Repeat an assay with redrawn inputs.

    measurement : its spectra under the method's condition names.

    Raises DomainError for too few trials, and where fewer than 20 of them could be assayed.
    """
    if trials < FEWEST_TRIALS:
        raise DomainError(f"{trials} trials tell nothing about an uncertainty, take {FEWEST_TRIALS} or more")
    generator = np.random.default_rng(seed)
    stated = prepared.method.uncertainty
    assays: list[Assay] = []
    for done in range(1, trials + 1):
        drawn = redrawn(prepared, generator)
        try:
            moved = redrawn_specimen(specimen, stated, generator)
            assays.append(quantify(redrawn_counts(measurement, generator), drawn, moved))
        except XrfreeError:
            continue
        finally:
            if progress is not None:
                progress(done, trials)
    if len(assays) < FEWEST_TRIALS:
        raise DomainError(f"{measurement.specimen}: only {len(assays)} of {trials} trials could be assayed")
    found = np.array([assay.mass_fraction for assay in assays])
    found *= 1.0 + stated.preparation * generator.standard_normal(found.shape)
    return Drawn(components=assays[0].components, mass_fraction=found, refused=trials - len(assays))


def redrawn_counts(measurement: Measurement, generator: np.random.Generator) -> Measurement:
    """The measurement as it might have been counted: every channel n drawn from Poisson(n)."""

    def again(spectrum: Spectrum) -> Spectrum:
        return replace(spectrum, counts=generator.poisson(spectrum.counts))

    spectra = {name: again(spectrum) for name, spectrum in measurement.spectra.items()}
    return replace(measurement, spectra=spectra)


def redrawn(prepared: Prepared, generator: np.random.Generator) -> Prepared:
    """Calibration, line ratios, shapes and response as they might have been found: drawn from their covariance.

    The scatter between specimens is that of a sensitivity and a blank that every specimen has for itself, drift that of
    a sensitivity which all lines of a condition have in common.
    """
    n = prepared.log_sensitivity.size
    joint = np.block(
        [
            [prepared.sensitivity_covariance, prepared.cross_covariance],
            [prepared.cross_covariance.T, prepared.blank_covariance],
        ]
    )
    shift = _draw(joint, generator)
    relative = prepared.relative_scatter * generator.standard_normal(n)[prepared.owner]
    absolute = prepared.absolute_scatter * generator.standard_normal(n)
    ratios = int(generator.integers(2**63))  # what pure compounds say of them is wrong in all regions alike
    responses = {name: _redrawn_response(r, generator) for name, r in prepared.instrument.responses.items()}
    return replace(
        prepared,
        instrument=replace(prepared.instrument, responses=responses),
        log_sensitivity=prepared.log_sensitivity + shift[:n] + relative + _drift(prepared, generator),
        blank=prepared.blank + shift[n:] + absolute,
        ratio_priors={
            name: _redrawn_prior(prior, np.random.default_rng(ratios)) for name, prior in prepared.ratio_priors.items()
        },
        shapes={name: _redrawn_prior(shapes, generator) for name, shapes in prepared.shapes.items()},
    )


def redrawn_specimen(specimen: Specimen, stated: LaboratoryUncertainty, generator: np.random.Generator) -> Specimen:
    """The specimen with another ignition loss, or another weighed flux, within what the laboratory states."""
    if specimen.fusion is not None:
        flux_g = specimen.fusion.flux_g * (1.0 + stated.dilution * generator.standard_normal())
        return replace(specimen, fusion=replace(specimen.fusion, flux_g=flux_g))
    if specimen.loss_on_ignition is None:
        return specimen
    loss = specimen.loss_on_ignition + stated.loss_on_ignition * generator.standard_normal()
    return replace(specimen, loss_on_ignition=loss)


def _redrawn_prior(prior: JointPrior, generator: np.random.Generator) -> JointPrior:
    return replace(prior, mean=prior.mean + _draw(prior.covariance, generator))


def _redrawn_response(response: Response, generator: np.random.Generator) -> Response:
    """Escape and pile-up as they might have been calibrated, not below 0."""
    escape = 1.0 + response.escape_relative_uncertainty * generator.standard_normal()
    pile_up = 1.0 + response.pile_up_relative_uncertainty * generator.standard_normal()
    return replace(
        response,
        escape_scale=response.escape_scale * max(escape, 0.0),
        pulse_pair_time_s=response.pulse_pair_time_s * max(pile_up, 0.0),
    )


def _drift(prepared: Prepared, generator: np.random.Generator) -> FloatArray:
    """Draws of ln k, the same for all line groups that are measured in one condition, shape (m,)."""
    conditions = [line.region.condition for line in prepared.lines]
    moved = {name: generator.standard_normal() for name in dict.fromkeys(conditions)}
    return prepared.method.uncertainty.drift * np.array([moved[name] for name in conditions])


def _draw(covariance: FloatArray, generator: np.random.Generator) -> FloatArray:
    variance, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(variance, 0.0))) @ generator.standard_normal(variance.size))
