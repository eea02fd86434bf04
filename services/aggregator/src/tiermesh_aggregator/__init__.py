"""The aggregator: bulk questions as one SQL statement each, under the caller's own row scope."""
