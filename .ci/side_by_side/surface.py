"""Every name of the package, by its full path, and what it is: printed as JSON in each environment."""

import importlib
import inspect
import json
import types

MODULES = ('common', 'util', 'http_header_util', 'memorizingfile', '_stream_exceptions', 'stream', 'msgutil', 'extensions',
           'handshake', 'handshake.base', 'handshake.hybi', 'dispatch', 'request_handler', 'websocket_server',
           'server_util', 'standalone')
OURS = ('pywebsocket3', 'mod_pywebsocket')


def signature(function):
    """Names and defaults of the parameters."""
    words = []
    for one in inspect.signature(function).parameters.values():
        star = {one.VAR_POSITIONAL: '*', one.VAR_KEYWORD: '**'}.get(one.kind, '')
        words.append(star + one.name + ('' if one.default is one.empty else '=%r' % (one.default,)))
    return '(%s)' % ', '.join(words)


def kind(value):
    if inspect.isclass(value):
        bases = [base.__name__ for base in value.__mro__[1:] if base.__module__ != 'http.server']
        return 'class of ' + ', '.join(bases)
    if inspect.isroutine(value):
        return 'function' + signature(value)
    if isinstance(value, property):
        return 'property'
    if isinstance(value, (int, str, bytes, float, bool, type(None), list, tuple)):
        return repr(value)
    return type(value).__name__


names = {}
for module_name in MODULES:
    module = importlib.import_module('pywebsocket3.' + module_name)
    found = dict(inspect.getmembers(module))
    if module_name == 'standalone':
        # Ours makes them when they are asked for.
        found.update((name, getattr(module, name)) for name in ('WebSocketServer', 'common', 'server_util', 'util'))
    for name, value in sorted(found.items()):
        if name.startswith('__'):
            continue
        path = module_name + '.' + name
        if isinstance(value, types.ModuleType):
            # Which modules a module imports is its own matter, but for those of the package.
            if value.__name__.startswith(OURS):
                names[path] = 'module'
            continue
        if getattr(value, '__module__', None) in ('__future__', 'builtins'):
            continue
        names[path] = kind(value)
        if not inspect.isclass(value) or not value.__module__.startswith(OURS):
            continue
        for attribute, _ in inspect.getmembers(value):
            owner = next((base for base in value.__mro__ if attribute in vars(base)), object)
            if owner.__module__.startswith(OURS) and not attribute.startswith('__'):
                names[path + '.' + attribute] = kind(inspect.getattr_static(value, attribute))
        if inspect.isfunction(value.__init__):
            names[path + '()'] = signature(value.__init__)

print(json.dumps(names))
