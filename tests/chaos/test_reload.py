"""A changed configuration goes live in running processes: nothing is lost, nothing comes twice, nothing restarts.

Real processes, real HTTP, as in `test_chaos`. ``rig.vendor`` moves applications on all the while.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.connection import Servers
from router.embedded import EmbeddedServer
from router.ledger import Ledger
from router.ledger_keys import deliveries_index
from router.records import DeliveryState, ListedDelivery
from tests.chaos.harness import PROMISED_SECONDS, SINK, Endpoint, Program, Rig, Step, eventually, make_rig

IN_USE = "the changed configuration is in use"
NOT_IN_USE = "the changed configuration is not in use"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with make_rig() as rig:
        yield rig


@pytest.fixture
async def second() -> AsyncIterator[Endpoint]:
    async with Endpoint() as endpoint:
        yield endpoint


def write(rig: Rig, text: str) -> None:
    """As an editor does it: a new file in the place of the old one."""
    new = rig.config.with_suffix(".new")
    new.write_text(text)
    new.replace(rig.config)


def with_second(text: str, second: Endpoint, name: str = "second") -> str:
    """With one more sink that gets everything."""
    text = text.replace("sinks:\n", f"sinks:\n  {name}: {{type: http, url: '{second.url}'}}\n")
    return f"{text}  - {{name: to {name}, send_to: {name}}}\n"


def ask(rig: Rig, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "router.cli", *words, "--config", str(rig.config)]
    environment = {**rig.environment, "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def asked_json(rig: Rig, *words: str) -> Any:
    answer = ask(rig, *words, "--json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


async def up(rig: Rig) -> Program:
    program = rig.start("up")
    await rig.ready()
    await eventually(lambda: program.said("working"))
    return program


async def came(endpoint: Endpoint, count: int) -> None:
    wanted = len(endpoint.arrivals) + count
    await eventually(lambda: len(endpoint.arrivals) >= wanted)


def steps(endpoint: Endpoint) -> list[Step]:
    return [arrival.step for arrival in endpoint.arrivals]


def check_no_double(endpoint: Endpoint) -> None:
    assert [key for key, count in Counter(arrival.key for arrival in endpoint.arrivals).items() if count > 1] == []


async def test_a_route_that_changes_while_webhooks_flow_loses_and_doubles_nothing(rig: Rig, second: Endpoint) -> None:
    program = await up(rig)
    async with rig.vendor.busy(applications=20, pause=0.1):
        await came(rig.endpoint, 100)
        write(rig, with_second(rig.config.read_text(), second))
        await eventually(lambda: len(program.said(IN_USE)) == 2)  # the receiver's and the worker's
        acknowledged = set(rig.vendor.acknowledged)
        await came(second, 100)
    figures = await rig.check("a sink and a route added under load")
    assert figures.acknowledged >= 200
    assert figures.duplicates == 0
    check_no_double(second)
    later = set(rig.vendor.acknowledged) - acknowledged
    assert later
    await eventually(lambda: later <= set(steps(second)))
    assert len(program.children("worker")) == len(program.children("receiver")) == 1

    [latest, first] = asked_json(rig, "rules", "log")
    assert latest["changes"] == ["routes added: to second", "sinks added: second"]
    assert first["changes"] == ["the first rules: 1 route"]
    event = json.loads(second.arrivals[-1].body)["id"]
    assert asked_json(rig, "show", event)["rules"] == latest["hash"]
    told = ask(rig, "show", event).stdout
    assert latest["hash"] in told
    assert "of today" not in told
    event = json.loads(rig.endpoint.arrivals[0].body)["id"]
    assert asked_json(rig, "show", event)["rules"] == first["hash"]
    assert f"not those of today: `ats-router rules diff {first['hash']}`" in ask(rig, "show", event).stdout


async def test_a_removed_sink_gets_nothing_more_and_what_waits_for_it_goes_on_when_it_is_back(
    rig: Rig, second: Endpoint
) -> None:
    before = rig.config.read_text()
    write(rig, with_second(before, second))
    program = await up(rig)
    second.seconds = 0.5
    async with rig.vendor.busy(applications=20, pause=0.1):
        await came(second, 30)
        write(rig, before)
        await eventually(lambda: len(program.said(IN_USE)) == 2)
        await eventually(lambda: second.in_flight == 0)
        stopped_at = len(second.arrivals)
        await came(rig.endpoint, 60)
        assert len(second.arrivals) == stopped_at
    await rig.check("a sink removed under load")
    waiting = await waiting_for(rig, "second")
    assert waiting
    assert all(not delivery.record.attempts for delivery in waiting)
    [row] = [row for row in asked_json(rig, "status")["sinks"] if row["name"] == "second"]
    assert (row["type"], row["waiting"]) == (None, len(waiting))

    second.seconds = 0.0
    write(rig, with_second(before, second))
    await eventually(lambda: len(second.arrivals) == stopped_at + len(waiting))
    check_no_double(second)


async def waiting_for(rig: Rig, sink: str) -> list[ListedDelivery]:
    async with rig.redis() as redis:
        ledger = Ledger(redis)
        return await ledger.read_listed(await ledger.listed([deliveries_index(sink, DeliveryState.PENDING)], 1000))


async def test_a_changed_sink_is_called_as_it_is_now_when_what_runs_has_ended(rig: Rig, second: Endpoint) -> None:
    program = await up(rig)
    rig.endpoint.seconds = 3.0
    await asyncio.gather(*(rig.vendor.post(Step(application, 1)) for application in range(100, 110)))
    await eventually(lambda: rig.endpoint.in_flight == 10)
    write(rig, rig.config.read_text().replace("'${ENDPOINT}'", f"'{second.url}'"))
    await eventually(lambda: len(program.said(IN_USE)) == 2)
    assert rig.endpoint.in_flight == 10
    async with rig.vendor.busy(applications=20, pause=0.2):
        await came(second, 1)
        assert rig.endpoint.in_flight == 0
        await came(second, 50)
    assert len(rig.endpoint.arrivals) == 10
    acknowledged = set(rig.vendor.acknowledged)
    await eventually(lambda: acknowledged <= {*steps(rig.endpoint), *steps(second)})
    assert not set(steps(rig.endpoint)) & set(steps(second))


async def test_a_broken_file_changes_nothing_and_is_told_until_it_is_mended(rig: Rig) -> None:
    program = await up(rig)
    good = rig.config.read_text()
    async with rig.vendor.busy(applications=10, pause=0.2):
        write(rig, good.replace(f"send_to: [{SINK}", "send_to: [endpoin") + "  - {send_too: x}\n")
        await eventually(lambda: len(program.said(NOT_IN_USE)) == 4)  # two errors in each of two processes
        await came(rig.endpoint, 20)
        rig.config.touch()  # the same again is not told again
        answer = ask(rig, "status")
        assert re_squeezed(answer.stdout).startswith("1 worker at work")
        assert "the changed configuration is not in use since 20" in answer.stdout
        assert f"2 errors; run `ats-router check {rig.config}`" in answer.stdout
        assert 'no sink "endpoin"' in answer.stderr
        write(rig, good.replace("sinks:", "sinks: {"))  # no YAML
        await eventually(lambda: len(program.said(NOT_IN_USE)) == 6)
        assert "1 error; run" in ask(rig, "status").stdout
        write(rig, good)
        await eventually(lambda: len(program.said("again as it is in use")) == 2)
        assert "configuration" not in ask(rig, "status").stdout
    assert len(program.said(NOT_IN_USE)) == 6
    told = [line for line in program.log() if line["message"].startswith(NOT_IN_USE)]
    assert {line["file"] for line in told} == {str(rig.config)}
    last = len(good.splitlines())
    assert Counter(line["line"] for line in told[:4]) == {last: 2, last + 1: 2}
    assert len([line for line in told if 'no sink "endpoin"' in line["reason"]]) == 2
    assert not program.said(IN_USE)
    figures = await rig.check("a broken file under load")
    assert figures.duplicates == 0


def re_squeezed(text: str) -> str:
    return " ".join(text.split())


async def test_a_worker_that_is_killed_right_after_a_change_goes_by_it_when_it_is_back(
    rig: Rig, second: Endpoint
) -> None:
    program = await up(rig)
    async with rig.vendor.busy(applications=20, pause=0.1):
        await came(rig.endpoint, 50)
        [worker] = program.children("worker")
        write(rig, with_second(rig.config.read_text(), second))
        rig.kill(worker)
        await came(second, 50)
    await rig.check("worker killed right after a change")
    later = {step for step in rig.vendor.acknowledged if step.stage == max(s.stage for s in rig.vendor.acknowledged)}
    await eventually(lambda: later <= set(steps(second)))
    assert len(asked_json(rig, "rules", "log")) == 2


async def test_a_worker_that_dies_while_the_file_is_broken_comes_back_when_it_is_mended(rig: Rig) -> None:
    program = await up(rig)
    good = rig.config.read_text()
    async with rig.vendor.busy(applications=5, pause=0.3):
        await came(rig.endpoint, 10)
        write(rig, good.replace("sinks:", "sink:"))
        [worker] = program.children("worker")
        rig.kill(worker)
        await eventually(lambda: program.said("worker restarts"))
        await asyncio.sleep(1.0)
        assert program.process.poll() is None
        write(rig, good)
        rig.faults.append(asyncio.get_running_loop().time())
        await came(rig.endpoint, 10)
    await rig.check("worker killed while the file was broken")


async def test_two_workers_see_a_change_and_its_record_once(own_server: EmbeddedServer, second: Endpoint) -> None:
    async with make_rig(Servers(own_server.url)) as rig:
        programs = [rig.start("serve"), rig.start("work"), rig.start("work")]
        await rig.ready()
        await eventually(lambda: all(program.said("working") for program in programs[1:]))
        async with rig.vendor.busy(applications=20, pause=0.1):
            await came(rig.endpoint, 50)
            write(rig, with_second(rig.config.read_text(), second))
            await eventually(lambda: all(program.said(IN_USE) for program in programs))
            acknowledged = set(rig.vendor.acknowledged)
            await came(second, 100)
        figures = await rig.check("two workers")
        assert figures.duplicates == 0
        later = set(rig.vendor.acknowledged) - acknowledged
        await eventually(lambda: later <= set(steps(second)))
        check_no_double(second)
        for worker in programs[1:]:
            assert any(line.get("sink") == "second" for line in worker.log())
        assert len(asked_json(rig, "rules", "log")) == 2


async def test_sources_come_and_go_and_a_changed_port_waits_for_a_restart(rig: Rig) -> None:
    program = await up(rig)
    good = rig.config.read_text()
    await rig.vendor.post(Step(1, 1))
    write(rig, good.replace("  east:", "  south:").replace("${PORT}", "1"))
    await eventually(lambda: len(program.said(IN_USE)) == 2)
    east = await rig.client.request("POST", f"{rig.url}/webhooks/east", headers={}, timeout=5, keep=100)
    south = await rig.client.request("POST", f"{rig.url}/webhooks/south", headers={}, timeout=5, keep=100)
    assert (east.status, south.status) == (404, 401)
    assert "server.port changed, and is used after a restart only" in ask(rig, "status").stdout
    write(rig, good.replace("  east: {", "  east: {enabled: false, "))
    await eventually(lambda: len(program.said(IN_USE)) == 4)
    east = await rig.client.request("POST", f"{rig.url}/webhooks/east", headers={}, timeout=5, keep=100)
    assert east.status == 503
    assert "after a restart" not in ask(rig, "status").stdout


async def test_sighup_reads_a_secret_file_again(rig: Rig) -> None:
    secret = rig.folder / "secret"
    secret.write_text(rig.environment["SECRET"])
    write(rig, rig.config.read_text().replace("'${SECRET}'", "{file: secret}"))
    program = await up(rig)
    await rig.vendor.post(Step(1, 1))
    await asyncio.sleep(1.0)  # their first look is over
    secret.write_text("another one, much longer than that")
    await asyncio.sleep(2.5)
    assert not program.said(IN_USE)
    os.kill(program.pid, signal.SIGHUP)
    await eventually(lambda: len(program.said(IN_USE)) == 2, PROMISED_SECONDS)
    with pytest.raises(AssertionError, match="401"):
        await rig.vendor.post(Step(1, 2))
    assert program.process.poll() is None
