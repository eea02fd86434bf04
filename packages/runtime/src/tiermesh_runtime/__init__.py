"""What every Tiermesh service is made with. Knows no noun of any domain; import the modules, nothing is re-exported."""
