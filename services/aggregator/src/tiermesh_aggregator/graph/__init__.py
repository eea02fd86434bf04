"""Read-only GraphQL over the semantic model: a document becomes questions, and each of them one compiled statement."""
