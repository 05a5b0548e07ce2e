"""What `sinks.http` is made of."""
