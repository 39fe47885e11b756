"""Whether the log is what was recorded, in the page; and proofs that somebody else checks."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from playwright.sync_api import expect

from eventstore.signing import SigningKey
from tests.console.conftest import Look, Serve
from tests.console.logs import long_log
from tests.console.rig import Running, callboard

FIRST = "conversation-01a1fe4a-0b25-7062-b75a-5964769a5b8e@1"
LONG = 20_000
NOTING = """() => {
  window.noted = [];
  new MutationObserver(() => {
    const bar = document.querySelector('progress[aria-label="Events verified"][value]');
    if (bar) noted.push([bar.value, bar.max]);
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""
"""Keeps how far the bar is, each time it goes on."""


def test_verifying_tells_the_head_that_the_command_line_tells(look: Look, archive: Running, past: Path) -> None:
    page = look(archive).open("#/integrity")
    page.get_by_role("button", name="Verify the log").click()
    verdict = page.locator(".integrity-verdict")
    expect(verdict).to_contain_text("The chain holds")
    head = verdict.locator("dd code").inner_text()
    assert "The chain holds" in callboard("verify", "--store", f"sqlite:///{past}", "--head", head)


def test_while_a_long_log_is_verified_one_sees_how_far_it_is(look: Look, serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "long.db"
    long_log(log, long=LONG)
    page = look(serve(log)).open("#/integrity")
    page.evaluate(NOTING)
    page.get_by_role("button", name="Verify the log").click()
    expect(page.locator(".integrity-verdict")).to_contain_text("The chain holds")
    expect(page.get_by_role("progressbar", name="Events verified")).to_have_count(0)
    noted: list[tuple[int, int]] = [(done, of) for done, of in page.evaluate("() => noted")]
    assert any(0 < done < of for done, of in noted), noted
    assert noted == sorted(noted)
    assert min(of for _, of in noted) > LONG // 2


def test_an_altered_event_is_named(look: Look, serve: Serve, past: Path, tmp_path: Path) -> None:
    log = tmp_path / "altered.db"
    with closing(sqlite3.connect(past)) as source, closing(sqlite3.connect(log)) as altered, altered:
        source.backup(altered)
        for (trigger,) in altered.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            altered.execute(f'DROP TRIGGER "{trigger}"')
        altered.execute("UPDATE stored_events SET principal = 'mallory' WHERE rowid = 1")
    page = look(serve(log)).open("#/integrity")
    page.get_by_role("button", name="Verify the log").click()
    expect(page.get_by_role("alert")).to_contain_text("not what was recorded")
    expect(page.get_by_role("alert").get_by_role("link", name=FIRST)).to_be_visible()


def test_the_checkpoints_that_hold_are_told_with_the_key_that_signed_them(
    look: Look, serve: Serve, past: Path, tmp_path: Path
) -> None:
    log, key = tmp_path / "signed.db", tmp_path / "key.pem"
    log.write_bytes(past.read_bytes())
    signing = SigningKey.new(key)
    often = {"CALLBOARD_CHECKPOINT_EVERY": "1", "CALLBOARD_CHECKPOINT_SECONDS": "0.1"}
    server = serve(log, CALLBOARD_SIGNING_KEY=str(key), **often)
    window = look(server)
    page = window.open("#/integrity")
    window.until(lambda: server.told("/api/audit/checkpoints")["checkpoints"], "there is a checkpoint")
    page.get_by_role("button", name="Verify the log").click()
    verdict = page.locator(".integrity-verdict")
    told = callboard("verify", "--store", f"sqlite:///{log}", "--public-key", signing.public.hex())
    assert "hold" in told.partition("; signed by the key given")[0]
    expect(verdict).to_contain_text(re.compile(r"\d+ checkpoints? holds?, the newest of \d+ events; signed up to"))
    expect(verdict).to_contain_text(f"by the key {signing.id.hex()}.")


def test_verifying_can_be_called_off(look: Look, archive: Running) -> None:
    page = look(archive).open("#/integrity")
    page.get_by_role("button", name="Verify the log").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled: nothing was found out.")).to_be_visible()


def test_a_saved_proof_is_checked_by_the_verifier_alone(look: Look, serve: Serve, past: Path, tmp_path: Path) -> None:
    log = tmp_path / "proved.db"
    log.write_bytes(past.read_bytes())
    server = serve(log, CALLBOARD_CHECKPOINT_EVERY="1", CALLBOARD_CHECKPOINT_SECONDS="0.1")
    window = look(server)
    page = window.open("#/integrity")
    window.until(lambda: server.told("/api/audit/checkpoints")["checkpoints"], "there is a checkpoint")
    page.get_by_label("Event", exact=True).fill(FIRST)
    page.get_by_role("button", name="Prove it").click()
    expect(page.get_by_text("This proof shows that")).to_be_visible()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Save the proof").click()
    proof = tmp_path / coming.value.suggested_filename
    coming.value.save_as(proof)
    expect(page.locator(".integrity-told pre").first).to_have_text(
        f"callboard proof check {proof.name} --checkpoint NOTED"
    )
    assert f"Proved: {FIRST}" in callboard("proof", "check", str(proof)).replace("\n", " ")


def test_what_no_checkpoint_has_yet_is_not_proved_yet(look: Look, archive: Running) -> None:
    window = look(archive)
    window.announce("404")
    page = window.open(f"#/integrity?event={FIRST}")
    expect(page.get_by_text("No checkpoint has it yet")).to_be_visible()


def test_an_event_that_is_not_there_is_said_at_the_field(look: Look, archive: Running) -> None:
    window = look(archive)
    window.announce("404")
    page = window.open("#/integrity")
    field = page.get_by_label("Event", exact=True)
    field.fill("call-demo@9999")
    page.get_by_role("button", name="Prove it").click()
    expect(field).to_have_attribute("aria-invalid", "true")
