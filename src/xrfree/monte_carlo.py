"""Monte Carlo check of an assay's uncertainty: the whole chain repeated with everything redrawn that was uncertain.

What is redrawn   counts of all spectra (Poisson), line ratios, sensitivities and blanks of the calibration, and the
                  scatter between specimens.
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
    assays: list[Assay] = []
    for done in range(1, trials + 1):
        drawn = redrawn(prepared, generator)
        try:
            assays.append(quantify(redrawn_counts(measurement, generator), drawn, specimen))
        except XrfreeError:
            continue
        finally:
            if progress is not None:
                progress(done, trials)
    if len(assays) < FEWEST_TRIALS:
        raise DomainError(f"{measurement.specimen}: only {len(assays)} of {trials} trials could be assayed")
    found = np.array([assay.mass_fraction for assay in assays])
    scatter = _scatter(found, prepared, specimen, generator)
    return Drawn(components=assays[0].components, mass_fraction=found + scatter, refused=trials - len(assays))


def redrawn_counts(measurement: Measurement, generator: np.random.Generator) -> Measurement:
    """The measurement as it might have been counted: every channel n drawn from Poisson(n)."""

    def again(spectrum: Spectrum) -> Spectrum:
        return replace(spectrum, counts=generator.poisson(spectrum.counts))

    spectra = {name: again(spectrum) for name, spectrum in measurement.spectra.items()}
    return replace(measurement, spectra=spectra)


def redrawn(prepared: Prepared, generator: np.random.Generator) -> Prepared:
    """Calibration and line ratios as they might have been found: drawn from their covariance."""
    n = prepared.log_sensitivity.size
    joint = np.block(
        [
            [prepared.sensitivity_covariance, prepared.cross_covariance],
            [prepared.cross_covariance.T, prepared.blank_covariance],
        ]
    )
    shift = _draw(joint, generator)
    prior = prepared.ratio_prior
    if prior is not None:
        mean = prior.mean + _draw(prior.covariance, generator)
        prior = JointPrior(names=prior.names, mean=mean, covariance=prior.covariance)
    return replace(
        prepared,
        log_sensitivity=prepared.log_sensitivity + shift[:n],
        blank=prepared.blank + shift[n:],
        ratio_prior=prior,
    )


def _scatter(found: FloatArray, prepared: Prepared, specimen: Specimen, generator: np.random.Generator) -> FloatArray:
    """Draws of what differs between specimens: relative and absolute, independent for each component."""
    relative = prepared.relative_scatter * generator.standard_normal(found.shape) * found
    absolute = prepared.absolute_scatter * generator.standard_normal(found.shape) * specimen.dilution
    return np.asarray(relative + absolute)


def _draw(covariance: FloatArray, generator: np.random.Generator) -> FloatArray:
    variance, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(variance, 0.0))) @ generator.standard_normal(variance.size))
