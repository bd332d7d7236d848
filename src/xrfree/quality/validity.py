"""Results against the ranges in which their calibration was made."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from xrfree.assay import Verdict
from xrfree.calibration import Validity

MATRIX_ALLOWANCE = 3e-3
"""Content (kg/kg of the sample) by which a matrix element may leave its range before the analytes are told: the size
from which the fundamental parameters carry an element's uncertainty to the others."""


def matrix_told(sentences: str) -> str:
    """What every analyte is told of the matrix, last in its reason."""
    return f"matrix outside the calibration: {sentences}"


def judged_in_range(
    verdicts: Sequence[Verdict],
    reasons: Sequence[str],
    *,
    contents: Mapping[str, float],
    analytes: Collection[str],
    validity: Validity,
    dilution: float = 1.0,
) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    """Verdicts and reasons, with what the ranges of a calibration say of them.

    A content outside its range is doubtful. A matrix element far enough outside leaves the verdicts of the analytes as
    they are, but their reasons say so: their matrix correction is extrapolated. What is not detected is not judged.

    contents : kg/kg of the specimen, in the order of the verdicts. dilution : kg of specimen per kg of sample.
    """
    seen = {
        element: content
        for (element, content), verdict in zip(contents.items(), verdicts, strict=True)
        if verdict is not Verdict.NOT_DETECTED
    }
    outside = validity.outside(seen, dilution=dilution)
    far = validity.outside(seen, dilution=dilution, beyond=MATRIX_ALLOWANCE)
    matrix = "; ".join(sentence for element, sentence in far.items() if element not in analytes)
    judged, told = [], []
    for element, verdict, reason in zip(contents, verdicts, reasons, strict=True):
        parts = [reason, outside.get(element, "")]
        if matrix and element in analytes:
            parts.append(matrix_told(matrix))
        judged.append(Verdict.DOUBTFUL if element in outside else verdict)
        told.append("; ".join(part for part in parts if part))
    return tuple(judged), tuple(told)
