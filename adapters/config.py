"""The settings: one table, and the frozen value the rest of the server is built from.

Everything that is known of a setting stands in SETTINGS: its names, its default as a user would write it, its parser
and its help. `from_environment`, the flags of `callboard serve` and the README's table are all read off it.
"""

# long because: it is one table, and whoever looks for a setting looks here.

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from adapters import setting_values as values
from adapters.setting_values import Bind, Secret, StoreAddress, Unusable

PREFIX = "CALLBOARD_"


class Auth(StrEnum):
    """Who may connect: everybody, or who brings a JWT."""

    NONE = "none"
    JWT = "jwt"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class ForecastSource(StrEnum):
    OPEN_METEO = "open-meteo"
    SCRIPTED = "scripted"


class TranscriberKind(StrEnum):
    POCKETSPHINX = "pocketsphinx"
    OPENAI = "openai"


class CarrierKind(StrEnum):
    EMBEDDED = "embedded"
    HTTP = "http"


class BadSetting(ValueError):
    """Settings that cannot be used. `complaints` has one line for each: which one, what is wrong, what to write."""

    def __init__(self, complaints: tuple[str, ...]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one server. Durations are in seconds, sizes in bytes."""

    bind: tuple[Bind, ...]
    store: StoreAddress
    checkpoint_every: int
    checkpoint_seconds: float
    signing_key: Path | None
    encryption_key: Path | None
    archive_after: float
    forget_after: float
    auth: Auth
    jwt_secret: Secret | None
    users: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    public_url: str | None
    insecure: bool
    test_endpoints: bool
    cors_origins: tuple[str, ...]
    max_connections: int
    max_frame_bytes: int
    outlet_bytes: int
    rate_limit: float
    rate_burst: int
    principal_rate_limit: float
    principal_rate_burst: int
    handshake_deadline: float
    write_deadline: float
    silence_limit: float | None
    session_max_age: float
    passivate_after: float
    mailbox: int
    response_timeout: float
    delta_interval: float
    seen_interval: float
    forecast: ForecastSource
    forecast_url: str
    geocoding_url: str
    transcriber: TranscriberKind
    carrier: CarrierKind
    graceful_timeout: float
    log_format: LogFormat
    log_messages: bool
    obfuscated_ws_path: str
    openai_api_key: Secret | None
    openai_base_url: str | None
    openai_model: str
    websocket_uri: str | None
    websocket_channel: str
    shipvox_api_url: str | None
    retell_api_key: Secret | None

    def silence_limit_of(self, dialect: str) -> float:
        """Seconds of silence after which a connection of `dialect` is dropped.

        Unless it is set, `channels` gets more: a client's loop that is busy for a minute still lives (contract).
        """
        if self.silence_limit is not None:
            return self.silence_limit
        return 120.0 if dialect == "channels" else 90.0


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    `default` is written as a user would write it and goes through the same parser; where it is None the default
    depends on other settings, or is "not set", and `default_shown` says so.
    """

    env: str
    default: str | None
    parse: Callable[[str], Any]
    help: str
    default_shown: str = ""

    @property
    def name(self) -> str:
        """The attribute of Settings, and the key of a flag."""
        return self.env.removeprefix(PREFIX).lower()

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def shown(self) -> str:
        """The default, for people."""
        return self.default if self.default is not None else self.default_shown


# One row is one setting, however long.
# fmt: off
SETTINGS: tuple[Setting, ...] = (
    Setting("CALLBOARD_BIND", None, values.parse_binds,
            "Addresses to listen on, separated by commas.", "127.0.0.1:8000"),
    Setting("HOST", "127.0.0.1", values.parse_host, "Host to listen on where CALLBOARD_BIND is not set."),
    Setting("PORT", "8000", values.parse_port, "Port to listen on where CALLBOARD_BIND is not set."),
    Setting("CALLBOARD_STORE", "sqlite:///callboard.db", values.parse_store,
            "The log: sqlite:///PATH, or memory: to try things out."),
    Setting("CALLBOARD_CHECKPOINT_EVERY", "1000", values.parse_limit,
            "Events after which a checkpoint of the log is made, at most one a second; 0 for none at all."),
    Setting("CALLBOARD_CHECKPOINT_SECONDS", "60", values.parse_seconds,
            "Seconds after which one is made where fewer events came."),
    Setting("CALLBOARD_SIGNING_KEY", None, values.parse_path,
            "File of the key that signs checkpoints (`callboard proof key new FILE`).", "not set: they are unsigned"),
    Setting("CALLBOARD_ENCRYPTION_KEY", None, values.parse_path,
            "File of the key that seals what people say (`callboard keys new FILE`).", "not set: it stands in clear"),
    Setting("CALLBOARD_ARCHIVE_AFTER", "0", values.parse_days,
            "Days after which the texts of an ended stream go to an archive beside the log; 0 for never."),
    Setting("CALLBOARD_FORGET_AFTER", "0", values.parse_days,
            "Days after the last word of a data subject until it is forgotten (`callboard forget`); 0 for never."),
    Setting("CALLBOARD_AUTH", "none", values.choice_of(Auth), "none (loopback only) or jwt."),
    Setting("CALLBOARD_JWT_SECRET", None, values.parse_signing_secret,
            "Key of the HS256 tokens, 32 bytes or more.", "not set"),
    Setting("CALLBOARD_USERS", None, values.parse_path,
            "File of user names and argon2 hashes, kept by `callboard user add NAME`.", "none: /token answers 401"),
    Setting("CALLBOARD_TLS_CERT", None, values.parse_path,
            "PEM file of the certificate chain: every address is then served by TLS.", "not set: no TLS"),
    Setting("CALLBOARD_TLS_KEY", None, values.parse_path, "PEM file of the certificate's key.", "not set"),
    Setting("CALLBOARD_PUBLIC_URL", None, values.parse_web_url,
            "Where clients reach this server: it goes in front of the addresses of labels.", "not set: paths alone"),
    Setting("CALLBOARD_INSECURE", "no", values.parse_switch,
            "Listen beyond loopback without auth, behind a proxy that checks who comes."),
    Setting("CALLBOARD_TEST_ENDPOINTS", None, values.parse_switch,
            "Serve /api/test/… and /test-token.", "yes on loopback without auth, else no"),
    Setting("CALLBOARD_CORS_ORIGINS", "http://localhost:3000,http://127.0.0.1:3000", values.parse_origins,
            "Origins whose pages may call this server, separated by commas; none for no origin."),
    Setting("CALLBOARD_MAX_CONNECTIONS", "0", values.parse_limit, "Connections at one time; 0 for no limit."),
    Setting("CALLBOARD_MAX_FRAME_BYTES", "16 MiB", values.parse_size, "Largest frame a client may send."),
    Setting("CALLBOARD_OUTLET_BYTES", "1 MiB", values.parse_size,
            "What may wait for one slow client; beyond it the client is closed and can resume."),
    Setting("CALLBOARD_RATE_LIMIT", "200", values.parse_rate, "Commands a second and connection."),
    Setting("CALLBOARD_RATE_BURST", "400", values.parse_count, "Commands a connection may send at once."),
    Setting("CALLBOARD_PRINCIPAL_RATE_LIMIT", "1000", values.parse_rate,
            "Commands a second of one principal, over all its connections."),
    Setting("CALLBOARD_PRINCIPAL_RATE_BURST", "2000", values.parse_count, "Commands a principal may send at once."),
    Setting("CALLBOARD_HANDSHAKE_DEADLINE", "10", values.parse_seconds,
            "Seconds a new connection may take to say what it wants."),
    Setting("CALLBOARD_WRITE_DEADLINE", "10", values.parse_seconds,
            "Seconds a client may take to accept what is sent to it."),
    Setting("CALLBOARD_SILENCE_LIMIT", None, values.parse_seconds,
            "Seconds without a sign of life until a connection is dropped.", "90; 120 for channels"),
    Setting("CALLBOARD_SESSION_MAX_AGE", "3600", values.parse_seconds, "Seconds until an idle session expires."),
    Setting("CALLBOARD_PASSIVATE_AFTER", "300", values.parse_seconds, "Seconds until an idle actor leaves memory."),
    Setting("CALLBOARD_MAILBOX", "256", values.parse_count, "Commands that may wait for one actor."),
    Setting("CALLBOARD_RESPONSE_TIMEOUT", "30", values.parse_seconds, "Seconds a language model may take to answer."),
    Setting("CALLBOARD_DELTA_INTERVAL", "0.05", values.parse_pause,
            "Seconds between two pieces of a streamed answer; 0 for every piece as it comes."),
    Setting("CALLBOARD_SEEN_INTERVAL", "5", values.parse_pause,
            "Seconds between two notes of how far each client has come (`callboard seen`); 0 for none."),
    Setting("CALLBOARD_FORECAST", None, values.choice_of(ForecastSource),
            "Weather: open-meteo or scripted.", "open-meteo with OPENAI_API_KEY, else scripted"),
    Setting("CALLBOARD_FORECAST_URL", "https://api.open-meteo.com/v1/forecast", values.parse_web_url,
            "Where Open-Meteo's forecast is asked for."),
    Setting("CALLBOARD_GEOCODING_URL", "https://geocoding-api.open-meteo.com/v1/search", values.parse_web_url,
            "Where Open-Meteo is asked for places."),
    Setting("CALLBOARD_TRANSCRIBER", None, values.choice_of(TranscriberKind),
            "Speech to text: openai or pocketsphinx.", "openai with OPENAI_API_KEY, else pocketsphinx"),
    Setting("CALLBOARD_CARRIER", None, values.choice_of(CarrierKind),
            "Shipping: http, or embedded (an example tariff).", "http with SHIPVOX_API_URL, else embedded"),
    Setting("CALLBOARD_GRACEFUL_TIMEOUT", "5", values.parse_seconds, "Seconds a shutdown may take."),
    Setting("CALLBOARD_LOG_FORMAT", None, values.choice_of(LogFormat),
            "console or json.", "console on a terminal, else json"),
    Setting("CALLBOARD_LOG_MESSAGES", "no", values.parse_switch,
            "Write every message to the server's own log: its size and its beginning, without secrets."),
    Setting("OBFUSCATED_WS_PATH", "ws-default", values.parse_obfuscated_path,
            "Path of the retell socket, in front of the call's id."),
    Setting("OPENAI_API_KEY", None, values.parse_secret,
            "Key of the language model.", "not set: the offline partner answers"),
    Setting("OPENAI_BASE_URL", None, values.parse_web_url, "Another OpenAI-compatible API.", "OpenAI's own"),
    Setting("OPENAI_MODEL", "gpt-4o-mini", values.parse_text, "The language model asked."),
    Setting("WEBSOCKET_URI", None, values.parse_socket_url, "A server to mirror WEBSOCKET_CHANNEL to.", "not set"),
    Setting("WEBSOCKET_CHANNEL", "weather-update", values.parse_text, "Channel of the assistant's updates."),
    Setting("SHIPVOX_API_URL", None, values.parse_web_url, "The carrier's HTTP API.", "not set"),
    Setting("RETELL_API_KEY", None, values.parse_secret,
            "Key that signs Retell's webhooks.", "not set: signatures are not checked"),
)
# fmt: on


def from_environment(env: Mapping[str, str], flags: Mapping[str, str | None], *, on_terminal: bool = False) -> Settings:
    """The settings written in `flags` (by Setting.name; None where not given), else in `env`, else by default.

    An empty text counts as not set. Raises BadSetting with everything there is to complain about.
    """
    found: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for setting in SETTINGS:
        source, text = _written(setting, env, flags)
        try:
            found[setting.name] = None if text is None else setting.parse(text)
        except Unusable as unusable:
            found[setting.name] = None if setting.default is None else setting.parse(setting.default)
            refused[setting.name] = f"{source}: {unusable}"
    _fill(found, on_terminal=on_terminal)
    # What contradicts a value that is refused anyway need not be said: only the default in its place does.
    contradictions = [line for names, line in _contradictions(found) if refused.keys().isdisjoint(names)]
    if complaints := (*_misspelt(env), *refused.values(), *contradictions):
        raise BadSetting(complaints)
    return Settings(**found)


def _written(setting: Setting, env: Mapping[str, str], flags: Mapping[str, str | None]) -> tuple[str, str | None]:
    """Where a setting is written, and what: the source to name in a complaint, and the text."""
    if flag := _text(flags, setting.name):
        return setting.flag, flag
    if setting.name == "bind" and (_text(flags, "host") or _text(flags, "port")):
        return setting.env, None  # a flag wins over a variable, also when it says less
    return setting.env, _text(env, setting.env) or setting.default


def _text(texts: Mapping[str, str | None], name: str) -> str:
    return (texts.get(name) or "").strip()


def _misspelt(env: Mapping[str, str]) -> Iterator[str]:
    """Variables that look like one of ours with a slip in it. Others may begin like ours: Kubernetes adds its own."""
    known = [setting.env for setting in SETTINGS]
    suffixes = {name.removeprefix(PREFIX): name for name in known}
    for name in sorted(env):
        if name.startswith(PREFIX) and name not in known:
            for close in difflib.get_close_matches(name.removeprefix(PREFIX), suffixes, n=1, cutoff=0.8):
                yield f"{name}: there is no such setting; write {suffixes[close]}"


def _fill(found: dict[str, Any], *, on_terminal: bool) -> None:
    """Put in place the defaults that depend on other settings."""
    host, port = found.pop("host"), found.pop("port")
    found["bind"] = found["bind"] or (Bind(host, port),)
    has_key = found["openai_api_key"] is not None
    has_carrier = found["shipvox_api_url"] is not None
    dependent = {
        "test_endpoints": found["auth"] is Auth.NONE and all(bind.is_loopback for bind in found["bind"]),
        "forecast": ForecastSource.OPEN_METEO if has_key else ForecastSource.SCRIPTED,
        "transcriber": TranscriberKind.OPENAI if has_key else TranscriberKind.POCKETSPHINX,
        "carrier": CarrierKind.HTTP if has_carrier else CarrierKind.EMBEDDED,
        "log_format": LogFormat.CONSOLE if on_terminal else LogFormat.JSON,
    }
    for name, default in dependent.items():
        if found[name] is None:
            found[name] = default


def _contradictions(found: Mapping[str, Any]) -> Iterator[tuple[set[str], str]]:
    """Settings that are each fine and cannot be used together: their names, and the complaint."""
    if found["auth"] is Auth.JWT and found["jwt_secret"] is None:
        wanted = "write the output of `openssl rand -hex 32`"
        yield {"auth", "jwt_secret"}, f"CALLBOARD_JWT_SECRET: CALLBOARD_AUTH=jwt needs one; {wanted}"
    if found["encryption_key"] is not None and found["store"].path is None:
        complaint = "CALLBOARD_ENCRYPTION_KEY: a log in memory is not sealed; write CALLBOARD_STORE=sqlite:///PATH too"
        yield {"encryption_key", "store"}, complaint
    if found["forget_after"] and found["encryption_key"] is None:
        complaint = "CALLBOARD_FORGET_AFTER: only what is sealed can be forgotten; write CALLBOARD_ENCRYPTION_KEY too"
        yield {"forget_after", "encryption_key"}, complaint
    if found["archive_after"] and found["store"].path is None:
        complaint = "CALLBOARD_ARCHIVE_AFTER: a log in memory has no archives; write CALLBOARD_STORE=sqlite:///PATH too"
        yield {"archive_after", "store"}, complaint
    exposed = ", ".join(str(bind) for bind in found["bind"] if not bind.is_loopback)
    if found["auth"] is Auth.NONE and exposed and not found["insecure"]:
        wanted = "write jwt, or CALLBOARD_INSECURE=yes behind a proxy that checks who comes"
        complaint = f"CALLBOARD_AUTH: none is for loopback addresses alone, not for {exposed}; {wanted}"
        yield {"auth", "bind", "insecure"}, complaint
    if (found["tls_cert"] is None) != (found["tls_key"] is None):
        missing = "CALLBOARD_TLS_KEY" if found["tls_key"] is None else "CALLBOARD_TLS_CERT"
        yield {"tls_cert", "tls_key"}, f"{missing}: TLS needs the certificate and its key; write both, or neither"
    if found["transcriber"] is TranscriberKind.OPENAI and found["openai_api_key"] is None:
        complaint = "CALLBOARD_TRANSCRIBER: openai needs a key; write OPENAI_API_KEY too, or pocketsphinx"
        yield {"transcriber", "openai_api_key"}, complaint
    if found["carrier"] is CarrierKind.HTTP and found["shipvox_api_url"] is None:
        complaint = "CALLBOARD_CARRIER: http needs an address; write SHIPVOX_API_URL too, or embedded"
        yield {"carrier", "shipvox_api_url"}, complaint
