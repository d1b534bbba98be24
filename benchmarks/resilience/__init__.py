"""What policies cost around a call that does nothing, beside libraries for the same."""
