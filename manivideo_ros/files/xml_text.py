"""XML in any declared encoding, decoded to text without the declaration."""

from __future__ import annotations

import codecs
import re

# A byte order mark takes precedence over the declaration; longer marks first.
_MARKS = (
    (codecs.BOM_UTF32_LE, 'utf-32-le'),
    (codecs.BOM_UTF32_BE, 'utf-32-be'),
    (codecs.BOM_UTF8, 'utf-8'),
    (codecs.BOM_UTF16_LE, 'utf-16-le'),
    (codecs.BOM_UTF16_BE, 'utf-16-be'),
)
# Without a mark: the first bytes of '<'.
_FIRST = ((b'<\0\0\0', 'utf-32-le'), (b'\0\0\0<', 'utf-32-be'), (b'<\0', 'utf-16-le'),
          (b'\0<', 'utf-16-be'))  # fmt: skip
_DECLARED = re.compile(rb'^\s*<\?xml[^>]*?\sencoding\s*=\s*["\']([A-Za-z0-9._:-]+)["\']')
_DECLARATION = re.compile(r'^<\?xml\s[^>]*\?>')


def decode_xml(data: bytes) -> str:
    """The text of an XML file. Raises ValueError naming the encoding that does not decode it."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding)
    for first, encoding in _FIRST:
        if data.startswith(first):
            return _decoded(data, encoding)
    declared = _DECLARED.match(data[:256])
    return _decoded(data, declared[1].decode('ascii') if declared else 'utf-8')


def undeclared(text: str) -> str:
    """XML text without byte order mark and declaration, which are meant for decoders."""
    return _DECLARATION.sub('', text.strip('\ufeff\0 \t\r\n'), count=1)


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return undeclared(data.decode(encoding))
    except LookupError:
        raise ValueError(f'declares the encoding {encoding!r}, which is not known') from None
    except UnicodeError as error:
        at = f' at byte {error.start}' if isinstance(error, UnicodeDecodeError) else ''
        raise ValueError(
            f'is not in {encoding}{at}: save it as UTF-8, or declare the encoding that it is in'
        ) from None
