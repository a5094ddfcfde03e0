"""Which parts of a text are credentials: by the format that a provider gives them, or by the name they are given to.

A format is proof enough. A name is not: ``token = "[CLS]"`` is no secret, so a named value must also look like one.
Sources of the formats: the providers' documentation of their tokens' prefixes, as of November 2026.
"""

import hashlib
import hmac
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

RULES = {
    "provider-key": "A key in the format of a provider.",
    "cloud-key": "A key to a cloud account.",
    "private-key": "A private key.",
    "url-password": "An address with a password in it.",
    "named-secret": "A value that its name calls a secret.",
    "authorization": "An authorization header, or a password on a command line.",
    "signed-token": "A signed token (JWT).",
}

_E = r"(?![A-Za-z0-9_-])"  # ends here
_B = r"(?<![A-Za-z0-9_])"  # begins here
# Providers' formats, each with a word that it has: only where that stands is the pattern tried, which is much faster.
# Each needs its full length, since documentation is full of prefixes.
_PROVIDERS = (
    ("sk-", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}"),
    ("sk-ant-", r"sk-ant-[a-z0-9]{3,8}-[A-Za-z0-9_-]{20,}"),
    ("sk-or-v1-", r"sk-or-v1-[0-9a-f]{40,}"),
    ("sk-lf-", r"sk-lf-[0-9a-f-]{36}"),
    ("sk-", r"sk-[A-Za-z0-9]{32,}"),
    ("hf_", r"hf_[A-Za-z0-9]{30,}"),
    ("api_org_", r"api_org_[A-Za-z0-9]{30,}"),
    ("gh", r"gh[pousr]_[A-Za-z0-9]{36,}"),
    ("github_pat_", r"github_pat_[A-Za-z0-9_]{50,}"),
    ("gl", r"gl(?:pat|ptt|dt|rt|soat|cbt|agent)-[A-Za-z0-9_-]{20,}"),
    ("xox", r"xox[abeoprs]-[A-Za-z0-9-]{20,}"),
    ("xapp-", r"xapp-\d-[A-Za-z0-9-]{20,}"),
    ("https://hooks", r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}"),
    ("https://", r"https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/\d{15,}/[A-Za-z0-9_-]{40,}"),
    (":AA", r"\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    *((f"{k}k_{mode}_", rf"{k}k_{mode}_[A-Za-z0-9]{{20,}}") for k in "rs" for mode in ("live", "test")),
    ("whsec_", r"whsec_[A-Za-z0-9+/]{24,}=*"),
    ("SG.", r"SG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
    ("key-", r"key-[0-9a-f]{32}"),
    ("SK", r"SK[0-9a-f]{32}"),
    ("npm_", r"npm_[A-Za-z0-9]{36}"),
    ("pypi-AgE", r"pypi-AgE[A-Za-z0-9_-]{50,}"),
    ("dckr_", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    ("dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    ("dop_v1_", r"dop_v1_[0-9a-f]{64}"),
    ("r8_", r"r8_[A-Za-z0-9]{37,}"),
    ("gsk_", r"gsk_[A-Za-z0-9]{40,}"),
    ("xai-", r"xai-[A-Za-z0-9]{60,}"),
    ("pplx-", r"pplx-[A-Za-z0-9]{40,}"),
    ("nvapi-", r"nvapi-[A-Za-z0-9_-]{50,}"),
    ("tgp_v1_", r"tgp_v1_[A-Za-z0-9_-]{30,}"),
    ("fw_", r"fw_[A-Za-z0-9]{22,}"),
    ("lsv2_", r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    ("pcsk_", r"pcsk_[A-Za-z0-9_]{40,}"),
    ("sbp_", r"sbp_[0-9a-f]{40}"),
    ("sb_secret_", r"sb_secret_[A-Za-z0-9_-]{20,}"),
    ("hv", r"hv[sbr]\.[A-Za-z0-9_-]{20,}"),
    ("dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{40,}"),
    ("figd_", r"figd_[A-Za-z0-9_-]{30,}"),
    ("pat", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    ("sntry", r"sntry[us]_[A-Za-z0-9_=+/-]{40,}"),
    ("NRAK-", r"NRAK-[A-Z0-9]{27}"),
    ("gl", r"gl(?:sa|c)_[A-Za-z0-9+/=_]{32,}"),
    (".atlasv1.", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}"),
    ("nfp_", r"nfp_[A-Za-z0-9]{36,}"),
    ("lin_api_", r"lin_api_[A-Za-z0-9]{40}"),
    *((f"{word}_", rf"{word}_[A-Za-z0-9]{{43,}}") for word in ("secret", "ntn")),
    ("shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("sq0", r"sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}"),
    ("PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    ("rubygems_", r"rubygems_[0-9a-f]{48}"),
    ("AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    ("EAAC", r"EAAC[A-Za-z0-9]{60,}"),
    ("xkeysib-", r"xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    ("wandb_v", r"wandb_v\d_[A-Za-z0-9_-]{30,}"),
    ("phx_", r"phx_[A-Za-z0-9]{40,}"),
    ("tvly-", r"tvly-(?:dev-)?[A-Za-z0-9]{28,}"),
    ("jina_", r"jina_[0-9a-f]{32}[A-Za-z0-9_-]{20,}"),
    ("co_api_", r"co_api_[A-Za-z0-9]{30,}"),
    ("ops_eyJ", r"ops_eyJ[A-Za-z0-9_-]{100,}"),
)
_CLOUD = (
    *((word, rf"{word}[A-Z2-7]{{16}}") for word in ("AKIA", "ASIA", "ABIA", "ACCA")),
    ("AIza", r"AIza[A-Za-z0-9_-]{35}"),
    ("ya29.", r"ya29\.[A-Za-z0-9_-]{50,}"),
    ("GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    ("LTAI", r"LTAI[A-Za-z0-9]{16,24}"),
    ("AccountKey=", r"AccountKey=[A-Za-z0-9+/]{86}=="),
    ("SharedAccessKey=", r"SharedAccessKey=[A-Za-z0-9+/]{43}="),
    ("8Q~", r"[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}"),
    ("sig=", r"[?&]sig=[A-Za-z0-9%+/]{43,}(?:=|%3[dD])"),
)
_PEM = r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\[nr]|[\s\\A-Za-z0-9+/=:,.-]){60,}"
_JWT = rf"{_B}eyJ[A-Za-z0-9_-]{{12,}}\.eyJ[A-Za-z0-9_-]{{12,}}\.[A-Za-z0-9_-]{{20,}}{_E}"
FORMATS = [
    *(("provider-key", word, re.compile(_B + pattern + _E)) for word, pattern in _PROVIDERS),
    *(("cloud-key", word, re.compile((_B + pattern + _E) if word != "sig=" else pattern)) for word, pattern in _CLOUD),
    ("private-key", "-----BEGIN ", re.compile(_PEM)),
    ("signed-token", "eyJ", re.compile(_JWT)),
]
ADDRESS = re.compile(r"://(?P<user>[^\s:/?#@'\"<>`]*):(?P<value>[^\s/?#'\"<>`]{3,200})@[\w.\[-]")
# Each with a word that it cannot be without, in small letters.
HEADERS = [
    (words, re.compile(pattern))
    for words, pattern in (
        (
            ("authorization", "api-key"),
            r"(?i:authorization|x-api-key|api-key)\\?[\"']?\s*[:=,]\s*\\?[fbr]?[\"']?(?:(?i:bearer|basic|token)\s+)?"
            r"(?P<value>[A-Za-z0-9+/=_.~-]{16,})",
        ),
        (("bearer ",), r"(?<![\w-])(?i:bearer)\s+(?P<value>[A-Za-z0-9+/=_.~-]{20,})"),
        (("curl ",), r"\bcurl\b[^\n|;]{0,200}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,60}:(?P<typed>[^\s\"']{4,})"),
        (("mysql",), r"\bmysql(?:dump)?\b[^\n|;]{0,200}?\s-p(?P<typed>[^\s\"'-][^\s\"']{3,})"),
        (("login ",), r"\blogin\s+\S+\s+password\s+(?P<typed>\S{4,})"),  # as .netrc has it
        (("wandb login ",), r"\bwandb login (?:--\S+ )*(?P<typed>[0-9a-fA-F]{40}|wandb_v\d_\S{20,})"),
        (("ngrok ",), r"\bngrok (?:config )?(?:add-)?authtoken (?P<typed>[A-Za-z0-9_]{20,})"),
        (("docker login ",), r"\bdocker login\b[^\n|;]{0,200}?\s(?:-p|--password)[ =](?P<typed>[^\s\"'$-]\S{3,})"),
        (("aws configure set ",), r"\baws configure set aws_secret_access_key (?P<typed>\S{20,})"),
        (("identified by ",), r"(?i:identified by) ['\"](?P<typed>[^'\"\s,]{4,})['\"]"),
        (("with password ",), r"(?i:with password) ['\"](?P<typed>[^'\"\s,]{4,})['\"]"),
        (("sshpass ",), r"\bsshpass\s+-p\s*[\"']?(?P<typed>[^\s\"']{4,})"),
    )
]
# A name and what it is set to, in code that cannot be parsed, shells, configuration and prose.
PAIR = re.compile(
    r"(?P<name>(?:(?i:api|access|secret|auth) )?[A-Za-z_][\w.-]{0,80})\\?[\"'`]?\]?[ \t]*(?::=|=>|<-|[:=|>])[ \t]*"
    r"\\?(?:[fbruFBRU]{1,2})?"
    r"(?:\"(?P<double>[^\"\n\\]{4,400})\\?\"|'(?P<single>[^'\n\\]{4,400})\\?'|`(?P<ticks>[^`\n]{4,400})`"
    r"|(?P<bare>[^\s\"'`,;(){}\[\]<>&|]{6,400}))"
    r"|--?(?P<flag>[a-z][\w-]{2,40})[= ](?P<after>[^\s\"'-][^\s\"'`;|<>]{5,400})"
)

_SECRET_NAMES = re.compile(
    r"(?:^|_)(?:passwords?|passwd|passphrase|pwd|pass|pw|secrets?|credentials?|tokens?|api_?keys?|apikeys?|auth_?keys?|"
    r"access_?keys?|account_?keys?|secret_?keys?|private_?keys?|signing_?keys?|encryption_?keys?|master_?keys?|"
    r"license_?keys?|service_?keys?|session_?keys?|openai_?keys?|anthropic_?keys?|azure_?keys?|google_?keys?|aws_?keys?|"
    r"hf_?keys?|groq_?keys?|cohere_?keys?|creds?|passwort|contrase.a|auth|bearer|pat|dsn|conn(?:ection)?_?str(?:ing)?|client_?secrets?|"
    r"app_?secrets?|webhook_?secrets?|fernet_?keys?|subscription_?keys?|storage_?keys?|wandb_?keys?|kaggle_?keys?)(?:_?(?:\d{1,2}|prod|dev|test|staging|live|new|old))?$"
    r"|[a-z]{2,20}(?:password|passwd|api_?key|authtoken|accesstoken)$|^my_?(?:token|secret|key)$"
)
_WEAK_NAMES = re.compile(
    r"(?:^|_|[a-z]{2})(?:passwords?|passwd|passphrase|pwd|pass|pw|passwort)(?:_?\w{1,7})?$"
)  # people choose these
_KEY_BESIDE = re.compile(r"(?:^|_)key$")  # {"username": …, "key": …}, as Kaggle's file has it
# Names of values that only sound like secrets.
_OTHER_NAMES = re.compile(
    r"(?:^|_)(?:(?:bos|eos|pad|unk|sep|cls|mask|stop|special|next|page|continuation|sync|image|start|end|additional|"
    r"added|extra|prefix|suffix|new|num|max|min|total|prompt|input|output|n|count|id|cache|public|csrf_?header|"
    r"primary|foreign|sort|group|partition|row|index|dict|column|hot|short_?cut|idempotency|object|cancel(?:lation)?)"
    r"_(?:tokens?|keys?|pass)|.*_?(?:public_?key|token_?type|secret_?name|password_?(?:field|hash|policy|length|file)|"
    r"public_?key_?token|token_?(?:str|text)|(?:key|token|secret)_?(?:path|file|name|id|url|uri|type|env|var|ids|names)|auth_?(?:type|mode|method|url|uri))|"
    r"by_?pass|com_?pass|tres_?pass|over_?pass)$"
)
_PLACEHOLDER = re.compile(
    r"(?i)(?:^|[^a-z0-9])(?:(?:your|my)[-_ ]?|(?:the|an?)[-_ ])(?:own|real|actual|secret|super|private|new|openai|"
    r"hf|api|aws|access|"
    r"key|token|pass\w*|pwd|user\w*|account|project|org\w*|team|database|db|bot|app|client|wandb|github|google|azure)"
    r"|your[-_]|change[-_ ]?(?:me|this|it)|replace[-_ ]?(?:me|this|with)|insert[-_ ]|enter[-_ ]|paste[-_ ]|fill[-_ ]?in"
    r"|placeholder|redacted"
    r"|(?<![a-z])(?:removed|masked|hidden|censored|scrubbed|example|dummy|sample|fake|mock)(?![a-z0-9])"
    r"|^(?:example|dummy|sample|fake|mock|test)[-_]?\w{0,12}$|\btodo\b|\btbd\b|\bfixme\b|example(?:key)?$"
    r"|not[-_ ]?(?:a[-_ ])?real|^passwords?\d{0,3}$"
    r"|^(?:none|null|true|false|undefined|nil|optional|required|string|secret|password|token|"
    r"api[-_ ]?key|passwd|key|value|test(?:ing|er)?|default|empty|missing|unset|n/a|bearer|basic|str|bytes|int)$|lorem"
    r"|-here\b|_here\b|\bhere$|xxx+|\.\.\.|…|\*{3,}|•{3,}|#{4,}|_{5,}|-{6,}|0{8,}|12345678|abcdefgh|(?<![a-z])abc123"
    r"|deadbeef|^<[^>]*>$|^\[[^\]]*\]$|^\{\{?.*\}\}?$|^\$\{?\w|^%\w+%$|^\$\(|^@\w+$"
)
_REFERENCE = re.compile(
    r"^\{|::|^\$(?:[A-Z_][A-Z0-9_]*$|\{|\()|^!vault|^(?:os\.|environ|getenv|process\.env|env\.|ENV\[|secrets\.|vault:|ssm:|arn:|op://|keyring|getpass|userdata|config\.|"
    r"settings\.|self\.|args\.|cfg\.|st\.secrets|dbutils\.|var\.|data\.|module\.|local\.|params\.|ctx\.|cls\.|input\()"
    r"|^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(.*|\[.*)$|^/|^\.{1,2}/|^~/|^[A-Za-z]:\\|^https?://[^@]*$|^\w+\.(?:py|json|ya?ml|txt|pem|key|env)$"
)
_PATTERN = re.compile(r"\\[bdwsSDWAZ]|\(\?|\[\^?[A-Za-z0-9]-[A-Za-z0-9]")  # parts of a regular expression
_WORDS = re.compile(r"[a-z]{2,}\d{0,2}(?:[-_.](?:[a-z]{2,}\d{0,2}|\d{1,3}))+")  # a few words: no key is made like that
_HASH = re.compile(
    r"^0x[0-9a-fA-F]{40}$|^Ag[A-D][A-Za-z0-9+/]{60,}|^(?:sha(?:1|224|256|384|512)|md5|blake2b?|crc32)[-:$=]|^\$(?:2[aby]|argon2|6|5|pbkdf2)"
)
_HASH_NAMES = re.compile(
    r"(?i)(?:sha\d*|md5|hash|digest|checksum|etag|integrity|commit|revision|fingerprint|signature)$"
)


class Hit:
    """Where a text holds a secret. It knows the secret, and shows it to nobody.

    Attributes:
        rule: a name in `RULES`.
        start, end: the secret's place in the text.
        line: of the text, counted from 1.
    """

    __slots__ = ("_value", "end", "line", "rule", "start")

    def __init__(self, rule: str, value: str, start: int, end: int, line: int) -> None:
        self.rule, self._value, self.start, self.end, self.line = rule, value, start, end, line

    def __repr__(self) -> str:
        return f"Hit({self.rule!r}, line {self.line})"

    def __reduce__(self) -> str:
        raise TypeError("a secret that was found is not stored")

    def at(self, line: int) -> "Hit":
        """The same, in a line of a larger text."""
        return Hit(self.rule, self._value, self.start, self.end, line)

    def overlaps(self, other: "Hit") -> bool:
        """Whether one of two secrets is a part of the other."""
        return self._value in other._value or other._value in self._value

    def fingerprint(self, key: bytes) -> str:
        """Sixteen hex digits that are the same for the same secret; without the key nobody can try secrets on them."""
        return hmac.new(key, self._value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def entropy(text: str) -> float:
    """Bits per character, from how often each one stands in the text."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def is_placeholder(value: str) -> bool:
    """True for what people write where a secret would stand."""
    if _PLACEHOLDER.search(value) or len(set(value)) <= max(3, len(value) // 10):
        return True
    return len(value) > 8 and (value in "abcdefghijklmnopqrstuvwxyz" * 2 or value in "0123456789" * 8)


def normal(name: str) -> str:
    """A name in small letters with underscores: ``openaiApiKey`` and ``OPENAI-API-KEY`` are one."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[\W_]+", "_", split).lower().strip("_")


def named(name: str, value: str, beside: Iterable[str] = ()) -> bool:
    """Whether a value is a secret because of the name that it is given to.

    Args:
        name: a variable, a field, a keyword, a flag.
        value: what it is set to.
        beside: the other names in the same place, such as the keys of one dictionary.
    """
    name = normal(name)
    others = {normal(other) for other in beside}
    if not _SECRET_NAMES.search(name) and not (
        _KEY_BESIDE.search(name) and others & {"username", "user", "login", "account", "client_id"}
    ):
        return False
    if re.search(r"(?:^|_)(?:dsn|conn(?:ection)?_?str(?:ing)?)$", name) and "@" not in value and "=" not in value:
        return False  # an address without a password
    if re.search(r"(?:^|_)(?:pat|auth|bearer)$", name) and (len(value) < 20 or re.search(r"[*/\\]", value)):
        return False
    if _OTHER_NAMES.search(name) or _HASH_NAMES.search(name) or not 4 <= len(value) <= 2_000:
        return False
    if is_placeholder(value) or _REFERENCE.search(value) or _HASH.search(value) or _PATTERN.search(value):
        return False
    if _WEAK_NAMES.search(name):
        return len(value) >= 6 and " " not in value.strip() and not _looks_like_a_name(value)
    if " " in value or len(value) < 12 or _looks_like_a_name(value) or _WORDS.fullmatch(value):
        return False
    return entropy(value) >= 2.8 and (len(value) >= 16 or bool(re.search(r"\d", value)))


def _looks_like_a_name(value: str) -> bool:
    """``db_password``, ``API_KEY``, ``refresh_token_v1``, ``Passwort``: a name or a word, not what it stands for."""
    words = re.split(r"[_.\s-]+", value)
    if len(words) > 1 and (value.islower() or value.isupper()):
        if all(re.fullmatch(r"[A-Za-z]+|[vV]?\d{1,3}", word) for word in words):
            return "_" in value or bool(_SECRET_NAMES.search(normal(value)))
    return bool(re.fullmatch(r"[A-Z]?[a-z]{1,12}|[A-Z]{1,12}|(?i:enter|type|please|invalid|wrong|incorrect)\w*", value))


def find(text: str, pairs: bool = True) -> Iterator[Hit]:
    """The secrets in a text, in order of their rules; one value may be found by several.

    Args:
        text: anything a person wrote or a program printed.
        pairs: whether names that are set to values are looked for as well; not, where a parser has done it.
    """
    for rule, word, pattern in FORMATS:
        for match in _around(text, word, pattern) if word in text else ():
            if not _format_is_placeholder(match[0]):
                yield _hit(text, rule, match, 0)
    if "://" in text:
        for match in ADDRESS.finditer(text):
            value = match["value"]
            if not is_placeholder(value) and not re.fullmatch(
                r"(?i)pass(?:word)?|pwd|secret|token|\d{2,5}|\{.*", value
            ):
                if value.lower() != match["user"].lower() or len(value) > 12:
                    yield _hit(text, "url-password", match, "value")
    small = text.lower()
    for words, pattern in HEADERS:
        for word in words:
            for match in _around(text, word, pattern, small) if word in small else ():
                group = match.lastgroup
                value = match[group]
                if any(odd.search(value) for odd in (_PLACEHOLDER, _REFERENCE, _HASH, _PATTERN)):
                    continue
                if group == "typed" or (entropy(value) >= 3 and re.search(r"\d", value)):
                    yield _hit(text, "authorization", match, group)
    if pairs:
        yield from find_pairs(text)


REACH = {
    ":AA": 10,
    ".atlasv1.": 14,
    "8Q~": 3,
    "sig=": 1,
}  # characters of a pattern before its word; the others begin with it


def _around(text: str, word: str, pattern: re.Pattern, lowered: str = "") -> Iterator[re.Match]:
    """The matches of a pattern where the word stands that it contains."""
    searched, at, done = lowered or text, -1, 0
    while (at := searched.find(word, max(at + 1, done))) >= 0:
        for start in range(max(done, at - REACH.get(word, 0)), at + 1):
            match = pattern.match(text, start)
            if match:
                yield match
                done = match.end()
                break


def find_pairs(text: str) -> Iterator[Hit]:
    """The secrets in a text that are so by the name they are given to."""
    at = 0
    while match := PAIR.search(text, at):
        name = match["name"] or match["flag"]
        group = next(g for g in ("double", "single", "ticks", "bare", "after") if match[g] is not None)
        hit = _pair(text, match, name, group)
        # What is set by this name may hold another name that is set, such as a path with a query.
        at = match.end() if hit else max(match.start(group), match.start() + 1)
        if hit:
            yield hit
    for match in QUERY.finditer(text):
        if named(match["name"], match["value"]):
            yield _hit(text, "named-secret", match, "value")


def _pair(text: str, match: re.Match, name: str, group: str) -> Hit | None:
    if not re.search(r"(?i)pass|pw|secret|token|key|auth|cred|bearer|pat|dsn|conn", name):
        return None
    value = match[group]
    if group == "bare" and re.fullmatch(r"[A-Za-z_][\w.]*", value) and not re.search(r"\d", value):
        return None  # another name
    near = text[max(0, match.start() - 200) : match.end() + 200]
    beside = ("username",) if re.search(r"(?i)username[\"']?\s*[:=]", near) else ()
    before = text[max(0, match.start() - 60) : match.start()].rpartition("\n")[2]
    if not named(name, value, beside) or _HASH_NAMES.search(before.strip(" \"':=")):
        return None
    return _hit(text, "named-secret", match, group)


QUERY = re.compile(r"[?&;](?P<name>[A-Za-z_][\w.-]{1,40})=(?P<value>[^\s&;#\"'<>`]{8,400})")


def _format_is_placeholder(value: str) -> bool:
    body = re.sub(r"^(?:[A-Za-z0-9]{2,12}[-_])+?", "", value)
    return bool(
        re.search(r"(?i)x{6,}|\.{3}|\*{3}|0{12,}|example|your|placeholder|redacted|dummy|fake|1234567890", value)
    ) or (len(set(body)) <= 4)


def _hit(text: str, rule: str, match: re.Match, group: str | int) -> Hit:
    start, end = match.span(group)
    return Hit(rule, match[group], start, end, bisect_right(_line_starts(text), start))


@lru_cache(2)
def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]
