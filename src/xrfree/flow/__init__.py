"""The way of the metals: lots, flow sheets, balances that close, and what does not fit.

Masses in kg, contents and moistures in kg/kg; contents refer to the dry mass.
"""
