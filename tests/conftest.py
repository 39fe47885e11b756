"""What holds for every test: in CI nothing may be skipped, and a slow machine is no failure."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator

import hypothesis
import pytest
import structlog

from adapters import priority
from eventstore import turns

IN_CI = os.environ.get("CI") == "true"

# Two cores are shared by all that runs on them: how long one example took says nothing about the code.
hypothesis.settings.register_profile(
    "callboard", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("callboard-ci", hypothesis.settings.get_profile("callboard"), derandomize=True)
hypothesis.settings.load_profile("callboard-ci" if IN_CI else "callboard")


def fail_instead_of_skipping(report: pytest.TestReport | pytest.CollectReport) -> None:
    """A skip in CI means .ci/run did not install what the test needs; silence about that would be a green lie."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"not run, and in CI nothing may be skipped: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_instead_of_skipping(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_instead_of_skipping(report)
    return report


@pytest.fixture(autouse=True)
def every_test_leaves_the_log_as_it_was() -> Iterator[None]:
    """A test that sets up the log gives it this test's own output, which is closed for all who come after."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    for left_over in [handler for handler in logging.root.handlers if handler not in handlers]:
        logging.root.removeHandler(left_over)
    logging.root.setLevel(level)


@pytest.fixture(autouse=True)
def nobody_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes last on a machine that tests keep busy would not come within their time; and no test shall leave cores
    to the others for good."""
    monkeypatch.setattr(priority, "NICENESS", 0)
    monkeypatch.setattr(turns, "is_served", lambda log: False)
