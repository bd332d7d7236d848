"""Sherman's equation written down without a thought for speed, for real or complex contents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xrfree.matrix.fundamental import Excitation

FloatArray = NDArray[np.float64]


def plain_half_space(model: Excitation, w: FloatArray) -> dict[str, FloatArray]:
    """Sherman's equation as the docstring of `line_strengths` has it, without a thought for speed."""
    sin_in, sin_out = np.sin(model.condition.incidence_angle_rad), np.sin(model.condition.take_off_angle_rad)
    a, b = w @ model.tube_attenuation / sin_in, w @ model.line_attenuation / sin_out
    a, flux = a[:, None], model.flux[:, None]
    per_line = model.line_fraction * model.efficiency / (4.0 * np.pi * sin_in)
    own, after_compton = model.group_production.T[:, model.line_group], model.compton_production.T[:, model.line_group]

    def mutual(mu: FloatArray) -> FloatArray:
        return np.asarray(0.5 * (np.log1p(a / mu) / a + np.log1p(b / mu) / b))

    secondary = np.zeros_like(b)
    for j, mu in enumerate(w @ model.exciting_attenuation):
        group = model.exciting_group[j]
        made = w[model.group_element[group]] * model.exciting_fraction[j]
        source = flux * model.group_production[group][:, None] / (a + b)
        excited = model.exciting_production[model.line_group, j]
        secondary = secondary + made * excited * (source * mutual(mu)).sum(axis=0)
    before = (w @ model.tube_rayleigh)[:, None] * own * mutual(a * sin_in)
    before = before + (w @ model.tube_compton)[:, None] * after_compton * mutual(
        (w @ model.compton_attenuation)[:, None]
    )
    after = (flux / (a + b) * own * mutual(b * sin_out)).sum(axis=0)
    return {
        "primary": per_line * (flux * own / (a + b)).sum(axis=0),
        "secondary": per_line * secondary,
        "scattered": per_line * ((flux / (a + b) * before).sum(axis=0) + w @ model.line_rayleigh * after),
        "shoulder": per_line * (w @ model.line_compton * after),
    }
