"""Our TOML documents and the nouns they describe; an error names the place inside the document."""
