"""What autocoder knows, as pure functions and values: no database, clock, environment or I/O."""
