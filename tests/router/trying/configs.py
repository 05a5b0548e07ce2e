"""Configurations to try rules with; what a test does not say has a plain value."""

from collections.abc import Mapping
from pathlib import Path

from router.config import Config, load

ENVIRONMENT = {
    "GREENHOUSE_SECRET": "s3cr3t",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x",
    "SLACK_TOKEN": "xoxb-1-2-abc",
}
HEAD = """
redis: {{{server}}}
sources:
  greenhouse: {{vendor: greenhouse, secret: "${{GREENHOUSE_SECRET}}"}}
sinks:
  recruiters: {{type: slack, webhook_url: "${{SLACK_WEBHOOK_URL}}"}}
  my-service: {{type: http, url: "https://example.com/hook"}}
"""
ROUTES = """
routes:
  - name: all about applications
    when: {event: [ApplicationCreated, StageChanged, OutcomeChanged]}
    send_to: my-service
  - name: interviews
    when: {event: StageChanged, stage_kind: INTERVIEW, department: Engineering}
    send_to: recruiters
  - name: asleep
    enabled: false
    send_to: recruiters
"""


def text_of(rest: str = ROUTES, server: str = "data_dir: ./data", changes: Mapping[str, str] | None = None) -> str:
    """A configuration; each of ``changes`` stands in it exactly once."""
    text = HEAD.format(server=server) + rest
    for old, new in (changes or {}).items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def configured(folder: Path, rest: str = ROUTES, changes: Mapping[str, str] | None = None) -> Config:
    file = folder / "config.yaml"
    file.write_text(text_of(rest, changes=changes))
    return load(file, ENVIRONMENT)
