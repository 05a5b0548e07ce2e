"""ats-router: ATS webhooks in, one common event out, delivered to the sinks that a YAML file names."""

__version__ = "0.1.0"
