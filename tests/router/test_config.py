"""The configuration: what it becomes, and what a person is told who got it wrong."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.conditions import IsOneOf
from router.config import Config, ConfigErrors, check, load
from sinks.http import HttpSettings
from tests.config.test_editor import marked

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
BAD_CONFIGS = Path(__file__).parents[1] / "config" / "bad"
SIGNING_SECRET = "whsec_" + "a" * 43 + "="
ENVIRONMENT = {
    "GREENHOUSE_SECRET": "gh-secret-1",
    "MY_SERVICE_URL": "https://example.com/hook",
    "MY_SERVICE_SECRET": SIGNING_SECRET,
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x",
    "SLACK_TOKEN": "xoxb-1-1",
    "HRIS_DATABASE_URL": "sqlite:///hris_staging.db",
    "EMPTY": "",
}
SINKS_AND_ROUTES = """
sinks:
  my-service: {type: http, url: "${MY_SERVICE_URL}"}
routes:
  - send_to: my-service
"""
SOURCES = """
sources:
  greenhouse: {vendor: greenhouse, secret: "${GREENHOUSE_SECRET}"}
"""


def loaded(tmp_path: Path, text: str | bytes, environment: Mapping[str, str] = ENVIRONMENT) -> Config:
    file = tmp_path / "config.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    config = load(file, environment)
    assert isinstance(text, bytes) or marked(text) == []
    return config


def told(tmp_path: Path, text: str | bytes, environment: Mapping[str, str] = ENVIRONMENT) -> str:
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, text, environment)
    return str(caught.value)


class TestExample:
    def test_is_a_good_configuration(self) -> None:
        config = load(EXAMPLE, ENVIRONMENT)
        assert config.server.port == 8080
        assert config.server.max_body == 1024**2
        assert config.redis.url is None
        assert config.redis.data_dir == EXAMPLE.parent / "data"
        assert config.redis.max_memory == 10**9
        assert config.sources["greenhouse"].secrets == (b"gh-secret-1",)
        assert config.sinks["my-service"].retry.tries == 12
        assert [route.name for route in config.rules.routes] == [
            "all about applications",
            "engineering onsites",
            "hires",
        ]
        assert config.retention.events == 30 * 86400
        assert config.retention.applications == 365 * 86400

    def test_shows_the_defaults(self, tmp_path: Path) -> None:
        written, without = load(EXAMPLE, ENVIRONMENT), loaded(tmp_path, SOURCES + SINKS_AND_ROUTES)
        assert written.server == without.server
        assert written.retention == without.retention
        assert written.redis.max_memory == without.redis.max_memory
        assert written.redis.data_dir.name == without.redis.data_dir.name
        assert written.sinks["my-service"].retry == without.sinks["my-service"].retry
        assert written.sinks["my-service"].timeout == without.sinks["my-service"].timeout
        assert written.sinks["my-service"].concurrency == without.sinks["my-service"].concurrency


@pytest.mark.parametrize("file", sorted(BAD_CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_report_of_a_bad_configuration(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD_CONFIGS)
    checked = check(file.name, ENVIRONMENT)
    report = "".join(f"{problem}\n" for problem in checked.problems)
    assert report == file.with_suffix(".txt").read_text(encoding="utf-8")
    assert "hunter2" not in report + str([problem.as_json for problem in checked.problems])
    assert (checked.config is None) is bool(checked.errors)


def test_every_error_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD_CONFIGS)
    with pytest.raises(ConfigErrors) as caught:
        load("unknown_sink_in_route.yaml", ENVIRONMENT)
    first, second = caught.value.errors
    assert (first.file, first.line, first.column) == ("unknown_sink_in_route.yaml", 10, 14)
    assert first.sentence == 'there is no sink "my-servcie"; did you mean "my-service"?'
    assert (first.excerpt, first.caret) == ("- send_to: my-servcie", 11)
    assert (second.line, second.column) == (11, 27)


class TestReferences:
    def test_several_secrets_for_rotation(self, tmp_path: Path) -> None:
        text = SOURCES.replace('"${GREENHOUSE_SECRET}"', '["${NEW}", "${OLD}"]') + SINKS_AND_ROUTES
        config = loaded(tmp_path, text, ENVIRONMENT | {"NEW": "n", "OLD": "o"})
        assert config.sources["greenhouse"].secrets == (b"n", b"o")

    def test_file_beside_the_configuration(self, tmp_path: Path) -> None:
        (tmp_path / "gh.txt").write_text("from-a-file \r\n\n")
        config = loaded(tmp_path, SOURCES.replace('"${GREENHOUSE_SECRET}"', "{file: gh.txt}") + SINKS_AND_ROUTES)
        assert config.sources["greenhouse"].secrets == (b"from-a-file ",)

    @pytest.mark.parametrize(
        ("content", "problem"),
        [(b"\n", "is empty"), (b"\xff", "is not UTF-8"), (b"x" * 70_000, "is larger than 64 KiB")],
    )
    def test_file_that_holds_no_secret(self, tmp_path: Path, content: bytes, problem: str) -> None:
        (tmp_path / "gh.txt").write_bytes(content)
        report = told(tmp_path, SOURCES.replace('"${GREENHOUSE_SECRET}"', "{file: gh.txt}") + SINKS_AND_ROUTES)
        assert f'the file "gh.txt" {problem}' in report

    def test_within_a_text(self, tmp_path: Path) -> None:
        sink = (
            'sinks: {my-service: {type: http, url: "https://${HOST}/x", headers: {Authorization: "Bearer ${TOKEN}"}}}\n'
        )
        text = SOURCES + sink + "routes: [{send_to: my-service}]"
        settings = loaded(tmp_path, text, ENVIRONMENT | {"HOST": "example.com", "TOKEN": "t0k3n"}).sinks["my-service"]
        assert isinstance(settings, HttpSettings)
        assert settings.url.get_secret_value() == "https://example.com/x"
        assert settings.headers["Authorization"].get_secret_value() == "Bearer t0k3n"

    def test_password_in_a_redis_url(self, tmp_path: Path) -> None:
        redis = 'redis: {url: "redis://:${PASSWORD}@redis:6379/0"}'
        config = loaded(tmp_path, redis + SOURCES + SINKS_AND_ROUTES, ENVIRONMENT | {"PASSWORD": "hunter2"})
        assert config.redis.url is not None
        assert config.redis.url.get_secret_value() == "redis://:hunter2@redis:6379/0"
        assert "hunter2" not in repr(config)

    def test_values_never_stand_in_a_report(self, tmp_path: Path) -> None:
        text = """
            redis: {url: "${SECRET_VALUE}", data_dir: {file: gh.txt}, max_memory: "${SECRET_VALUE}"}
            server: {port: "${SECRET_VALUE}", host: ["${SECRET_VALUE}"], max_body: "${SECRET_VALUE}"}
            sources: {"greenhouse": {vendor: "${SECRET_VALUE}", secret: "${SECRET_VALUE}"}}
            sinks: {my-service: {type: http, url: "${SECRET_VALUE}", secret: "${SECRET_VALUE}", timeout: {file: gh.txt},
                                 headers: {"A": "${SECRET_VALUE}\\n"}, retry: "${SECRET_VALUE}"}}
            routes: [{send_to: "${SECRET_VALUE}", when: {event: "${SECRET_VALUE}", test: "x ${SECRET_VALUE}"}},
                     {send_to: my-service, when: {source: ["${SECRET_VALUE}"], sequence: "${SECRET_VALUE}"}},
                     {send_to: my-service, name: "${SECRET_VALUE}"}, {send_to: my-service, name: "${SECRET_VALUE}"}]
            retention: "${SECRET_VALUE}"
        """
        (tmp_path / "gh.txt").write_text("hunter2")
        report = told(tmp_path, text, {"SECRET_VALUE": "hunter2"})
        assert len(report.splitlines()) > 40
        assert "hunter2" not in report


def test_secrets_never_print(tmp_path: Path) -> None:
    redis = 'redis: {url: "redis://user:${PASSWORD}@redis:6379/0"}'
    config = loaded(tmp_path, redis + EXAMPLE.read_text().replace("\nredis:\n", "\n#").replace("\n  data_dir", "\n#")
                    .replace("\n  max_memory", "\n#"), ENVIRONMENT | {"PASSWORD": "hunter2"})  # fmt: skip
    written = (
        f"{config!r} {config} {config.model_dump()!r} {config.model_dump_json()} {config.sources} {config.sinks!r}"
    )
    for secret in ("gh-secret-1", SIGNING_SECRET, "hunter2"):
        assert secret not in written


class TestWhatYamlWouldChange:
    """Words, numbers and dates that YAML reads in its own way stay what was written."""

    def condition(self, tmp_path: Path, written: str) -> tuple[object, ...]:
        routes = f"routes:\n  - when: {{job.custom_fields.x: {written}}}\n    send_to: my-service\n"
        sink = SINKS_AND_ROUTES.partition("routes:")[0]
        [test] = loaded(tmp_path, SOURCES + sink + routes).rules.routes[0].tests
        assert isinstance(test, IsOneOf)
        return test.wanted

    @pytest.mark.parametrize("text", ["no", "on", "Y", "0012", "1_000", "0x10", "12:30", "2024-01-31", "1.10", "1e3"])
    def test_stays_text(self, tmp_path: Path, text: str) -> None:
        assert self.condition(tmp_path, text) == (text,)

    @pytest.mark.parametrize(("text", "value"), [("12", 12), ("-1.5", -1.5), ("True", True), ("'12'", "12")])
    def test_is_the_same_either_way(self, tmp_path: Path, text: str, value: object) -> None:
        assert self.condition(tmp_path, text) == (value,)

    @pytest.mark.parametrize(("text", "value"), [("yes", True), ("no", False), ("off", False), ("true", True)])
    def test_yes_and_no_where_true_or_false_is_meant(self, tmp_path: Path, text: str, value: bool) -> None:
        config = loaded(tmp_path, SOURCES.replace("vendor:", f"enabled: {text}, vendor:") + SINKS_AND_ROUTES)
        assert config.sources["greenhouse"].enabled is value


class TestText:
    def test_aliases_repeat_what_was_named(self, tmp_path: Path) -> None:
        routes = "routes:\n  - {name: a, when: &hired {event: OutcomeChanged}, send_to: &to [my-service]}\n"
        routes += "  - {name: b, when: *hired, send_to: *to}\n"
        config = loaded(tmp_path, SOURCES + SINKS_AND_ROUTES.partition("routes:")[0] + routes)
        assert config.rules.routes[1].tests == config.rules.routes[0].tests

    def test_byte_order_mark_and_windows_line_ends(self, tmp_path: Path) -> None:
        text = (SOURCES + SINKS_AND_ROUTES).replace("\n", "\r\n")
        assert loaded(tmp_path, b"\xef\xbb\xbf" + text.encode()).sources.keys() == {"greenhouse"}

    @pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 50_000, "? " * 50_000])
    def test_deep_nesting(self, tmp_path: Path, text: str) -> None:
        assert "nested more than 32 levels deep" in told(tmp_path, text)

    def test_long_chains_of_aliases(self, tmp_path: Path) -> None:
        chain = "".join(f"a{i + 1}: &a{i + 1} {'[' * 30}*a{i}{']' * 30}\n" for i in range(100))
        assert "aliases (*name) repeat more" in told(tmp_path, "a0: &a0 x\n" + chain)

    def test_a_line_that_is_too_long_is_cut_around_the_fault(self, tmp_path: Path) -> None:
        report = told(tmp_path, f"server: {{host: {'x' * 5000}, port: none}}{' ' * 3000}# hunter2")
        line, caret = report.splitlines()[-2:]
        assert len(line) < 120
        assert line[len(caret) - 1 :].startswith("none")


class TestFile:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigErrors, match="can't read the configuration: no such file or directory"):
            load(tmp_path / "config.yaml")

    def test_directory(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigErrors, match="there is no file in this folder whose name ends in"):
            load(tmp_path)

    def test_impossible_name(self) -> None:
        with pytest.raises(ConfigErrors, match="this can't be a file's name"):
            load("a\0b")

    def test_too_large(self, tmp_path: Path) -> None:
        assert "larger than 4 MiB" in told(tmp_path, b"#" * (4 * 1024**2 + 1))

    def test_a_name_may_not_stand_twice_among_routes_without_one(self, tmp_path: Path) -> None:
        routes = (
            '  - {name: everything to my-service, when: {event: "*"}, send_to: my-service}\n  - send_to: my-service\n'
        )
        written = SOURCES + SINKS_AND_ROUTES + routes
        names = [route.name for route in loaded(tmp_path, written).rules.routes]
        assert names == [
            "everything to my-service (2)",
            "everything to my-service",
            "everything to my-service (3)",
        ]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "config.yaml"


def loads_or_tells(file: Path, raw: bytes) -> None:
    """Anything but a configuration or an error with a report fails the test by itself."""
    file.write_bytes(raw)
    with suppress(ConfigErrors):
        load(file, ENVIRONMENT)


@settings(deadline=None)
@given(raw=st.binary(max_size=200))
def test_any_bytes(file: Path, raw: bytes) -> None:
    loads_or_tells(file, raw)


YAML_WORDS = st.one_of(
    st.sampled_from("[]{}>|'\"#%@\t\\~1é\n"),
    st.sampled_from(["sources", "sinks", "routes", "when", "null", "yes", "file", "${EMPTY}", "${"]),
    st.sampled_from([": ", "\n  ", "- ", "&a ", "*a", "!x ", "<<", "? ", ", ", "---\n"]),
)


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=200), st.lists(YAML_WORDS, max_size=40).map("".join)))
def test_any_text(file: Path, text: str) -> None:
    loads_or_tells(file, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_mutation_of_the_example(file: Path, data: st.DataObject) -> None:
    lines = [line for line in EXAMPLE.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        end = min(len(text), at + data.draw(st.integers(0, 8)))
        text = text[:at] + data.draw(YAML_WORDS) + text[end:]
    loads_or_tells(file, text.encode())


def test_the_environment_is_the_one_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENHOUSE_SECRET", "from-outside")
    monkeypatch.setenv("MY_SERVICE_URL", "https://example.com/hook")
    config = loaded(tmp_path, SOURCES + SINKS_AND_ROUTES, os.environ)
    assert config.sources["greenhouse"].secrets == (b"from-outside",)
