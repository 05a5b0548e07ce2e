"""What the short reasons of failed attempts mean, and what a person does about them."""

from router.records import DeliveryRecord, DeliveryState

_NEVER_REACHED = "the target could not be reached"
_OF_REASON = {
    "dns": "the name of its host is not known: check the URL and the name server",
    "refused": "nobody listens at the target: start it, or check host and port of the URL",
    "unreachable": f"{_NEVER_REACHED}: check the network between here and there",
    "connect_timeout": f"{_NEVER_REACHED} in time: check the network and firewalls in between",
    "tls": "no encrypted connection came about: check the target's certificate",
    "timeout": "the target did not answer in time, and may have taken it: look there, or give it a longer `timeout`",
    "reset": "the target broke the connection off, and may have taken it: look at its log",
    "garbage": "what the target answered makes no sense: is that really where to send?",
    "redirect": "the target has moved: write the new URL into the configuration",
    "worker_lost": "the worker died while sending, and it may have arrived: look there",
    "http_400": "the target does not accept this body: read its answer, then mend the template or the target",
    "http_401": "the target does not accept our credentials: set the right secret and restart",
    "http_403": "the target does not allow us: give the credentials the right, or set others",
    "http_404": "there is nothing at this URL: correct it, or switch the target on",
    "http_405": "the target takes no POST at this URL: correct it",
    "http_407": "a proxy in between wants credentials: let the router reach the target without it",
    "no_access_token": "no access token is given: look at token_url, client_id and client_secret below auth",
    "workflow_inactive": "the workflow is not active in n8n: switch it on there",
    "webhook_inactive": "no scenario listens to this webhook in Make: switch one on, or make a new webhook",
    "queue_full": "the webhook's queue in Make is full: let its scenario run more often",
    "http_410": "the target is gone for good: write another URL into the configuration",
    "http_413": "the body is too large for the target: send less by a template or `fields`",
    "http_422": "the target does not accept what the body says: read its answer, then mend the template or the target",
    "http_429": "the target gets too much: set a `rate` for this sink",
    "not_in_channel": "invite the bot into the channel",
    "channel_not_found": "correct the channel's name, or invite the bot into it",
    "is_archived": "unarchive the channel, or choose another one",
    "invalid_auth": "install the Slack app again, and set its new token",
    "token_revoked": "install the Slack app again, and set its new token",
    "account_inactive": "install the Slack app again, and set its new token",
    "missing_scope": "give the Slack app the scope that it lacks, and install it again",
    "no_service": "the incoming webhook was removed: make a new one, and set its URL",
    "db_unreachable": "the database can't be reached: start it, or check its URL",
    "db_rejected": "the database does not accept this row: look at its answer, and at the table's columns",
    "db_no_access": "the database does not let us in or at its tables: set the right user, or give it the rights",
    "db_changed": "a table or column is no longer as it was: put it back, or restart so that it is checked",
    "db_read_only": "the database takes no changes, as a standby does: give the URL of the one that does",
    "db_overloaded": "the database has no room or no connection left: look at its disk and its limits",
    "db_locked": "another program locks the tables: let it end, or give the sink a longer `timeout`",
}
_SERVER_FAULT = "the target has an error of its own: look at its log"


def meaning(reason: str) -> str | None:
    """In a few words what a reason means and what to do; None where no more is known than it says itself."""
    known = _OF_REASON.get(reason)
    return _SERVER_FAULT if known is None and reason.startswith("http_5") else known


def what_to_do(delivery: str, record: DeliveryRecord) -> str | None:
    """What a person does about a delivery that waits for one, or was given up; None where there is nothing to do."""
    why = meaning(record.attempts[-1].reason) if record.attempts else None
    because = f"{why[:1].upper()}{why[1:]}. " if why else ""
    match record.state:
        case DeliveryState.DEAD:
            return f"{because}Then: `ats-router retry {delivery}`; to give it up: `ats-router cancel {delivery}`."
        case DeliveryState.UNKNOWN:
            there, not_there = f"`ats-router confirm {delivery}`", f"`ats-router retry {delivery}`"
            return f"{because}If it is there: {there}; if not: {not_there}."
        case DeliveryState.HELD if record.reason == "review":
            return f"Look at it with `ats-router review show {delivery}`, then approve or reject it."
        case DeliveryState.HELD:
            return f"Switch the sink on, and send what it holds with `ats-router release {record.sink}`."
        case DeliveryState.PENDING:
            return because.strip() or None
    return None
