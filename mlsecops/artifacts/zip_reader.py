"""The members of a zip archive, read in the one way in which no two readers can differ.

Python's zipfile, torch's reader and unzip tools disagree about prepended bytes, duplicate names, gaps and headers that
contradict the directory. Here such an archive is not read at all. Source: APPNOTE.TXT 6.3 (the format's description).
"""

import struct

MAX_MEMBERS = 50_000


class BadZip(Exception):  # noqa: N818 - it names what is wrong
    """The archive is not in the one plain form that all readers read alike."""


class Member:
    __slots__ = ("crc", "method", "name", "packed", "size", "start")

    def __init__(self, name, method, crc, packed, size, start):
        self.name, self.method, self.crc, self.packed, self.size, self.start = name, method, crc, packed, size, start


def zip_members(data, problems):
    """The members of a zip archive, read strictly: local headers and central directory must tell the same story and
    fill the file without gaps. ``problems`` collects what is wrong but does not hinder reading. Raises BadZip."""
    end = len(data) - 22
    if end < 0 or data[end : end + 4] != b"PK\x05\x06":
        raise BadZip("it does not end with its directory: bytes were appended, or it is cut off")
    disk, cd_disk, here, total, cd_size, cd_start, comment = struct.unpack_from("<4H2LH", data, end + 4)
    cd_end = end
    if data[max(end - 20, 0) : max(end - 20, 0) + 4] == b"PK\x06\x07":
        _, record, _ = struct.unpack_from("<LQL", data, end - 16)
        if record + 56 != end - 20 or data[record : record + 4] != b"PK\x06\x06":
            raise BadZip("its 64-bit directory is not where it should be")
        here64, total64, size64, start64 = struct.unpack_from("<4Q", data, record + 24)
        for short, long, limit in (
            (total, total64, 0xFFFF),
            (cd_size, size64, 2**32 - 1),
            (cd_start, start64, 2**32 - 1),
        ):
            if short not in (limit, long):
                raise BadZip("its two directories differ")
        here = total = total64 if here64 == total64 else -1
        cd_size, cd_start, cd_end = size64, start64, record
    if disk or cd_disk or (here != total and total != -1) or comment or cd_start + cd_size != cd_end or total < 0:
        raise BadZip("its directory does not describe exactly this file")
    if total > MAX_MEMBERS:
        raise BadZip("it has more members than this scanner follows")
    members, pos, expected = [], cd_start, 0
    entries = []
    for _ in range(total):
        if data[pos : pos + 4] != b"PK\x01\x02":
            raise BadZip("its directory is damaged")
        (made, _, flags, method, _, _, crc, packed, size, name_len, extra_len, comment_len, _, _, attributes,
         offset) = struct.unpack_from("<6H3L5H2L", data, pos + 4)  # fmt: skip
        raw = bytes(data[pos + 46 : pos + 46 + name_len])
        extra = bytes(data[pos + 46 + name_len : pos + 46 + name_len + extra_len])
        size, packed, offset = _zip64(extra, size, packed, offset)
        pos += 46 + name_len + extra_len + comment_len
        if comment_len:
            problems.append("a member carries a comment")
        if made >> 8 == 3 and (attributes >> 16) & 0o170000 == 0o120000:
            problems.append("a member is a symbolic link")
        entries.append((offset, raw, flags, method, crc, packed, size))
    if pos != cd_end:
        raise BadZip("its directory is longer or shorter than it says")
    for offset, raw, flags, method, crc, packed, size in sorted(entries):
        if offset != expected or data[offset : offset + 4] != b"PK\x03\x04":
            raise BadZip("bytes lie between its members, or members overlap")
        _, l_flags, l_method, _, _, l_crc, l_packed, l_size, name_len, extra_len = struct.unpack_from(
            "<5H3L2H", data, offset + 4
        )
        start = offset + 30 + name_len + extra_len
        if bytes(data[offset + 30 : offset + 30 + name_len]) != raw or l_flags != flags or l_method != method:
            raise BadZip("a member's own header and the directory differ")
        if flags & ~0x080E:
            raise BadZip("a member is encrypted or uses features that readers treat differently")
        expected = start + packed
        if flags & 8:
            expected = _descriptor(data, expected, crc, packed, size)
            if (l_crc, l_packed, l_size) != (0, 0, 0):
                problems.append("a member's own header and the directory differ")
        else:
            l_size, l_packed, _ = _zip64(bytes(data[start - extra_len : start]), l_size, l_packed, 0)
            if (l_crc, l_packed, l_size) != (crc, packed, size):
                raise BadZip("a member's own header and the directory differ")
        if method not in (0, 8) or (method == 0 and packed != size):
            raise BadZip("a member is packed in a way that torch and numpy do not use")
        try:
            name = raw.decode("utf-8" if flags & 0x800 else "ascii")
        except UnicodeDecodeError:
            raise BadZip("a member's name is not readable text") from None
        parts = name.split("/")
        if "\\" in name or "\0" in name or ".." in parts or parts[0] == "" or ":" in parts[0]:
            problems.append(f"a member's name leads out of the archive: {name!r}")
        members.append(Member(name, method, crc, packed, size, start))
    if expected != cd_start:
        raise BadZip("bytes lie between the last member and the directory")
    names = [m.name.casefold() for m in members]
    if len(set(names)) != len(names):
        problems.append("two members have the same name, readers differ in which they take")
    return members


def _zip64(extra, size, packed, offset):
    at, seen = 0, False
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == 1:
            if seen:
                raise BadZip("a member has two 64-bit sizes")
            seen, field = True, at + 4
            values = []
            for value in (size, packed, offset):
                if value == 2**32 - 1:
                    if field + 8 > at + 4 + length or field + 8 > len(extra):
                        raise BadZip("a member's 64-bit size is cut off")
                    value = struct.unpack_from("<Q", extra, field)[0]
                    field += 8
                values.append(value)
            size, packed, offset = values
        elif tag == 0x7075:  # another name for the member, which some readers prefer
            raise BadZip("a member has two names")
        at += 4 + length
    return size, packed, offset


def _descriptor(data, at, crc, packed, size):
    """A data descriptor behind a member (with its signature, 32 or 64 bit): returns the position after it."""
    for form in ("<4s3L", "<4sL2Q"):
        if at + struct.calcsize(form) <= len(data):
            if struct.unpack_from(form, data, at) == (b"PK\x07\x08", crc, packed, size):
                after = at + struct.calcsize(form)
                if data[after : after + 2] == b"PK":
                    return after
    raise BadZip("a member's size record does not match the directory")
