"""The executor: answers with tools, single tagged model calls, the guards on both and the ledger of all."""
