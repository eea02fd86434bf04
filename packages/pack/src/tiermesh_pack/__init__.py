"""Tiermesh domain packs: loads one from files, checks it, and hands it over as frozen data. Needs no engine code."""
