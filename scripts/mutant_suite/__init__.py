"""Mutation testing of the pure modules: of every small change a test must take notice."""
