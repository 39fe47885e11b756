"""Every setting does what it says, on the whole server: it is not enough that it is read."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import argon2
import httpx
import jwt
import pytest
import trio
from msgspec import json

from adapters import bootstrap
from adapters.config import SETTINGS, BadSetting, from_environment
from adapters.gateways.offline_partner import OfflinePartner
from adapters.server.link import LinkLimits
from adapters.server.serve import ServerLimits
from adapters.serving import server_limits, web_settings
from adapters.setting_values import TAKEN_SEGMENTS
from adapters.web.retell import digest_of
from adapters.web.settings import WebSettings
from eventstore.checkpoints import parse_file
from eventstore.signing import SigningKey, is_signed_by
from tests.adapters.certificates import write_pems
from tests.adapters.gateways import model_server, weather_server
from tests.adapters.gateways.model_server import DONE, FOREVER, STREAM, piece, refusal
from tests.adapters.gateways.weather_server import MAKATI, SUNNY
from tests.adapters.server import raw
from tests.adapters.server.raw import text
from tests.adapters.web.conftest import Socket, Start, start
from tests.adapters.whole import Whole, heard, say, serving

__all__ = ["start"]

SECRET = "an-example-of-a-signing-key-with-enough-bytes"
JWT = {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": SECRET}
SHOWN_ELSEWHERE = {
    "CALLBOARD_OUTLET_BYTES": "end_to_end/test_resume.py",
    "CALLBOARD_HANDSHAKE_DEADLINE": "adapters/server/conftest.py",
    "CALLBOARD_WRITE_DEADLINE": "adapters/server/conftest.py",
    "CALLBOARD_SILENCE_LIMIT": "adapters/server/test_stalled.py",
    "CALLBOARD_SEEN_INTERVAL": "adapters/test_seen.py",
    "CALLBOARD_ENCRYPTION_KEY": "adapters/test_forgetting.py",
    "CALLBOARD_ARCHIVE_AFTER": "adapters/test_archiving.py",
    "CALLBOARD_FORGET_AFTER": "adapters/test_archiving.py",
    "CALLBOARD_GRACEFUL_TIMEOUT": "end_to_end/test_shutdown.py",
    "CALLBOARD_LOG_FORMAT": "adapters/test_serve_records.py",
    "CALLBOARD_LOG_MESSAGES": "adapters/web/test_logged_messages.py",
}
"""By tests that need a process of its own, or have a file of theirs."""


def test_every_setting_has_a_test_of_its_effect() -> None:
    here = Path(__file__)
    own = here.read_text().partition("# --- where")[2]
    for setting in SETTINGS:
        place = SHOWN_ELSEWHERE.get(setting.env)
        shown = own if place is None else (here.parents[1] / place).read_text()
        assert setting.env in shown, f"no test shows what {setting.env} does"


def token(**claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode({'sub': 'ada', 'exp': 2**32, **claims}, SECRET, 'HS256')}"}


# --- where it listens, and where it keeps things ----------------------------------------------------------------


async def test_each_of_several_addresses_is_listened_on() -> None:
    async with serving(CALLBOARD_BIND="127.0.0.1:0,[::1]:0") as server, httpx.AsyncClient() as http:
        assert [url.rpartition(":")[0] for url in server.urls] == ["http://127.0.0.1", "http://[::1]"]
        for url in server.urls:
            assert (await http.get(f"{url}/health")).status_code == 200


async def test_host_and_port_are_where_it_listens_without_a_bind() -> None:
    async with serving(CALLBOARD_BIND="", HOST="::1", PORT="0") as server:
        assert server.urls[0].startswith("http://[::1]:")


async def test_the_store_is_a_file_that_a_later_server_goes_on_with(tmp_path: Path) -> None:
    store = {"CALLBOARD_STORE": f"sqlite:///{tmp_path}/log.db"}
    async with serving(**store) as server:
        id = await server.opened()
    async with serving(**store) as server:
        assert (await server.http.get(f"/api/v2/conversations/{id}")).status_code == 200


async def test_with_a_certificate_and_its_key_every_address_is_served_by_tls(tmp_path: Path) -> None:
    certificate, key = write_pems(tmp_path, "ours")
    settings = {"CALLBOARD_TLS_CERT": str(certificate), "CALLBOARD_TLS_KEY": str(key)}
    trusted = ssl.create_default_context(cafile=certificate)
    async with serving(**settings) as server, httpx.AsyncClient(verify=trusted) as http:
        assert server.urls[0].startswith("https://")
        url = server.urls[0].replace("127.0.0.1", "localhost")
        assert (await http.get(f"{url}/health")).json() == {"status": "healthy"}


# --- who comes in -----------------------------------------------------------------------------------------------


async def test_with_auth_jwt_a_token_of_that_secret_is_needed_but_for_the_platform_and_its_webhook() -> None:
    settings = {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": SECRET}
    async with serving(**settings) as server:
        assert (await server.http.post("/api/v2/conversations", json={})).status_code == 401
        assert (await server.http.post("/api/v2/conversations", json={}, headers=token())).status_code == 200
        async with server.connect("/api/stream/ws/a") as socket:
            assert await socket.closed() == (1008, "Missing authentication token")
        async with server.connect("/ws-default/c1") as socket:
            assert (await heard(socket))["response_type"] == "config"
        answer = await server.http.post("/webhook", json={"event": "call_started", "call": {"call_id": "c1"}})
        assert (answer.status_code, answer.json()) == (200, {"received": True})


@pytest.mark.parametrize("known", [True, False])
async def test_tokens_are_had_by_the_users_of_the_file(tmp_path: Path, known: bool) -> None:
    users = tmp_path / "users"
    cheap = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    users.write_text(f"ada:client:{cheap.hash('a password')}\n")
    async with serving(**JWT, **({"CALLBOARD_USERS": str(users)} if known else {})) as server:
        answer = await server.http.post("/token", data={"username": "ada", "password": "a password"})
    assert answer.status_code == (200 if known else 401)


async def test_without_auth_names_that_were_pointed_here_are_answered_only_where_that_is_said_to_be_safe() -> None:
    for said, status in (("no", 403), ("yes", 200)):
        async with serving(CALLBOARD_INSECURE=said) as server:
            headers = {"Host": "callboard.example"}
            assert (await server.http.get("/api/v2/conversations", headers=headers)).status_code == status


async def test_pages_of_the_origins_that_are_named_may_come_and_no_others() -> None:
    async with serving(CALLBOARD_CORS_ORIGINS="https://app.example.com") as server:
        for origin, may in (("https://app.example.com", True), ("http://localhost:3000", False)):
            answer = await server.http.get("/api/stream/status/a", headers={"Origin": origin})
            assert ("Access-Control-Allow-Origin" in answer.headers) is may


async def test_test_endpoints_are_where_they_are_switched_on() -> None:
    for said, status in (("yes", 200), ("no", 404)):
        async with serving(**JWT, CALLBOARD_TEST_ENDPOINTS=said) as server:
            for path in ("/test-token", "/api/test/system-status"):
                assert (await server.http.get(path, headers=token())).status_code == status


async def test_the_calls_socket_is_at_its_secret_path_and_nowhere_else() -> None:
    async with serving(OBFUSCATED_WS_PATH="hidden/x-1") as server:
        async with server.connect("/hidden/x-1/c1") as socket:
            assert (await heard(socket))["response_type"] == "config"
        async with server.raw() as wire:
            assert (await wire.shake("/ws-default/c1")).status == 404


async def test_with_the_platforms_key_a_webhook_is_signed_and_without_it_none_has_to_be() -> None:
    body = b'{"event":"call_started","call":{"call_id":"c1"}}'
    for key, status in (("", 200), ("key-1", 401)):
        async with serving(RETELL_API_KEY=key) as server:
            assert (await server.http.post("/webhook", content=body)).status_code == status
            now = str(time.time_ns() // 1_000_000)
            signature = {"x-retell-signature": f"v={now},d={digest_of(body, now, 'key-1')}"}
            assert (await server.http.post("/webhook", content=body, headers=signature)).status_code == 200


async def test_every_first_segment_of_a_path_is_taken() -> None:
    async with bootstrap.open_unserved(from_environment({}, {})) as app:
        segments = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()}
    assert segments - {"", "ws-default"} <= TAKEN_SEGMENTS


# --- limits -----------------------------------------------------------------------------------------------------


async def test_one_socket_too_many_is_told_1013_whatever_its_dialect_and_no_call_is_hung_up() -> None:
    async with serving(CALLBOARD_MAX_CONNECTIONS="1") as server, server.connect("/api/stream/ws/a") as socket:
        await heard(socket)
        for path in ("/api/stream/ws/a", "/ws-default/c1", "/ws/channels", "/ws"):
            async with server.connect(path) as other:
                assert await other.closed() == (1013, "too many connections; come back later")


PATHS = ("/api/stream/ws/a", "/ws-default/c1", "/ws/channels", "/", "/ws")


@pytest.mark.parametrize("path", PATHS)
async def test_a_frame_over_the_limit_closes_with_1009_in_every_dialect(path: str) -> None:
    async with serving(CALLBOARD_MAX_FRAME_BYTES="1 KiB") as server, server.connect(path) as socket:
        await socket.wire.send_message('{"type":"ping"}' + " " * 1010)
        assert (await socket.closed())[0] == 1009
        assert (await server.http.post("/api/v2/conversations", content=b" " * 1025)).status_code == 413


SLOW = {"CALLBOARD_RATE_LIMIT": "0.5", "CALLBOARD_RATE_BURST": "2"}


async def test_who_sends_too_much_is_told_so_in_its_dialects_words_and_when_to_come_back() -> None:
    async with serving(**SLOW) as server:
        async with server.connect("/api/stream/ws/a") as socket:
            kinds = [await told(socket, {"type": "ping"}) for _ in range(3)]
            assert [one["type"] for one in kinds] == ["pong", "pong", "error"]
            assert 0 < kinds[2]["retry_after"] <= 2
        async with server.connect("/ws/channels") as socket:
            subscribe = {"type": "subscribe", "payload": {"channel": "a"}}
            kinds = [await told(socket, subscribe, greeted=False) for _ in range(3)]
            assert [one["type"] for one in kinds] == ["subscribed", "subscribed", "error"]
            assert kinds[2]["payload"]["code"] == "rate_limited"
        async with server.connect("/ws") as socket:
            kinds = [await told(socket, {"type": "ping"}, greeted=False) for _ in range(3)]
            assert [one["type"] for one in kinds] == ["pong", "pong", "error"]
            assert "retry" in json.encode(kinds[2]).decode()
        async with server.connect("/ws-default/c1") as socket:
            for _ in range(3):
                await say(socket, {"interaction_type": "ping_pong", "timestamp": 1})
            assert await socket.closed() == (4008, "Too many messages at once; come back")


async def told(socket: Socket, frame: Any, *, greeted: bool = True) -> Any:
    """The answer to a frame."""
    await say(socket, frame)
    while (answer := await heard(socket)).get("type") == "connection_established" and greeted:
        pass
    return answer


async def test_a_principals_rate_counts_over_all_it_does() -> None:
    slow = {"CALLBOARD_PRINCIPAL_RATE_LIMIT": "0.01", "CALLBOARD_PRINCIPAL_RATE_BURST": "2"}
    async with serving(**JWT, **slow) as server:
        asked = [await server.http.get("/api/v2/conversations", headers=token()) for _ in range(3)]
        assert [answer.status_code for answer in asked] == [200, 200, 429]
        other = await server.http.get("/api/v2/conversations", headers=token(sub="bob"))
        assert other.status_code == 200


async def test_more_commands_than_a_mailbox_holds_are_answered_busy() -> None:
    async with serving(CALLBOARD_MAILBOX="2") as server, server.raw() as wire:
        assert (await wire.shake("/api/stream/ws/a")).status == 101
        await wire.told("connection_established")
        await wire.send(*(text({"type": "chat", "message": str(n)}) for n in range(5)))
        kinds = [(await wire.told())["type"] for _ in range(5)]
        assert sorted(kinds) == ["chat_message", "chat_message", "error", "error", "error"]


async def test_an_idle_actor_leaves_memory() -> None:
    async with serving(CALLBOARD_PASSIVATE_AFTER="0.05") as server:
        await server.opened()
        with trio.fail_after(5):
            while "callboard_actors 0.0" not in (await server.http.get("/metrics")).text:  # noqa: ASYNC110
                await trio.sleep(0.02)


async def test_a_session_nobody_uses_expires() -> None:
    for age, is_same in (("0.05", False), ("60", True)):
        async with serving(CALLBOARD_SESSION_MAX_AGE=age) as server:
            async with server.connect("/ws") as socket:
                id = (await told(socket, {"type": "ping"}))["session_id"]
            await trio.sleep(0.2)
            async with server.connect(f"/ws?session_id={id}") as socket:
                assert ((await told(socket, {"type": "ping"}))["session_id"] == id) is is_same


def test_channels_have_a_silence_limit_of_their_own() -> None:
    for written, of_all, of_channels in (({}, 90.0, 120.0), ({"CALLBOARD_SILENCE_LIMIT": "7"}, 7.0, 7.0)):
        settings = from_environment(written, {})
        assert server_limits(settings).link.silence_limit == of_all
        assert web_settings(settings, OfflinePartner()).silence_limits == {"channels": of_channels}


async def test_silence_is_borne_longer_from_some_dialects(start: Start) -> None:
    limits = ServerLimits(LinkLimits(silence_limit=0.3, ping_interval=0.1), graceful_timeout=0.1)
    for borne in (60.0, 0.3):
        settings = WebSettings(model="scripted", silence_limits={"channels": borne})
        server = await start(settings=settings, limits=limits)
        async with raw.connected(int(server.url.rpartition(":")[2])) as wire:
            assert (await wire.shake("/ws/channels")).status == 101
            wire.answers_pings = False
            with trio.move_on_after(1.3) as patience:
                assert (await wire.closed()).code == 4009
            assert patience.cancelled_caught is (borne == 60.0)


# --- what is behind it ------------------------------------------------------------------------------------------

ASK = {"interaction_type": "response_required", "response_id": 1, "transcript": []}


def asking(model: model_server.ModelServer) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": "sk-mine", "OPENAI_BASE_URL": model.url, "OPENAI_MODEL": "tiny",
        "CALLBOARD_FORECAST": "scripted",
    }  # fmt: skip


async def answer_of(server: Whole, question: Any = ASK) -> list[str]:
    """What each frame of an answer says."""
    said: list[str] = []
    async with server.connect("/ws-default/c1") as socket:
        await say(socket, question)
        while not (frame := await heard(socket)).get("content_complete"):
            said += [frame["content"]] if frame["response_type"] == "response" else []
    return [*said, frame["content"]]


async def test_the_language_model_that_is_named_is_asked_with_the_key() -> None:
    answer = STREAM, piece("Yes."), piece(None, "stop"), DONE
    async with model_server.serving(answer) as model, serving(**asking(model)) as server:
        assert "".join(await answer_of(server)) == "Yes."
    assert b"Bearer sk-mine" in model.requests[0]
    assert model.bodies[0]["model"] == "tiny"


async def test_a_model_that_says_nothing_is_apologised_for_when_its_time_is_over() -> None:
    patience = {"CALLBOARD_RESPONSE_TIMEOUT": "0.2"}
    async with model_server.serving((STREAM, FOREVER)) as model, serving(**asking(model), **patience) as server:
        with trio.fail_after(20):  # less than a model gets by default
            assert "sorry" in (await answer_of(server))[-1]


def test_a_request_waits_for_an_answer_for_as_long_as_a_model_may_take() -> None:
    settings = from_environment({"CALLBOARD_RESPONSE_TIMEOUT": "70"}, {})
    assert web_settings(settings, OfflinePartner()).response_timeout == 70.0


async def test_pieces_of_an_answer_are_told_as_often_as_is_said() -> None:
    words = [moves for n in range(10) for moves in (piece(f"{n} "), 0.02)]
    async with model_server.serving((STREAM, *words, piece(None, "stop"), DONE)) as model:
        async with serving(**asking(model), CALLBOARD_DELTA_INTERVAL="60") as server:
            assert len(await answer_of(server)) == 2
        async with serving(**asking(model), CALLBOARD_DELTA_INTERVAL="0") as server:
            assert len(await answer_of(server)) > 5


WEATHER = {**ASK, "transcript": [{"role": "user", "content": "What is the weather in Makati?"}]}


async def test_the_forecast_is_asked_where_it_is_said_to_be_and_the_twin_asks_nobody() -> None:
    async with weather_server.serving([MAKATI], [SUNNY]) as weather:
        urls = {"CALLBOARD_FORECAST_URL": weather.forecast_url, "CALLBOARD_GEOCODING_URL": weather.geocoding_url}
        async with serving(CALLBOARD_FORECAST="scripted", **urls) as server:
            assert "Makati" in "".join(await answer_of(server, WEATHER))
        assert weather.targets == []
        async with serving(CALLBOARD_FORECAST="open-meteo", **urls) as server:
            await answer_of(server, WEATHER)
    assert [target.partition("?")[0] for target in weather.targets] == ["/v1/search", "/v1/forecast"]


async def test_speech_is_written_down_by_whom_is_named() -> None:
    body = b'{"text": "hello world"}'
    async with model_server.serving((refusal("200 OK", body=body),)) as model:
        for name, kind in (("openai", "transcription_result"), ("pocketsphinx", "transcription_error")):
            settings = {**asking(model), "CALLBOARD_TRANSCRIBER": name}
            async with serving(**settings) as server, server.connect("/api/stream/ws/a") as socket:
                frame = await told(socket, {"type": "transcription_request", "data": "GkXfo0EK"})
                assert frame["type"] == kind, frame
    assert len(model.requests) == 1


SHIPMENT = {"origin_zip": "94105", "destination_zip": "10118", "weight": 5}


async def test_rates_are_the_carriers_that_is_named() -> None:
    ground = {"carrier": "UPS", "service_name": "Ground", "service_tier": "ground", "cost": 1.25,
              "estimated_delivery": "2025-01-10T12:00:00Z", "transit_days": 5}  # fmt: skip
    async with model_server.serving((refusal("200 OK", body=json.encode({"rates": [ground]})),)) as carrier:
        for name, is_asked in (("http", True), ("embedded", False)):
            settings = {"SHIPVOX_API_URL": carrier.url, "CALLBOARD_CARRIER": name}
            async with serving(**settings) as server, server.connect("/ws") as socket:
                frame = await told(socket, {"type": "get_rates", "payload": SHIPMENT})
                costs = [option["cost"] for option in frame["payload"]["all_options"]]
                assert (costs == [1.25]) is is_asked
    assert len(carrier.requests) == 1


async def test_a_labels_address_begins_where_clients_reach_this_server() -> None:
    people = {f"{who}_{part}": "x" for who in ("shipper", "recipient") for part in ("name", "street", "city", "state")}
    asked = {"carrier": "UPS", "service_type": "ground", "shipper_zip": "94105", "recipient_zip": "10118", "weight": 5}
    call = {"tool_name": "create_label", "tool_call_id": "t-1", "parameters": {**people, **asked}}
    async with serving(CALLBOARD_PUBLIC_URL="https://board.example") as server, server.connect("/ws") as socket:
        frame = await told(socket, {"type": "client_tool_call", "client_tool_call": call})
        assert frame["result"]["label_url"].startswith("https://board.example/labels/"), frame


async def test_the_channel_that_is_named_is_mirrored_where_it_is_said_to_be() -> None:
    async with serving() as other, other.connect("/ws/channels") as ear:
        await told(ear, {"type": "subscribe", "payload": {"channel": "news"}}, greeted=False)
        mirroring = {"WEBSOCKET_URI": other.urls[0].replace("http", "ws"), "WEBSOCKET_CHANNEL": "news"}
        async with (
            serving(**mirroring) as server,
            server.connect("/ws/channels") as mouth,
            trio.open_nursery() as nursery,
        ):

            async def publish() -> None:
                while True:
                    for channel in ("sport", "news"):
                        await say(mouth, {"type": channel, "payload": {"of": channel}})
                    await trio.sleep(0.05)

            nursery.start_soon(publish)
            assert await heard(ear) == {"type": "news", "payload": {"of": "news"}}
            nursery.cancel_scope.cancel()


# --- what others can prove ----------------------------------------------------------------------------------------


async def checkpoints_of(server: Whole) -> list[dict[str, Any]]:
    answer = await server.http.get("/api/audit/checkpoints")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["checkpoints"])


@pytest.mark.parametrize("due", [{"CALLBOARD_CHECKPOINT_EVERY": "1"}, {"CALLBOARD_CHECKPOINT_SECONDS": "0.01"}])
async def test_a_checkpoint_is_made_after_so_many_events_or_so_much_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, due: dict[str, str]
) -> None:
    monkeypatch.setattr("eventstore.checkpointing.PAUSE", 0.01)
    async with serving(CALLBOARD_STORE=f"sqlite:///{tmp_path}/log.db", **due) as server:
        await server.opened()
        with trio.fail_after(10):
            while not (made := await checkpoints_of(server)):
                pass
        assert made[0]["signed"] is False


async def test_without_checkpoints_there_are_none(tmp_path: Path) -> None:
    async with serving(CALLBOARD_STORE=f"sqlite:///{tmp_path}/log.db", CALLBOARD_CHECKPOINT_EVERY="0") as server:
        await server.opened()
    assert not (tmp_path / "log.db-checkpoints.jsonl").exists()


async def test_checkpoints_are_signed_with_the_key_and_a_bad_one_is_named_at_the_start(tmp_path: Path) -> None:
    key = SigningKey.new(tmp_path / "key.pem")
    store = {"CALLBOARD_STORE": f"sqlite:///{tmp_path}/log.db"}
    async with serving(**store, CALLBOARD_SIGNING_KEY=str(tmp_path / "key.pem")) as server:
        await server.opened()
    (made,) = parse_file((tmp_path / "log.db-checkpoints.jsonl").read_text())
    assert is_signed_by(made, key.public)
    complaint = r"CALLBOARD_SIGNING_KEY: .*log\.db holds no private key in PEM; make one with"
    with pytest.RaisesGroup(pytest.RaisesExc(BadSetting, match=complaint), flatten_subgroups=True):
        async with serving(**store, CALLBOARD_SIGNING_KEY=f"{tmp_path}/log.db"):
            pass
