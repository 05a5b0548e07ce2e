"""What is behind the `hris_staging` sink. Half of it needs SQLAlchemy, so it is imported when a sink is made."""
