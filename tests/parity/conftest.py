"""Which tests get the compiler's optimisations. At the end of the run: the largest difference of every file."""

import jax
import pytest


@pytest.fixture(autouse=True)
def _optimised(request):
    """What is compared is compiled as users have it; that a wrong choice is noticed shows without, and sooner."""
    jax.config.update("jax_disable_most_optimizations", request.path.name != "test_parity.py")


def pytest_terminal_summary(terminalreporter):
    """One line per file, the one that comes closest to its tolerance last."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    found = [value for report in reports for name, value in getattr(report, "user_properties", []) if name == "parity"]
    if not found:
        return
    terminalreporter.section("largest difference per file")
    for name, key, difference, tolerance in sorted(found, key=lambda one: one[2] / one[3]):
        terminalreporter.write_line(f"{difference:.1e} of {tolerance:.1e} allowed  {name}  {key}")
