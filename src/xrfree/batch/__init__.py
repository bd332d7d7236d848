"""Many files: which belong together, who assays them, and a reason for everything that was refused.

Nothing stops a batch: what cannot be assayed becomes a `Refusal`. Results come in one order, that of the
specimens' names, whatever the order of the files and the number of workers.
"""
