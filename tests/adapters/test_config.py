"""The settings, as a user writes them and as the server gets them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.config import (
    SETTINGS,
    Auth,
    BadSetting,
    CarrierKind,
    ForecastSource,
    LogFormat,
    Settings,
    TranscriberKind,
    from_environment,
)
from adapters.setting_values import (
    TAKEN_SEGMENTS,
    Bind,
    Secret,
    StoreAddress,
    parse_bind,
    parse_size,
    parse_store,
)

LONG_SECRET = "an-example-of-a-signing-key-with-enough-bytes"


def settings(*, on_terminal: bool = False, **env: str) -> Settings:
    return from_environment(env, {}, on_terminal=on_terminal)


def told(env: dict[str, str], *, on_terminal: bool = False) -> Settings | BadSetting:
    """The settings of an environment, or what there is to complain about, as a value."""
    try:
        return from_environment(env, {}, on_terminal=on_terminal)
    except BadSetting as bad:
        return bad


def complaints(**env: str) -> tuple[str, ...]:
    with pytest.raises(BadSetting) as caught:
        from_environment(env, {})
    return caught.value.complaints


def complaint(**env: str) -> str:
    (line,) = complaints(**env)
    return line


# --- defaults ---------------------------------------------------------------------------------------------------


def test_without_any_setting_the_server_listens_on_loopback_alone_and_keeps_its_log_in_sqlite() -> None:
    defaults = settings()
    assert defaults.bind == (Bind("127.0.0.1", 8000),)
    assert defaults.store == StoreAddress(Path("callboard.db"))
    assert defaults.auth is Auth.NONE
    assert defaults.users is None


def test_the_numbers_of_the_contract_are_the_defaults() -> None:
    defaults = settings()
    assert (defaults.max_connections, defaults.max_frame_bytes, defaults.outlet_bytes) == (0, 16 * 2**20, 2**20)
    assert (defaults.rate_limit, defaults.rate_burst, defaults.mailbox) == (200, 400, 256)
    assert (defaults.write_deadline, defaults.session_max_age, defaults.passivate_after) == (10, 3600, 300)
    assert (defaults.response_timeout, defaults.delta_interval, defaults.graceful_timeout) == (30, 0.05, 5)
    assert defaults.cors_origins == ("http://localhost:3000", "http://127.0.0.1:3000")


def test_the_seeds_own_names_have_the_seeds_defaults() -> None:
    defaults = settings()
    assert defaults.obfuscated_ws_path == "ws-default"
    assert (defaults.websocket_uri, defaults.websocket_channel) == (None, "weather-update")
    assert (defaults.openai_api_key, defaults.openai_base_url, defaults.retell_api_key) == (None, None, None)


def test_silence_is_borne_longer_from_channels_clients_unless_the_setting_says_otherwise() -> None:
    assert settings().silence_limit_of("conversations") == 90
    assert settings().silence_limit_of("channels") == 120
    assert settings(CALLBOARD_SILENCE_LIMIT="45").silence_limit_of("channels") == 45
    assert settings(CALLBOARD_SILENCE_LIMIT="45").silence_limit_of("streams") == 45


def test_test_endpoints_are_on_only_where_nobody_else_can_reach_them() -> None:
    assert settings().test_endpoints
    assert not settings(CALLBOARD_AUTH="jwt", CALLBOARD_JWT_SECRET=LONG_SECRET).test_endpoints
    assert not settings(CALLBOARD_BIND="0.0.0.0:80", CALLBOARD_INSECURE="yes").test_endpoints


def test_test_endpoints_can_be_switched_on_and_off() -> None:
    exposed = settings(CALLBOARD_BIND="0.0.0.0:80", CALLBOARD_INSECURE="yes", CALLBOARD_TEST_ENDPOINTS="on")
    assert exposed.test_endpoints
    assert not settings(CALLBOARD_TEST_ENDPOINTS="off").test_endpoints


def test_the_embedded_twins_stand_in_for_what_is_not_configured() -> None:
    defaults = settings()
    assert defaults.forecast is ForecastSource.SCRIPTED
    assert defaults.transcriber is TranscriberKind.POCKETSPHINX
    assert defaults.carrier is CarrierKind.EMBEDDED


def test_what_is_configured_is_used() -> None:
    configured = settings(OPENAI_API_KEY="sk-1", SHIPVOX_API_URL="https://carrier.example/api")
    assert configured.forecast is ForecastSource.OPEN_METEO
    assert configured.transcriber is TranscriberKind.OPENAI
    assert configured.carrier is CarrierKind.HTTP


def test_a_choice_that_is_written_wins_over_what_is_configured() -> None:
    chosen = settings(OPENAI_API_KEY="sk-1", CALLBOARD_FORECAST="scripted", CALLBOARD_TRANSCRIBER="pocketsphinx")
    assert chosen.forecast is ForecastSource.SCRIPTED
    assert chosen.transcriber is TranscriberKind.POCKETSPHINX


def test_the_log_is_for_people_on_a_terminal_and_for_programs_elsewhere() -> None:
    assert settings(on_terminal=True).log_format is LogFormat.CONSOLE
    assert settings(on_terminal=False).log_format is LogFormat.JSON
    assert settings(on_terminal=True, CALLBOARD_LOG_FORMAT="json").log_format is LogFormat.JSON


# --- where a value comes from -----------------------------------------------------------------------------------


def test_a_flag_wins_over_the_variable_and_the_variable_over_the_default() -> None:
    env = {"CALLBOARD_MAILBOX": "10", "CALLBOARD_RATE_BURST": "11"}
    both = from_environment(env, {"mailbox": "20", "rate_burst": None})
    assert (both.mailbox, both.rate_burst, both.max_connections) == (20, 11, 0)


def test_an_empty_variable_counts_as_not_set() -> None:
    empty = settings(OPENAI_API_KEY="", CALLBOARD_MAILBOX=" ", SHIPVOX_API_URL="")
    assert (empty.openai_api_key, empty.mailbox, empty.shipvox_api_url) == (None, 256, None)


def test_several_addresses_are_separated_by_commas() -> None:
    assert settings(CALLBOARD_BIND="127.0.0.1:8000, [::1]:4000").bind == (Bind("127.0.0.1", 8000), Bind("::1", 4000))


def test_host_and_port_name_the_address_where_bind_is_not_set() -> None:
    assert settings(HOST="localhost", PORT="4000").bind == (Bind("localhost", 4000),)
    assert settings(PORT="4000").bind == (Bind("127.0.0.1", 4000),)
    assert settings(PORT="4000", CALLBOARD_BIND="127.0.0.1:5000").bind == (Bind("127.0.0.1", 5000),)


def test_the_port_flag_wins_over_the_bind_variable_but_not_over_the_bind_flag() -> None:
    env = {"CALLBOARD_BIND": "127.0.0.1:5000"}
    assert from_environment(env, {"port": "6000"}).bind == (Bind("127.0.0.1", 6000),)
    assert from_environment(env, {"port": "6000", "bind": "127.0.0.1:7000"}).bind == (Bind("127.0.0.1", 7000),)


def test_variables_of_others_are_left_alone() -> None:
    assert (
        settings(PATH="/bin", CALLBOARD_SERVICE_HOST="10.0.0.1", CALLBOARD_PORT_80_TCP="tcp://10.0.0.1:80")
        == settings()
    )


def test_a_misspelt_variable_is_not_silently_ignored() -> None:
    line = complaint(CALLBOARD_MAX_CONECTIONS="5")
    assert line == "CALLBOARD_MAX_CONECTIONS: there is no such setting; write CALLBOARD_MAX_CONNECTIONS"


# --- how values are written -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("1048576", 2**20), ("64KiB", 2**16), ("16 MiB", 2**24), ("16mib", 2**24), ("1 GiB", 2**30), ("9 B", 9)],
)
def test_sizes_are_bytes_or_have_a_unit(text: str, size: int) -> None:
    assert settings(CALLBOARD_OUTLET_BYTES=text).outlet_bytes == size


@pytest.mark.parametrize("text", ["0", "-1", "16 MB", "1.5 MiB", "many", "0 KiB", "MiB", "²KiB"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    assert complaint(CALLBOARD_OUTLET_BYTES=text) == (
        f"CALLBOARD_OUTLET_BYTES: {text!r} is not a size;"
        " write bytes above 0, or with KiB, MiB or GiB, for instance 16 MiB"
    )


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e999", "5s", "five"])
def test_what_is_no_duration_above_zero_is_refused(text: str) -> None:
    line = complaint(CALLBOARD_WRITE_DEADLINE=text)
    assert line == f"CALLBOARD_WRITE_DEADLINE: {text!r} is not a duration; write seconds above 0, for instance 2.5"


def test_pieces_of_an_answer_may_follow_each_other_without_a_pause() -> None:
    assert settings(CALLBOARD_DELTA_INTERVAL="0").delta_interval == 0
    assert complaint(CALLBOARD_DELTA_INTERVAL="-0.1").startswith("CALLBOARD_DELTA_INTERVAL: ")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "lots"])
def test_a_rate_is_above_zero(text: str) -> None:
    assert (
        complaint(CALLBOARD_RATE_LIMIT=text) == f"CALLBOARD_RATE_LIMIT: {text!r} is not a rate; write a number above 0"
    )


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "1_0", "all"])
def test_a_mailbox_holds_at_least_one_command(text: str) -> None:
    assert complaint(CALLBOARD_MAILBOX=text) == f"CALLBOARD_MAILBOX: {text!r} is not a whole number; write 1 or more"


def test_zero_connections_stand_for_no_limit_and_fewer_are_refused() -> None:
    assert settings(CALLBOARD_MAX_CONNECTIONS="0").max_connections == 0
    assert complaint(CALLBOARD_MAX_CONNECTIONS="-1").endswith("write 0 for no limit, or more")


@pytest.mark.parametrize("text", ["yes", "on", "true", "1", "YES", " On "])
def test_yes_can_be_written_in_the_usual_ways(text: str) -> None:
    assert settings(CALLBOARD_INSECURE=text).insecure


@pytest.mark.parametrize("text", ["no", "off", "false", "0", "NO"])
def test_no_can_be_written_in_the_usual_ways(text: str) -> None:
    assert not settings(CALLBOARD_INSECURE=text).insecure


def test_neither_yes_nor_no_is_refused() -> None:
    assert complaint(CALLBOARD_INSECURE="maybe").startswith("CALLBOARD_INSECURE: 'maybe' is not a yes or no; write yes")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:0", "127.0.0.1", 0), ("localhost:65535", "localhost", 65535), ("[::1]:80", "::1", 80)],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    assert settings(CALLBOARD_BIND=text).bind == (Bind(host, port),)


@pytest.mark.parametrize("text", ["8000", ":8000", "a b:80", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http", ","])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert complaint(CALLBOARD_BIND=text).startswith("CALLBOARD_BIND: ")


def test_an_address_written_twice_is_refused() -> None:
    line = complaint(CALLBOARD_BIND="127.0.0.1:80,127.0.0.1:80")
    assert line == "CALLBOARD_BIND: 127.0.0.1:80 is there twice; write each address once"


@pytest.mark.parametrize(
    ("text", "path"),
    [("sqlite:///a.db", Path("a.db")), ("sqlite:////var/lib/a.db", Path("/var/lib/a.db")), ("memory:", None)],
)
def test_the_store_is_a_file_or_memory(text: str, path: Path | None) -> None:
    assert settings(CALLBOARD_STORE=text).store == StoreAddress(path)


@pytest.mark.parametrize(
    "text", ["callboard.db", "sqlite://a.db", "sqlite:///", "sqlite:///a/", "memory:x", "mysql://a/b"]
)
def test_what_is_no_store_is_refused(text: str) -> None:
    assert complaint(CALLBOARD_STORE=text).startswith("CALLBOARD_STORE: not a store; write sqlite:///callboard.db")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_is_named_as_not_built_yet_without_showing_its_password(scheme: str) -> None:
    line = complaint(CALLBOARD_STORE=f"{scheme}://me:{LONG_SECRET}@db/callboard")
    assert "PostgreSQL is not built yet" in line
    assert LONG_SECRET not in line


def test_the_users_file_may_lie_in_the_home_directory() -> None:
    assert settings(CALLBOARD_USERS="users.json").users == Path("users.json")
    assert settings(CALLBOARD_USERS="~/users.json").users == Path.home() / "users.json"


@pytest.mark.parametrize("text", ["https://a.example", "http://localhost:3000", "http://[::1]:3000"])
def test_origins_are_written_as_browsers_send_them(text: str) -> None:
    assert settings(CALLBOARD_CORS_ORIGINS=text).cors_origins == (text,)


@pytest.mark.parametrize(
    "text", ["*", "https://a.example/", "a.example", "https://", "https://me@a", "ftp://a", "http://a:x"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    assert complaint(CALLBOARD_CORS_ORIGINS=text).startswith(
        f"CALLBOARD_CORS_ORIGINS: {text!r} is not an origin; write "
    )


def test_no_origin_at_all_is_written_none() -> None:
    assert settings(CALLBOARD_CORS_ORIGINS="none").cors_origins == ()


@pytest.mark.parametrize("env", ["OPENAI_BASE_URL", "SHIPVOX_API_URL", "WEBSOCKET_URI"])
@pytest.mark.parametrize(
    "text", ["hidden.example", "ftp://hidden", "http:///hidden", "ws://a hidden", "http://a:hidden"]
)
def test_an_unusable_address_is_refused_without_showing_it(env: str, text: str) -> None:
    line = complaint(**{env: text})
    assert line.startswith(f"{env}: not an address; write ")
    assert "hidden" not in line


def test_an_unknown_choice_is_refused_with_the_known_ones() -> None:
    assert complaint(CALLBOARD_LOG_FORMAT="xml") == "CALLBOARD_LOG_FORMAT: 'xml' is not known; write console or json"


# --- the obfuscated path ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["ws-4f1c", "/ws-4f1c/", "calls/4f1c"])
def test_the_obfuscated_path_is_taken_without_the_slashes_around_it(text: str) -> None:
    assert settings(OBFUSCATED_WS_PATH=text).obfuscated_ws_path == text.strip("/")


@pytest.mark.parametrize("segment", sorted(TAKEN_SEGMENTS))
def test_the_obfuscated_path_may_not_begin_with_a_taken_segment(segment: str) -> None:
    assert complaint(OBFUSCATED_WS_PATH=f"/{segment}/x") == (
        f"OBFUSCATED_WS_PATH: /{segment} is one of this server's own paths; write another first segment"
    )


def test_the_segments_the_contract_names_are_taken() -> None:
    assert {"ws", "api", "token", "test-token", "console", "webhook", "health"} <= TAKEN_SEGMENTS


@pytest.mark.parametrize("text", ["/", "a//b", "a b", "ä", "..", "a/../b", "{id}", "<id>", "a?b", "a%2Fb"])
def test_an_obfuscated_path_that_routes_could_misread_is_refused(text: str) -> None:
    assert complaint(OBFUSCATED_WS_PATH=text).startswith(f"OBFUSCATED_WS_PATH: {text!r} is not a path; write ")


# --- auth -------------------------------------------------------------------------------------------------------


def test_jwt_needs_a_secret() -> None:
    assert complaint(CALLBOARD_AUTH="jwt").startswith("CALLBOARD_JWT_SECRET: CALLBOARD_AUTH=jwt needs one; write ")


def test_a_secret_too_short_for_the_signature_is_refused_without_showing_it() -> None:
    line = complaint(CALLBOARD_AUTH="jwt", CALLBOARD_JWT_SECRET="opensesame")
    assert line.startswith("CALLBOARD_JWT_SECRET: 10 bytes are too few for HS256; write at least 32")
    assert "opensesame" not in line


@pytest.mark.parametrize(
    "bind", ["0.0.0.0:8000", "[::]:8000", "10.0.0.1:80", "callboard.example:80", "127.0.0.1:1,[::]:1"]
)
def test_without_auth_only_loopback_is_listened_on(bind: str) -> None:
    line = complaint(CALLBOARD_BIND=bind)
    assert line.startswith("CALLBOARD_AUTH: none is for loopback addresses alone, not for ")
    assert bind.split(",")[-1] in line


def test_the_seeds_host_variable_does_not_open_the_server_to_the_world_by_itself() -> None:
    assert "0.0.0.0:8000" in complaint(HOST="0.0.0.0", PORT="8000")


@pytest.mark.parametrize("bind", ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost:1", "LOCALHOST:1"])
def test_every_loopback_address_may_go_without_auth(bind: str) -> None:
    assert settings(CALLBOARD_BIND=bind).auth is Auth.NONE


def test_auth_or_saying_so_opens_other_addresses() -> None:
    by_auth = settings(CALLBOARD_BIND="0.0.0.0:80", CALLBOARD_AUTH="jwt", CALLBOARD_JWT_SECRET=LONG_SECRET)
    by_word = settings(CALLBOARD_BIND="0.0.0.0:80", CALLBOARD_INSECURE="yes")
    assert by_auth.bind == by_word.bind == (Bind("0.0.0.0", 80),)


def test_a_choice_without_what_it_needs_is_refused() -> None:
    needy = complaints(CALLBOARD_TRANSCRIBER="openai", CALLBOARD_CARRIER="http")
    assert [line.partition(":")[0] for line in needy] == ["CALLBOARD_TRANSCRIBER", "CALLBOARD_CARRIER"]


# --- complaints -------------------------------------------------------------------------------------------------


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(BadSetting) as caught:
        from_environment({"PORT": "x", "CALLBOARD_MAILBOX": "0", "CALLBOARD_AUTH": "jwt"}, {"store": "oracle:"})
    named = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert named == ["PORT", "--store", "CALLBOARD_MAILBOX", "CALLBOARD_JWT_SECRET"]


def test_a_refused_value_is_not_complained_about_a_second_time_for_what_its_default_would_contradict() -> None:
    (line,) = complaints(CALLBOARD_AUTH="jtw", CALLBOARD_BIND="0.0.0.0:80")
    assert line == "CALLBOARD_AUTH: 'jtw' is not known; write none or jwt"


def test_a_secret_shows_only_to_those_who_ask_for_it() -> None:
    with_secrets = settings(CALLBOARD_JWT_SECRET=LONG_SECRET, OPENAI_API_KEY="sk-hidden", RETELL_API_KEY="key-hidden")
    shown = f"{with_secrets!r} {with_secrets} {with_secrets.openai_api_key} {with_secrets.retell_api_key!r}"
    assert LONG_SECRET not in shown
    assert "hidden" not in shown
    assert with_secrets.openai_api_key == Secret("sk-hidden")
    assert with_secrets.jwt_secret is not None
    assert with_secrets.jwt_secret.reveal() == LONG_SECRET


# --- the table --------------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_every_attribute_of_the_settings() -> None:
    named = {setting.name for setting in SETTINGS} - {"host", "port"}  # these two end up in `bind`
    assert named == {field.name for field in dataclasses.fields(Settings)}


def test_every_row_is_known_by_one_name_everywhere() -> None:
    flags = {setting.env: setting.flag for setting in SETTINGS}
    assert len(set(flags.values())) == len(SETTINGS)
    assert flags["CALLBOARD_MAX_CONNECTIONS"] == "--max-connections"
    assert flags["OBFUSCATED_WS_PATH"] == "--obfuscated-ws-path"


def test_every_row_says_in_one_line_what_it_is_and_what_holds_by_default() -> None:
    for setting in SETTINGS:
        assert setting.help.rstrip().endswith(".")
        assert len(setting.help.splitlines()) == 1
        assert setting.shown


def test_settings_are_values() -> None:
    assert settings() == settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings().mailbox = 1  # type: ignore[misc]  # the very thing that is not allowed


# --- for any text -----------------------------------------------------------------------------------------------

ENVS = [setting.env for setting in SETTINGS]
SENSIBLE = st.sampled_from(
    [
        "1",
        "0",
        "yes",
        "none",
        "jwt",
        "0.0.0.0:80",
        "sqlite:///x",
        "memory:",
        "http://a",
        "ws://a",
        "json",
        "openai",
        "http",
    ]
)


@given(st.dictionaries(st.sampled_from(ENVS), st.text() | SENSIBLE), st.booleans())
def test_any_environment_gives_settings_or_one_line_for_each_complaint(env: dict[str, str], on_terminal: bool) -> None:
    match told(env, on_terminal=on_terminal):
        case BadSetting() as bad:
            named = [line.partition(":")[0] for line in str(bad).splitlines()]
            assert named
            assert len(named) == len(set(named)) == len(bad.complaints)
            assert set(named) <= set(ENVS)
        case Settings() as usable:
            assert usable.bind


@given(
    st.sampled_from(["CALLBOARD_JWT_SECRET", "OPENAI_API_KEY", "RETELL_API_KEY", "OPENAI_BASE_URL", "CALLBOARD_STORE"]),
    st.text(min_size=1),
)
def test_no_complaint_shows_what_could_be_a_secret(env: str, rest: str) -> None:
    assert "tell-nobody" not in f"{told({env: f'tell-nobody{rest}'})}"


@given(st.integers(1, 10**6), st.sampled_from([("", 1), (" B", 1), ("KiB", 2**10), (" MiB", 2**20), ("gib", 2**30)]))
def test_a_size_is_its_number_times_its_unit(number: int, unit: tuple[str, int]) -> None:
    assert parse_size(f"{number}{unit[0]}") == number * unit[1]


@given(st.ip_addresses(), st.integers(0, 2**16 - 1))
def test_an_address_reads_back_as_it_is_shown(address: object, port: int) -> None:
    bind = Bind(str(address), port)
    assert parse_bind(str(bind)) == bind


@given(st.none() | st.from_regex(r"(/[a-z.]+)?[a-z]{1,9}\.db", fullmatch=True))
def test_a_store_reads_back_as_it_is_shown(path: str | None) -> None:
    store = StoreAddress(None if path is None else Path(path))
    assert parse_store(str(store)) == store


def test_a_certificate_without_its_key_is_refused_naming_what_is_missing() -> None:
    assert "CALLBOARD_TLS_KEY" in complaint(CALLBOARD_TLS_CERT="cert.pem")
    assert "CALLBOARD_TLS_CERT" in complaint(CALLBOARD_TLS_KEY="key.pem")
