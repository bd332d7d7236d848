"""The bench: a local web application on the same nouns and verbs.

It shows what the ledger and the result folders hold, and starts the commands of `xrfree` as processes of their own: a
page stays quick whatever they do, and a result is the same wherever it was asked for. No physics, nothing twice.
"""
