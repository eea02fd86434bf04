"""What is measured on public sets and not served: intents with out-of-scope, the least tier that suffices."""
