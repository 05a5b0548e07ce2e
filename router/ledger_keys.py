"""How the ledger's keys and fields are written; what is under them stands at the head of `ledger`."""

from router import codec
from router.records import DeliveryRecord, DeliveryState, ReceiptRecord

INTAKE = "intake"
WORKERS = "ats:workers"
HOOKS = "ats:hooks"
VENDOR_APIS = "ats:vendor_apis"
SILENCES = "ats:silences"
SINKS = "ats:sinks"
REPLAYS = "ats:replays"
CONFIG = "ats:config"
RULES_LOG = "ats:{rules}:log"
EDITIONS = "ats:{rules}:editions"
RETRYING = "retrying"
"""Where pending deliveries that failed before are listed, beside the states."""

LISTINGS = (*(state.value for state in DeliveryState if state is not DeliveryState.SENDING), RETRYING)
"""By what the deliveries of a sink are listed."""


def sink_lane(sink: str) -> str:
    return f"sink:{sink}"


def gate_key(sink: str) -> str:
    return f"ats:{{sink:{sink}}}:gate"


def pace_key(sink: str, target: str) -> str:
    return f"ats:{{sink:{sink}}}:pace:{target}"


def poll_key(source: str, part: str) -> str:
    return f"ats:{{poll:{source}}}:{part}"


def key(partition: int, name: str) -> str:
    return f"ats:{{p{partition:02d}}}:{name}"


def events_index(source: str, event_type: str) -> str:
    return f"events:{source} {event_type}"


def about_index(about: str) -> str:
    return f"about:{about}"


def deliveries_index(sink: str, listing: str) -> str:
    return f"deliveries:{sink} {listing}"


def drift_index(source: str) -> str:
    return f"drift:{source}"


def field(delivery: str) -> str:
    return f"d:{delivery.rpartition('_')[2]}"


def frozen_field(delivery: str) -> str:
    return f"b:{delivery.rpartition('_')[2]}"


def packed(record: DeliveryRecord | ReceiptRecord) -> bytes:
    return codec.pack(record.model_dump_json(exclude_defaults=True).encode())
