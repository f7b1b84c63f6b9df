"""At the end of the run: the largest difference of every file."""


def pytest_terminal_summary(terminalreporter):
    """One line per file, the one that comes closest to its tolerance last."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    found = [value for report in reports for name, value in getattr(report, "user_properties", []) if name == "parity"]
    if not found:
        return
    terminalreporter.section("largest difference per file")
    for name, key, difference, tolerance in sorted(found, key=lambda one: one[2] / one[3]):
        terminalreporter.write_line(f"{difference:.1e} of {tolerance:.1e} allowed  {name}  {key}")
