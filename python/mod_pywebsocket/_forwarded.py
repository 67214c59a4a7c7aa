"""What a proxy in front tells of the client."""


def told(headers, address, is_secure):
    """The client's address and whether it came by TLS; what the proxy does not tell is as it is given here.

    Only the last proxy's words count: what stands before them may be the client's own.
    """
    # RFC 7239 4: name=value pairs, separated by semicolons, one list element for each proxy.
    pairs = [pair.partition('=') for pair in _last(headers, 'Forwarded').split(';')]
    said = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
    client = said.get('for') or _last(headers, 'X-Forwarded-For')
    scheme = said.get('proto') or _last(headers, 'X-Forwarded-Proto')
    return _address(client) if client else address, scheme.lower() in ('https', 'wss') if scheme else is_secure


def _last(headers, name):
    return ','.join(headers.get_all(name) or ()).rpartition(',')[2].strip()


def _address(node):
    """``192.0.2.1:80``, ``[2001:db8::1]:80``, or either without a port, which is 0 then."""
    host, _, port = node.rpartition(':')
    if not port.isdecimal() or not host or ':' in host and not host.endswith(']'):
        host, port = node, '0'
    return host.strip('[]'), int(port[:5])
