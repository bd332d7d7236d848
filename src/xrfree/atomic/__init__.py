"""Facts of nature: elements, lines, attenuation, fluorescence."""

from xrfree.atomic._tables import TABLES, atomic_number, atomic_weight, element_symbol, parse_formula
from xrfree.atomic.lines import XrayLine, absorption_edge_kev, emission_lines, line_group_shells

__all__ = [
    "TABLES",
    "XrayLine",
    "absorption_edge_kev",
    "atomic_number",
    "atomic_weight",
    "element_symbol",
    "emission_lines",
    "line_group_shells",
    "parse_formula",
]
