"""`callboard proof …`: what it gives out is checked by a program that has neither the log nor anything of ours."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from adapters import cli, proof_verifier
from adapters.auditing import audit_log
from adapters.exports.formats import Format, writer_of
from adapters.proof_verifier import BINARY, NAMES, is_signed, packed
from adapters.proving import Fresh, Prover
from eventstore.audit import AuditLog, Entry, Filters
from eventstore.checkpoints import Checkpoint
from eventstore.masterkey import MasterKey
from eventstore.merkle import TILE
from eventstore.opening import open_sqlite
from eventstore.proofs import Unprovable, tree_file
from eventstore.signing import SigningKey
from tests.eventstore.checkpointed import kept
from tests.eventstore.logs import raw, say, stream

A = stream("a")
EVENTS = TILE + 40
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log of EVENTS events and the key that signed its checkpoints, of EVENTS - 7 and of all."""
    folder = tmp_path_factory.mktemp("pristine")
    key = SigningKey.new(folder / "key.pem")

    async def fill() -> None:
        for first, last in ((1, EVENTS - 7), (EVENTS - 6, EVENTS)):
            async with kept(folder / "log.db", signer=key) as store:
                await say(store, A, *(f"text {n} “–”\n" for n in range(first, last + 1)), command_id=f"c-{first}")

    trio.run(fill)
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where the commands are typed."""
    copy = shutil.copytree(pristine, tmp_path / "copy")
    monkeypatch.chdir(copy)
    monkeypatch.setenv("CALLBOARD_STORE", "sqlite:///log.db")
    return copy


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """A command as typed: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        sys.stdout.flush()
        said = capfdbinary.readouterr()
        return int(ended.value.code or 0), said.out.decode(), said.err.decode()

    return run


def public(folder: Path) -> str:
    return SigningKey.load(folder / "key.pem").public.hex()


def proved(run: Run, *arguments: str) -> dict[str, Any]:
    code, said, complaint = run("proof", *arguments)
    assert code == 0, complaint
    proof: dict[str, Any] = json.loads(said)
    return proof


def refused(proof: dict[str, Any], *changes: tuple[Any, ...]) -> str:
    """Why a proof is refused, once its parts (their path, then the new value) are others."""
    changed = json.loads(json.dumps(proof))
    for *path, last, value in changes:
        part = changed
        for step in path:
            part = part[step]
        assert part[last] != value
        part[last] = value
    with pytest.raises(proof_verifier.NotProved) as fault:
        proof_verifier.check(changed)
    return str(fault.value)


# --- one event --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [1, 2, TILE, TILE + 1, EVENTS])
def test_an_event_is_proved_wherever_it_is(run: Run, folder: Path, position: int) -> None:
    proof = proved(run, "make", f"{A}@{position}")
    assert proof == proved(run, "make", str(position))
    assert proof["event"]["position"] == position
    assert json.loads(proof["event"]["payload"])["content"] == f"text {position} “–”\n"
    shown, signature = proof_verifier.check(proof, bytes.fromhex(public(folder)))
    assert shown.startswith(
        f"Proved: {A}@{position} (conversation.message_said/1, 2023-11-14 22:13:20 UTC) is in the log "
    )
    assert signature.endswith(f"({EVENTS:,} events) is signed by the key {public(folder)[:16]}….")


def test_the_program_of_its_own_checks_it_far_from_us(run: Run, folder: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (away / "verifier.py").write_text(run("proof", "verifier")[1])
    (away / "noted").write_text(run("proof", "checkpoint")[1])
    proof = proved(run, "make", "7")
    (away / "proof.json").write_text(json.dumps(proof))
    proof["event"]["principal"] = "eve"
    (away / "false.json").write_text(json.dumps(proof))
    shutil.move(folder / "log.db", folder / "gone.db")

    def check(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", "verifier.py", *arguments]
        return subprocess.run(command, cwd=away, capture_output=True, text=True, check=False)

    good = check("proof.json", "--public-key", public(folder), "--checkpoint", "noted")
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith(f"Proved: {A}@7 ")
    assert good.stdout.endswith("…. It is the one noted.\n")
    bad = check("false.json")
    assert (bad.returncode, bad.stderr) == (1, "")
    assert bad.stdout == ("Not proved: the event, as it stands in the proof, is not in the log of the checkpoint.\n")
    assert check("proof.json", "--public-key", "00").returncode == 2
    assert check("nowhere.json").returncode == 2


def test_the_verifier_imports_nothing_but_the_standard_library() -> None:
    source = Path(proof_verifier.__file__).read_text()
    imported = {line.split()[1] for line in source.splitlines() if line.startswith(("import ", "from "))}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", NAMES)
def test_no_column_of_a_proved_event_can_be_changed(run: Run, folder: Path, name: str) -> None:
    proof = proved(run, "make", "1")
    old = proof["event"][name]
    for value in (old + 1 if isinstance(old, int) else f"{old}x", None if old is not None else ""):
        assert refused(proof, ("event", name, value))


def test_nothing_else_in_a_proof_can_be_changed(run: Run, folder: Path) -> None:
    proof = proved(run, "make", "5")
    note = proof["checkpoint"]
    assert refused(proof, ("previous", "00" * 32))
    assert refused(proof, ("path", 0, "00" * 32))
    assert refused(proof, ("path", proof["path"][1:]))
    assert refused(proof, ("path", [*proof["path"], "00" * 32]))
    assert refused(proof, ("checkpoint", note.replace(f"\n{EVENTS}\n", "\n7\n")))
    assert refused(proof, ("checkpoint", "no checkpoint")) == "the checkpoint is not written as one"
    assert refused(proof, ("proof", "callboard.event/2"))
    assert "not written as one" in refused(proof, ("path", 7))
    key = bytes.fromhex(public(folder))
    with pytest.raises(proof_verifier.NotProved, match=r"the signature under the checkpoint .* is false"):
        proof_verifier.check({**proof, "checkpoint": note.replace("time 17", "time 16")}, key)
    with pytest.raises(proof_verifier.NotProved, match=r"is not signed by the key 0{16}…"):
        proof_verifier.check(proof, bytes(32))
    with pytest.raises(proof_verifier.NotProved, match="is not the one noted"):
        proof_verifier.check(proof, key, noted=note.replace("time 17", "time 16"))


def test_a_proof_is_made_for_the_checkpoint_that_is_wanted(run: Run, folder: Path) -> None:
    early = proved(run, "make", "3", "--size", str(EVENTS - 7))
    assert f"\n{EVENTS - 7}\n" in early["checkpoint"]
    assert proof_verifier.check(early)
    code, _, complaint = run("proof", "make", str(EVENTS), "--size", str(EVENTS - 7))
    assert code == 1
    assert f"position {EVENTS:,} is in no checkpoint yet, the last has {EVENTS - 7:,} events" in complaint
    assert "no checkpoint of 5 events" in run("proof", "make", "3", "--size", "5")[2]


async def test_an_event_in_no_checkpoint_is_proved_for_a_fresh_one(
    run: Run, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw(folder / "log.db") as connection:
        connection.execute("DROP TRIGGER no_checkpoint_delete")
        connection.execute("DELETE FROM chain_checkpoints WHERE size = ?", (EVENTS,))

    def type_it(*arguments: str) -> dict[str, Any]:
        return proved(run, *arguments)

    unsigned = await trio.to_thread.run_sync(type_it, "make", str(EVENTS), "--fresh")
    assert proof_verifier.check(unsigned)[1].endswith("is not signed.")
    monkeypatch.setenv("CALLBOARD_SIGNING_KEY", "key.pem")
    signed = await trio.to_thread.run_sync(type_it, "make", str(EVENTS), "--fresh")
    assert "is signed by the key" in proof_verifier.check(signed, bytes.fromhex(public(folder)))[1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("make", "conversation-x@1"), "the log has no event conversation-x@1"),
        (("make", "99999"), "the log has no event 99999"),
        (("make", "somewhere"), "'somewhere' is no event; write STREAM@VERSION, or a position"),
        (("make",), "write an event (STREAM@VERSION, or a position), or --export FILE"),
        (("make", "1", "--size", "3", "--fresh"), "write --size or --fresh"),
        (("consistency", "key.pem"), "key.pem: this is no checkpoint of a log"),
        (("key", "new", "key.pem"), "key.pem is there already"),
        (("key", "show", "log.db"), "log.db: log.db holds no private key in PEM; make one with"),
        (("make", "--export", "log.db"), "log.db is no export; name its manifest, or the file with its ending"),
        (("make", "1", "--store", "sqlite:///none.db"), "there is no log at none.db"),
    ],
)
def test_what_cannot_be_proved_is_one_line_with_the_remedy(
    run: Run, folder: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    code, said, told = run("proof", *arguments)
    assert (code, said) == (1, "")
    assert complaint in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("harm", ["gone", "changed", "torn"])
def test_what_is_beside_the_log_is_not_needed_for_proofs(run: Run, folder: Path, harm: str) -> None:
    tiles = tree_file(folder / "log.db")
    proof = proved(run, "make", "1")
    match harm:
        case "gone":
            tiles.unlink()
        case "changed":
            tiles.write_bytes(bytes(32))
        case _:
            tiles.write_bytes(tiles.read_bytes()[:20])
    assert proved(run, "make", "1") == proof


def test_no_proof_is_made_of_a_log_that_was_changed(run: Run, folder: Path) -> None:
    with raw(folder / "log.db") as connection:
        connection.execute("DROP TRIGGER only_archived")
        connection.execute("UPDATE stored_events SET hash = zeroblob(32) WHERE rowid = 9")
    assert run("proof", "make", "9")[0] == 0, "the event is what it was, as all that is around it says"
    complaint = run("proof", "make", "1")[2]
    assert f"the first {EVENTS:,} events are not those of the checkpoint (the event, as it stands in the" in complaint
    assert "`callboard verify` tells what was changed" in complaint
    assert "are not those of the checkpoint" in run("proof", "checkpoint", "--fresh")[2]


def test_verify_takes_keys_and_checkpoints_that_were_noted(run: Run, folder: Path) -> None:
    (folder / "noted").write_text(run("proof", "checkpoint")[1])
    known = ("--public-key", public(folder), "--checkpoint", "noted")
    code, said, _ = run("verify", *known)
    assert code == 0
    assert f"signed by the key given up to position {EVENTS:,}." in said
    with raw(folder / "log.db") as connection:
        connection.execute("DROP TRIGGER no_delete")
        connection.execute("DELETE FROM stored_events WHERE rowid = ?", (EVENTS,))
    code, said, _ = run("verify", *known)
    assert code == 1
    assert said.startswith(f"The log was cut off behind position {EVENTS - 1:,}: ")
    for option, value, complaint in (
        ("--public-key", "key.pem", "--public-key: key.pem is no Ed25519 public key"),
        ("--checkpoint", "key.pem", "key.pem: this is no checkpoint of a log"),
        ("--checkpoint", "nowhere", "No such file or directory: nowhere"),
    ):
        code, _, told = run("verify", option, value)
        assert (code, told.count("\n")) == (1, 1)
        assert complaint in told


# --- growth -----------------------------------------------------------------------------------------------------


@pytest.fixture
def grown(run: Run, folder: Path) -> dict[str, Any]:
    """A proof that the log only grew since the checkpoint in the file `noted`."""
    (folder / "noted").write_text(run("proof", "checkpoint", "--size", str(EVENTS - 7))[1])
    return proved(run, "consistency", "noted")


def test_a_log_is_proved_to_begin_with_what_was_noted(run: Run, folder: Path, grown: dict[str, Any]) -> None:
    key, noted = bytes.fromhex(public(folder)), (folder / "noted").read_text()
    shown, older, newer = proof_verifier.check(grown, key, noted)
    assert shown.startswith("Proved: the log callboard/")
    assert shown.endswith(f"({EVENTS - 7:,} events); it only grew.")
    assert older.endswith(f"({EVENTS - 7:,} events) is signed by the key {key.hex()[:16]}…. It is the one noted.")
    assert newer.endswith(f"({EVENTS:,} events) is signed by the key {key.hex()[:16]}….")
    for options in ({"public": key}, {"noted": noted}):
        assert proof_verifier.check(grown, **options)[0] == shown
    assert refused(grown, ("path", 0, "00" * 32))
    assert refused(grown, ("old", grown["old"].replace(f"\n{EVENTS - 7}\n", f"\n{EVENTS - 8}\n")))
    assert refused(grown, ("old", grown["checkpoint"]))
    (folder / "proof.json").write_text(json.dumps(grown))
    code, said, _ = run("proof", "check", "proof.json", "--checkpoint", "noted", "--public-key", key.hex())
    assert (code, said.splitlines()) == (0, [shown, older, newer])


def test_nothing_is_proved_of_an_older_checkpoint_that_nobody_vouches_for(grown: dict[str, Any]) -> None:
    shown, *signatures = proof_verifier.check(grown)
    root = grown["old"].splitlines()[2]
    assert f"at {EVENTS:,} events begins with a log of {EVENTS - 7:,} events whose root is {root}: " in shown
    assert shown.endswith(": compare this root with what you noted.")
    assert not any("Proved" in sentence or "noted." in sentence for sentence in (shown[:-40], *signatures))


async def test_a_rewritten_log_is_not_proved_to_be_what_was_noted_of_the_true_one(
    grown: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    """Whoever rewrites a log also writes an older checkpoint of it: the path between the two is true."""
    forger, path = SigningKey.new(tmp_path / "forger.pem"), tmp_path / "rewritten.db"
    async with kept(path, signer=forger) as store:
        await say(store, A, "this is what was said")
    with raw(path) as connection:
        old = connection.execute("SELECT note FROM chain_checkpoints").fetchone()[0]
    async with kept(path, signer=forger) as store:
        await say(store, A, "and this later")
    async with kept(path) as store:
        prover = Prover(store, path, Fresh(0, SigningKey.load(folder / "key.pem")))
        forged = await store.look(lambda select: prover.consistency(select, Checkpoint.parse(old)))
    assert "Proved" not in proof_verifier.check(forged)[0]
    noted, key = (folder / "noted").read_text(), bytes.fromhex(public(folder))
    with pytest.raises(proof_verifier.NotProved, match=r"\(1 event\) is not the one noted"):
        proof_verifier.check(forged, noted=noted)
    with pytest.raises(proof_verifier.NotProved, match=r"\(1 event\) is not signed by the key"):
        proof_verifier.check(forged, public=key)
    newer = json.dumps({"checkpoint": forged["checkpoint"]})
    with pytest.raises(proof_verifier.NotProved, match=r"\(1 event\) is not the one noted"):
        proof_verifier.check(forged, noted=newer)
    mine = forged["old"].partition("\n\n")[0]
    with pytest.raises(ValueError, match="is no checkpoint"):
        proof_verifier.check(forged, noted=f"{noted}\nand not {mine}\n\n")


@pytest.mark.parametrize(
    "content", ["", "\n\n", "{}\n", '{"checkpoint": "x"}\n', '{"checkpoint": 7}\n', "nothing", "— a b"]
)
def test_a_file_without_checkpoints_is_an_error_and_no_check(
    run: Run, folder: Path, grown: dict[str, Any], content: str
) -> None:
    (folder / "empty").write_text(content)
    for proof in (grown, proved(run, "make", "7")):
        (folder / "proof.json").write_text(json.dumps(proof))
        code, said, complaint = run("proof", "check", "proof.json", "--checkpoint", "empty")
        assert (code, said) == (2, "")
        assert complaint.startswith("proof_verifier: what was noted ")
        assert run("proof", "check", "proof.json", "--public-key", "")[0] == 2


def test_one_of_several_checkpoints_may_be_the_one_noted(folder: Path, grown: dict[str, Any]) -> None:
    notes = [grown["checkpoint"], grown["old"]]
    for noted in ("".join(notes), "\n".join(notes), "".join(json.dumps({"checkpoint": note}) + "\n" for note in notes)):
        assert proof_verifier.check(grown, noted=noted)[1].endswith("It is the one noted.")
    with pytest.raises(proof_verifier.NotProved, match="is not the one noted"):
        proof_verifier.check(grown, noted=notes[0])


def test_a_checkpoint_of_another_past_is_refused(run: Run, folder: Path) -> None:
    note = run("proof", "checkpoint", "--size", str(EVENTS - 7))[1]
    lines = note.splitlines(keepends=True)
    (folder / "noted").write_text("".join((*lines[:2], "A" * 43 + "=\n", *lines[3:])))
    code, _, complaint = run("proof", "consistency", "noted")
    assert code == 1
    assert f"the first {EVENTS - 7:,} events are not those of the older checkpoint" in complaint


# --- exports ----------------------------------------------------------------------------------------------------


def exported(folder: Path, positions: list[int]) -> Path:
    """A file of events as exports write them."""

    async def read() -> list[Entry]:
        log = AuditLog(folder / "log.db")
        entries = [entry async for batch in log.walk(Filters()) for entry in batch if entry.position in positions]
        log.close()
        return entries

    file = folder / "export.jsonl"
    file.write_bytes(msgspec.json.Encoder().encode_lines(trio.run(read)))
    return file


SOME = [1, 2, 3, 700, 702, TILE, TILE + 1, EVENTS]


@pytest.mark.parametrize("positions", [SOME, list(range(1, EVENTS + 1)), [9], []])
def test_all_events_of_an_export_are_proved_together(run: Run, folder: Path, positions: list[int]) -> None:
    file = exported(folder, positions)
    proof = proved(run, "make", "--export", file.name)
    assert len(proof["nodes"]) <= 2 * 11 * len(proof["runs"]) + 1
    assert "stored" not in proof
    (folder / "proof.json").write_text(json.dumps(proof))
    code, said, _ = run("proof", "check", "proof.json", "--public-key", public(folder))
    assert code == 0
    assert said.startswith(f"Proved: all {len(positions):,} events in {file.name} are in the log callboard/")


@pytest.mark.parametrize("what", ["compressed", "by its manifest"])
def test_an_export_is_found_and_read_as_it_was_written(run: Run, folder: Path, what: str) -> None:
    file = exported(folder, SOME)
    packed_file = folder / "export.jsonl.gz"
    packed_file.write_bytes(gzip.compress(file.read_bytes()))
    manifest = {"file": {"name": packed_file.name, "format": "jsonl", "compressed": True}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    proof = proved(run, "make", "--export", packed_file.name if what == "compressed" else "manifest.json")
    assert proof["file"]["name"] == packed_file.name
    assert proof_verifier.check(proof)


@pytest.mark.parametrize("format", Format)
def test_an_export_is_proved_in_every_format(run: Run, folder: Path, format: Format) -> None:
    entries = msgspec.json.Decoder(Entry).decode_lines(exported(folder, SOME).read_bytes())
    writer, file = writer_of(format), folder / f"written.{format}"
    file.write_bytes(writer.begin() + writer.write(entries) + writer.end())
    proof = proved(run, "make", "--export", file.name)
    shown, _ = proof_verifier.check(proof)
    assert shown.startswith(f"Proved: all {len(SOME)} events in {file.name} are in the log ")


def test_a_text_that_spreadsheets_would_run_is_read_from_csv_as_it_was_recorded() -> None:
    row = {
        "position": "1",
        "version": "2",
        "time": "3",
        "principal": "'=1+1",
        "origin": "",
        "command": "",
        "causation": "'",
    }
    read = proof_verifier.cells_read(row)
    assert (read["principal"], read["origin"], read["command"], read["causation"]) == ("=1+1", "", None, "")


def test_no_event_of_a_proved_export_can_be_changed_left_out_or_added(run: Run, folder: Path) -> None:
    file = exported(folder, SOME)
    proof = proved(run, "make", "--export", str(file))
    lines = file.read_text().splitlines(keepends=True)
    changed = [line.replace("text 3 ", "text 4 ") for line in lines]
    without_hash = [json.dumps({**json.loads(line), "hash": None}) + "\n" for line in changed]
    for content, reason in (
        (changed, "the event at position 3 is not in the file as it was recorded"),
        (without_hash, "the event at position 1 is not in the file as it was recorded"),
        (lines[:-1], f"the event at position {EVENTS:,} is not in its place"),
        (lines[1:], "the event at position 1 is not in its place"),
        ([*lines, lines[-1]], "there is more in the file than the proof tells of"),
        ([lines[1], lines[0], *lines[2:]], "the event at position 1 is not in its place"),
    ):
        file.write_text("".join(content))
        with pytest.raises(proof_verifier.NotProved, match="its digest differs"):
            proof_verifier.check(proof, file=file)
        digest = sha256(file.read_bytes()).hexdigest()
        with pytest.raises(proof_verifier.NotProved, match=reason):
            proof_verifier.check({**proof, "file": {**proof["file"], "sha256": digest}}, file=file)
    file.write_text("".join(lines))
    assert proof_verifier.check(proof, file=file)
    for runs in ([[1, 3, "00" * 32]] * 2, [[0, 3, ""]], [[1, EVENTS + 1, ""]], [[3, 1, ""]]):
        with pytest.raises(proof_verifier.NotProved, match=r"the runs are out of order|a run lies outside"):
            proof_verifier.check({**proof, "runs": runs}, file=file)


def rewritten(proof: dict[str, Any], file: Path, content: str) -> dict[str, Any]:
    """The proof as a forger hands it out with a file that has another content."""
    file.write_text(content)
    return {**proof, "file": {**proof["file"], "sha256": sha256(file.read_bytes()).hexdigest()}}


def other(value: Any) -> Any:
    return value + 1 if isinstance(value, int) else f"{value}x"


@pytest.mark.parametrize("name", NAMES)
def test_no_column_is_proved_by_what_is_said_to_be_stored(run: Run, folder: Path, name: str) -> None:
    """The digest and "stored" come with the proof: a forger may write there what he likes."""
    file = exported(folder, [5])
    proof, row = proved(run, "make", "--export", str(file)), json.loads(file.read_text())
    forged = rewritten(proof, file, json.dumps({**row, name: other(row[name])}) + "\n")
    for stored in ({key: row[key] for key in NAMES}, {name: row[name]}, {**row}):
        reason = None if stored.keys() <= set(BINARY) else "in more than what is sealed|is not in its place"
        with pytest.raises(proof_verifier.NotProved, match=reason):
            proof_verifier.check({**forged, "stored": {"5": stored}}, file=file)


def test_another_payload_is_not_proved_by_the_true_one_beside_it(run: Run, folder: Path) -> None:
    file = exported(folder, [5])
    proof, row = proved(run, "make", "--export", str(file)), json.loads(file.read_text())
    payload = json.dumps({**json.loads(row["payload"]), "content": "as it was never said"})
    forged = rewritten(proof, file, json.dumps({**row, "payload": payload}) + "\n")
    with pytest.raises(proof_verifier.NotProved, match="at position 5 differs from the log in more than what is seal"):
        proof_verifier.check({**forged, "stored": {"5": {"payload": row["payload"]}}}, file=file)


@pytest.mark.parametrize(
    "doubled",
    [
        '"principal":"eve","principal":',  # the last is taken here, the first elsewhere
        '"PRINCIPAL":"eve","principal":',
        '"verdict":"guilty","principal":',
    ],
)
def test_a_row_with_a_column_twice_or_too_many_is_refused(run: Run, folder: Path, doubled: str) -> None:
    file = exported(folder, [5])
    proof = proved(run, "make", "--export", str(file))
    forged = rewritten(proof, file, file.read_text().replace('"principal":', doubled))
    with pytest.raises(proof_verifier.NotProved, match=r"stands twice|has other columns"):
        proof_verifier.check(forged, file=file)


@pytest.mark.parametrize("header", ["principal,{}", "{},principal", "{},verdict", "{}x"])
def test_a_table_with_other_columns_is_refused(run: Run, folder: Path, header: str) -> None:
    entries = msgspec.json.Decoder(Entry).decode_lines(exported(folder, [5]).read_bytes())
    writer, file = writer_of(Format.CSV), folder / "written.csv"
    file.write_bytes(writer.begin() + writer.write(entries) + writer.end())
    proof = proved(run, "make", "--export", file.name)
    first, row, _ = file.read_bytes().decode().split("\r\n", 2)
    cells = header.replace("principal", "eve").replace("verdict", "guilty").format(row)
    changed = f"{header.format(first)}\r\n{cells if ',' in header else row}\r\n"
    with pytest.raises(proof_verifier.NotProved, match="the file has other columns than an export"):
        proof_verifier.check(rewritten(proof, file, changed), file=file)
    assert "the file has other columns than an export" in run("proof", "make", "--export", file.name)[2]


def test_a_proof_that_says_something_twice_is_refused(run: Run, folder: Path) -> None:
    proof = json.dumps(proved(run, "make", "7"))
    (folder / "proof.json").write_text(proof.replace('"principal":', '"principal":"eve","principal":'))
    code, said, _ = run("proof", "check", "proof.json")
    assert (code, said) == (1, "Not proved: a name stands twice in one JSON object.\n")


@pytest.mark.parametrize(
    ("stored", "shown", "is_alike"),
    [
        ('{"a":{"sealed":"k.x","is":"string"},"b":[1,2]}', '{"a":"text","b":[1,2]}', True),
        ('{"a":{"sealed":"k.x","is":"object"}}', '{"a":{"deep":[1]}}', True),
        ('[{"sealed":"k.x","is":"string"},null]', '["text",null]', True),
        ('{"a":1}', '{"a":2}', False),
        ('{"a":1}', '{"a":true}', False),
        ('{"a":1}', '{"a":"1"}', False),
        ('{"a":0.1}', '{"a":0.10000000000000000001}', False),
        ('{"a":1}', '{"a":1,"b":2}', False),
        ('{"a":1,"b":2}', '{"a":1}', False),
        ('[1]', '[1,2]', False),
        ('{"a":{"sealed":"k.x","is":"string","of":"x"}}', '{"a":"text"}', False),
        ('{"a":{"sealed":"k.x"}}', '{"a":"text"}', False),
        ('{"a":{"sealed":7,"is":"string"}}', '{"a":"text"}', False),
        ('{"a":"text"}', '{"a":{"sealed":"k.x","is":"string"}}', False),
    ],
)  # fmt: skip
def test_only_what_is_sealed_may_be_shown_otherwise(stored: str, shown: str, is_alike: bool) -> None:
    read = proof_verifier.literal_json
    assert proof_verifier.is_sealed_alike(read(stored), read(shown)) == is_alike


async def test_an_export_of_a_sealed_log_is_proved_and_has_no_more_said_of_it_than_it_shows(tmp_path: Path) -> None:
    path, file = tmp_path / "log.db", tmp_path / "export.jsonl"
    async with open_sqlite(path, master=MasterKey(b"k" * 32)) as store:
        await say(store, A, "whose id ends here: a secret", "another")
        log = audit_log(path, store)
        assert log is not None
        entries = [entry async for batch in log.walk(Filters()) for entry in batch]
        log.close()
        assert "a secret" in entries[0].payload
        file.write_bytes(msgspec.json.Encoder().encode_lines(entries))
        prover = Prover(store, path, Fresh(0, None))
        proof = await store.look(lambda select: prover.export(select, file))
    assert '{"sealed":"' in proof["stored"]["1"]["payload"]
    assert "secret" not in json.dumps(proof)
    shown, _ = proof_verifier.check(proof, file=file)
    assert shown.endswith(" In 2 of them the log has sealed what the file shows: that is not proved, the rest is.")
    honest = file.read_text()
    refuse_all_but_what_is_sealed(proof, file)
    file.write_text(honest.replace("correlation of None", "eve"))
    async with open_sqlite(path, master=MasterKey(b"k" * 32)) as store:
        with pytest.raises(Unprovable, match="is not in the file as it was recorded"):
            await store.look(lambda select: Prover(store, path, Fresh(0, None)).export(select, file))


def refuse_all_but_what_is_sealed(proof: dict[str, Any], file: Path) -> None:
    row, *rest = map(json.loads, file.read_text().splitlines())
    payload, stored = json.loads(row["payload"]), proof["stored"]["1"]
    sealed = json.loads(stored["payload"])
    assert "sealed" in sealed["content"]
    changes: list[dict[str, Any]] = [{name: other(row[name])} for name in NAMES]
    changes += [{"payload": json.dumps({**payload, name: "x"})} for name in (*payload, "new") if name != "content"]
    for change in changes:
        lines = "".join(json.dumps(each) + "\n" for each in ({**row, **change}, *rest))
        forged = rewritten(proof, file, lines)
        true = {**stored, **{name: stored.get(name, row[name]) for name in change}}
        for said in (stored, true):
            with pytest.raises(proof_verifier.NotProved):
                proof_verifier.check({**forged, "stored": {**proof["stored"], "1": said}}, file=file)


# --- what the verifier has of its own -----------------------------------------------------------------------------

VALUES = st.one_of(st.none(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=300), st.binary(max_size=300))


@given(VALUES)
def test_values_are_packed_as_the_log_packs_them(value: Any) -> None:
    assert packed(value) == msgpack.encode(value)


@pytest.mark.parametrize("size", [31, 32, 255, 256, 65535, 65536])
def test_long_values_are_packed_as_the_log_packs_them(size: int) -> None:
    assert packed("x" * size) == msgpack.encode("x" * size)
    assert packed(b"x" * size) == msgpack.encode(b"x" * size)


RFC_8032 = [  # section 7.1: key, text, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]


@pytest.mark.parametrize(("key", "text", "signature"), RFC_8032)
def test_the_rfcs_own_signatures_are_true(key: str, text: str, signature: str) -> None:
    public, said, signed = map(bytes.fromhex, (key, text, signature))
    assert is_signed(public, said, signed)
    assert not is_signed(public, said + b"x", signed)


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=50), st.integers(0, 511))
def test_a_signature_is_true_for_us_where_it_is_for_cryptography(seed: bytes, text: bytes, bit: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), private.sign(text)
    assert is_signed(public, text, signature)
    flipped = bytearray(signature)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not is_signed(public, text, bytes(flipped))


def test_no_signature_has_a_second_form() -> None:
    """RFC 8032, 5.1.7: S is below the order of the group, or somebody could write it anew."""
    public, text, signature = (bytes.fromhex(part) for part in RFC_8032[0])
    other = int.from_bytes(signature[32:], "little") + proof_verifier.L
    assert not is_signed(public, text, signature[:32] + other.to_bytes(32, "little"))
    assert not is_signed(b"\xff" * 32, text, signature)
    assert not is_signed(public, text, signature[:-1])
