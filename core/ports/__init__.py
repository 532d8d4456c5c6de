"""What autocoder needs from outside, as Protocols. Adapters keep these promises."""
