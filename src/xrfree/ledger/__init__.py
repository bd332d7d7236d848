"""A record that cannot be rewritten unseen: results, documents, people, amendments and releases in one chain.

Every record holds the digest of the one before it, so that a changed, removed, inserted or reordered record shows.
What lies in the records is plain data; this room knows neither assays nor methods.
"""
