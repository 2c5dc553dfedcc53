"""Who may talk to the page: requests made by it, and nobody else's page by way of a browser."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

# Nothing from elsewhere is loaded, nothing of the page is shown in another's frame.
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
    """Why a request is refused, '' where it is not. host: the name that the page is served on.

    A page elsewhere that points its own name here (DNS rebinding) is known by that name in Host:
    only addresses, localhost and the name that the operator gave are answered. A page elsewhere
    that sends its visitor's browser here is known by Origin and Sec-Fetch-Site.
    """
    named = headers.get('Host', '')
    if not _is_ours(named, host):
        return f'Host {named[:80]!r} is not this machine: use its address or --host'
    origin = headers.get('Origin')
    # The scheme is the affair of a proxy that ends TLS: the name is compared.
    if origin is not None and origin not in (f'http://{named}', f'https://{named}'):
        return f'Origin {origin[:80]!r} is another page'
    site = headers.get('Sec-Fetch-Site', 'same-origin')
    if site in ('cross-site', 'same-site'):
        # A link to the page may be followed; its images and forms are for itself.
        followed = headers.get('Sec-Fetch-Mode') == 'navigate' and method in ('GET', 'HEAD')
        if not followed or headers.get('Sec-Fetch-Dest', 'document') != 'document':
            return f'Sec-Fetch-Site {site}: another page asks'
    return ''


def token_fits(given: str, token: str) -> bool:
    """Whether a form carries the token that only the page itself could read."""
    return hmac.compare_digest(given.encode(), token.encode())


def _is_ours(named: str, host: str) -> bool:
    try:
        split = urlsplit(f'//{named}')
        name, _ = split.hostname, split.port  # a port that is no number raises here
    except ValueError:
        return False
    if not name or split.username is not None or split.path or split.query or split.fragment:
        return False
    if name in ('localhost', host.lower()):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
