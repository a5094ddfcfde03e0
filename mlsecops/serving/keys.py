"""API keys: ``<id>.<secret>``. The id may be logged; of the secret only a keyed hash is kept."""

import hmac
import secrets

from pydantic import BaseModel, ConfigDict, Field

LONGEST = 200  # characters of a presented key that are looked at


class Key(BaseModel):
    """What is stored of an API key. Several keys can have one `owner`: a budget is the owner's, not the key's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern="^[a-z0-9]{1,32}$")
    owner: str = Field(min_length=1, max_length=100)
    digest: str = Field(pattern="^[0-9a-f]{64}$")  # HMAC-SHA256 of the whole key
    scopes: frozenset[str] = frozenset({"predict"})
    expires: float | None = None  # seconds since 1970; None: never


def issue_key(owner, hash_key, *, scopes=("predict",), expires=None):
    """Make a key. Returns ``(text, Key)``: the text for its owner, shown once, and what to store.

    The secret half has 256 random bits. Nobody can guess through that, so a fast keyed hash is enough; slow hashes
    (argon2, scrypt) are for passwords that people choose.
    """
    identifier = secrets.token_hex(4)
    text = f"{identifier}.{secrets.token_urlsafe(32)}"
    digest = _digest(text, hash_key)
    return text, Key(id=identifier, owner=owner, digest=digest, scopes=frozenset(scopes), expires=expires)


class KeyRing:
    """The keys that are known. ``hash_key`` (bytes) is the HMAC key: a stolen list of digests is of no use without it.

    Raises ValueError when two keys have one id.
    """

    def __init__(self, keys, hash_key):
        self._keys = {key.id: key for key in keys}
        self._hash_key = hash_key
        if len(self._keys) != len(keys):
            raise ValueError("two API keys have the same id")

    def all(self):
        """The keys, as they are stored."""
        return list(self._keys.values())

    def find(self, text, now):
        """Return the Key that the text proves, or None: unknown, wrong, or expired at ``now`` (seconds since 1970)."""
        if len(text) > LONGEST:
            return None
        key = self._keys.get(text.partition(".")[0])
        # Compared in constant time, and also for an id that does not exist, so that answers take equally long.
        right = hmac.compare_digest(_digest(text, self._hash_key), key.digest if key else "0" * 64)
        return key if key and right and (key.expires is None or now < key.expires) else None

    def rotate(self, identifier, now, grace):
        """Replace a key: returns the new one's text. The old one works for another ``grace`` seconds.

        Raises KeyError for an id that does not exist.
        """
        old = self._keys[identifier]
        text, new = issue_key(old.owner, self._hash_key, scopes=old.scopes)
        last = now + grace if old.expires is None else min(old.expires, now + grace)
        self._keys |= {new.id: new, old.id: old.model_copy(update={"expires": last})}
        return text

    def revoke(self, identifier):
        """Forget a key at once. Raises KeyError for an id that does not exist."""
        del self._keys[identifier]


def _digest(text, hash_key):
    return hmac.digest(hash_key, text.encode(), "sha256").hex()
