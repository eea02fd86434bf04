"""`make bench-chain`: the suite against a floor of the same hops without work, in turn on the same cores."""
