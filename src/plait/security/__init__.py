"""Who callers are: API keys, users and their passwords, tokens; the first admin key.

Rule 1. No secret is kept: of keys and refresh tokens a SHA-256, of passwords an Argon2id
        hash, and of the keys that sign tokens the public half alone.
Rule 2. Secrets are compared in constant time, and an unknown name costs as much as a known
        one.
Rule 3. All of it is kept through plait.ports.records, so that it is in every store.

Not here: what a caller may (plait.model.caller), limits and headers (plait.gateway).
"""
