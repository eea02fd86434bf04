"""Translation between the contract's messages and the executor's own types. Shapes only."""
