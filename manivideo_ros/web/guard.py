"""Which requests are answered: those of the page itself, none of another page in a browser.

Starlette's TrustedHostMiddleware takes a list of names; here every IP address is allowed too.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

# The page loads nothing from other origins and cannot be shown in a frame.
HEADERS = {
    'Content-Security-Policy': (
        "default-src 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
}


def refusal(headers: Mapping[str, str], method: str, host: str) -> str:
    """Why a request is refused, '' where it is not. host: the name that the page is served under.

    DNS rebinding shows in Host: only IP addresses, localhost and `host` are allowed. Requests that
    another page sends show in Origin and Sec-Fetch-Site.
    """
    named = headers.get('Host', '')
    if not _is_allowed(named, host):
        return f'Host {named[:80]!r} is not this machine: use its address, or set host to this name'
    origin = headers.get('Origin')
    # A proxy that ends TLS changes the scheme; the name is what counts.
    if origin is not None and origin not in (f'http://{named}', f'https://{named}'):
        return f'Origin {origin[:80]!r} is another page'
    site = headers.get('Sec-Fetch-Site', 'same-origin')
    if site in ('cross-site', 'same-site'):
        # Links to the page are allowed; its images and forms are not for other pages.
        link = headers.get('Sec-Fetch-Mode') == 'navigate' and method in ('GET', 'HEAD')
        if not link or headers.get('Sec-Fetch-Dest', 'document') != 'document':
            return f'Sec-Fetch-Site {site}: the request comes from another page'
    return ''


def token_fits(given: str, token: str) -> bool:
    """Whether a form has the token, which only the page itself can read."""
    return hmac.compare_digest(given.encode(), token.encode())


def _is_allowed(named: str, host: str) -> bool:
    try:
        split = urlsplit(f'//{named}')
        name, _ = split.hostname, split.port  # an invalid port raises here
        if not name or split.username is not None or split.path or split.query or split.fragment:
            return False
        return name in ('localhost', host.lower()) or bool(ip_address(name))
    except ValueError:
        return False
