"""What drivers need from the outside, as Protocols. Each names its conformance suite."""
