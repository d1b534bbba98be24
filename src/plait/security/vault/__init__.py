"""The vault: credentials, encrypted in the store, opened only where calls are made.

| module | what it knows |
|---|---|
| ring | the keys, which are in no store |
| sealing | AES-256-GCM, and what binds a credential to its place |
| kinds | which fields each type has |
| hosts | which origins a credential may be shown to |
| kept | what a record looks like |
| store | keeping, listing, opening, rotating |
| tokens | OAuth 2 access tokens, fetched ahead of their end |
"""

from plait.security.vault.hosts import check_use
from plait.security.vault.ring import KeyRing
from plait.security.vault.store import StoredVault
from plait.security.vault.tokens import AccessTokens

__all__ = ["AccessTokens", "KeyRing", "StoredVault", "check_use"]
