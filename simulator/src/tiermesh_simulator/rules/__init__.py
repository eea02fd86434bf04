"""The rules that pick tools and word answers, from the request alone."""
