"""One file per version of the schema, oldest first. Released files are never edited."""
