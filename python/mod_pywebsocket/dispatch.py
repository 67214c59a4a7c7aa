"""Which handler file serves which resource, and what its failures mean.

A server makes one :class:`Dispatcher`; other servers that know HTTP may use it too: ``get_handler_suite(path)`` tells
whether a path is a handler's, ``handshake.do_handshake(request, dispatcher)`` opens the WebSocket and
``transfer_data(request)`` lets the handler talk.
"""

import os
import re
import threading
import traceback
from collections.abc import Awaitable
from types import FunctionType

from mod_pywebsocket import common, handshake, msgutil, stream, util

_SOURCE_PATH_PATTERN = re.compile(r'(?i)_wsh\.py$')
_SOURCE_SUFFIX = '_wsh.py'
# The flag of a function with `*arguments`, as `inspect.CO_VARARGS`.
_TAKES_ANY_NUMBER = 4
_DO_EXTRA_HANDSHAKE_HANDLER_NAME = 'web_socket_do_extra_handshake'
_TRANSFER_DATA_HANDLER_NAME = 'web_socket_transfer_data'
_PASSIVE_CLOSING_HANDSHAKE_HANDLER_NAME = 'web_socket_passive_closing_handshake'


# A close for every failure that the protocol has a code for: arguments of `close_connection`, none for none.
# The special before the general.
_CLOSINGS = (
    (msgutil.BadOperationException, (common.STATUS_INTERNAL_ENDPOINT_ERROR,)),
    (stream.MessageTooBigException, (common.STATUS_MESSAGE_TOO_BIG, '', False)),
    (msgutil.InvalidFrameException, (common.STATUS_PROTOCOL_ERROR,)),
    (msgutil.UnsupportedFrameException, (common.STATUS_UNSUPPORTED_DATA,)),
    (stream.InvalidUTF8Exception, (common.STATUS_INVALID_FRAME_PAYLOAD_DATA,)),
    (msgutil.ConnectionTerminatedException, ()),
)
# Guards `_loop` of every dispatcher: one of somebody else's class may not have run the constructor.
_LOOP_LOCK = threading.Lock()


class DispatchException(Exception):
    """No handler can be used; ``status`` is the HTTP status to answer with."""

    def __init__(self, name, status=common.HTTP_STATUS_NOT_FOUND):
        super().__init__(name)
        self.status = status


def _default_passive_closing_handshake_handler(request):
    """The answer to a client's close when the handler file has no opinion."""
    return common.STATUS_NORMAL_CLOSURE, ''


def _normalize_path(path):
    """The real path, with slashes."""
    return os.path.realpath(path.replace('\\', os.path.sep)).replace('\\', '/')


def _create_path_to_resource_converter(base_dir):
    """A function from a handler file's path to its resource, ``None`` where it has none."""
    base = _normalize_path(base_dir).rstrip('/') + '/'

    def converter(path):
        if not path.endswith(_SOURCE_SUFFIX):
            return None
        # Not through symbolic links: a linked file has the resource of the place where it is found.
        path = path.replace('\\', '/')
        if not path.startswith(base):
            return None
        return '/' + path[len(base):-len(_SOURCE_SUFFIX)]

    return converter


def _enumerate_handler_file_paths(directory):
    """The handler files in a directory and below; linked directories are left out."""
    for root, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(root, name)
            if _SOURCE_PATH_PATTERN.search(path):
                yield path


class _HandlerSuite:
    """The three functions of a handler file."""

    def __init__(self, do_extra_handshake, transfer_data, passive_closing_handshake):
        self.do_extra_handshake = do_extra_handshake
        self.transfer_data = transfer_data
        self.passive_closing_handshake = passive_closing_handshake


def _source_handler_file(handler_definition, path=None):
    """Executes a handler file's text and takes its functions. ``path`` is for tracebacks only."""
    namespace = {}
    try:
        code = compile(handler_definition, path or '<string>', 'exec', dont_inherit=True)
        exec(code, namespace)
    except Exception:
        raise DispatchException('Error in sourcing handler:' + traceback.format_exc())
    passive = namespace.get(_PASSIVE_CLOSING_HANDSHAKE_HANDLER_NAME)
    return _HandlerSuite(
        _extract_handler(namespace, _DO_EXTRA_HANDSHAKE_HANDLER_NAME),
        _extract_handler(namespace, _TRANSFER_DATA_HANDLER_NAME),
        passive if callable(passive) else _default_passive_closing_handshake_handler)


def _extract_handler(dic, name):
    """A function of this name; :class:`DispatchException` says what is wrong with it."""
    if name not in dic:
        raise DispatchException('%s is not defined.' % name)
    handler = dic[name]
    if not callable(handler):
        raise DispatchException('%s is not callable.' % name)
    return handler


def _complaints(suite):
    """Hooks that cannot be called with one argument, the request. Calling one says so too, but late."""
    for name, hook in ((_DO_EXTRA_HANDSHAKE_HANDLER_NAME, suite.do_extra_handshake),
                       (_TRANSFER_DATA_HANDLER_NAME, suite.transfer_data),
                       (_PASSIVE_CLOSING_HANDSHAKE_HANDLER_NAME, suite.passive_closing_handshake)):
        # Not by `inspect`, which is slow to import. What is no function may take anything.
        if not isinstance(hook, FunctionType):
            continue
        code = hook.__code__
        required = code.co_argcount - len(hook.__defaults__ or ())
        named = code.co_kwonlyargcount - len(hook.__kwdefaults__ or ())
        takes_more = code.co_flags & _TAKES_ANY_NUMBER
        if required > 1 or named > 0 or not (code.co_argcount or takes_more):
            yield 'line %d: %s takes %d parameters; it is called with one, the request' % (
                code.co_firstlineno, name, code.co_argcount + code.co_kwonlyargcount)


def _is_inside(path, directory):
    """Whether a real path is that directory or below it."""
    return path == directory or path.startswith(directory.rstrip('/') + '/')


class _Failures:
    """Says of what a handler raises where it comes from."""

    def __init__(self, request):
        self._request = request

    def __enter__(self):
        pass

    def __exit__(self, kind, error, _):
        if isinstance(error, Exception) and not isinstance(error, handshake.AbortedByUserException):
            # It ends the connection without a close frame.
            util.prepend_message_to_exception(
                '%s raised exception for %s: ' % (_TRANSFER_DATA_HANDLER_NAME, self._request.ws_resource), error)


class Dispatcher:
    """The handlers below a directory."""

    # Subclasses need not call the constructor.
    _loop = None

    def __init__(self, root_dir, scan_dir=None, allow_handlers_outside_root_dir=True, handler_encoding=None):
        """Executes every handler file in ``scan_dir`` and below.

        A resource is a file's path from ``root_dir`` without ``_wsh.py``. ``handler_encoding`` is the
        codec of the files, by default the locale's. Files that cannot be used are skipped; see
        :meth:`source_warnings`. Raises :class:`DispatchException` when ``scan_dir`` is not inside.
        """
        self._logger = util.get_class_logger(self)
        self._handler_suite_map = {}
        self._source_warnings = []
        if scan_dir is None:
            scan_dir = root_dir
        if not _is_inside(_normalize_path(scan_dir), _normalize_path(root_dir)):
            raise DispatchException('the scan directory %s is not inside of the handlers\' root %s'
                                    % (scan_dir, root_dir))
        self._source_handler_files_in_dir(
            root_dir, scan_dir, allow_handlers_outside_root_dir, handler_encoding)

    def add_resource_path_alias(self, alias_resource_path, existing_resource_path):
        """Serves another resource by an existing handler; :class:`DispatchException` if there is none."""
        try:
            suite = self._handler_suite_map[existing_resource_path]
        except KeyError:
            raise DispatchException('No handler for: %r' % existing_resource_path)
        self._handler_suite_map[alias_resource_path] = suite

    def source_warnings(self):
        """The list of what was wrong with handler files; the list itself, not a copy."""
        return self._source_warnings

    def get_handler_suite(self, resource):
        """The functions for a resource, or ``None``.

        Its query does not matter. Raises :class:`DispatchException` 400 for one with a fragment.
        """
        path, _, fragment = resource.partition('#')
        suite = self._handler_suite_map.get(path.partition('?')[0])
        if suite is not None and fragment:
            raise DispatchException('a resource with a fragment: %r' % resource,
                                    status=common.HTTP_STATUS_BAD_REQUEST)
        return suite

    def do_extra_handshake(self, request):
        """Asks the handler whether the request is welcome.

        Whatever it raises refuses with 403, but :class:`AbortedByUserException` is passed on.
        """
        do_extra_handshake = self._suite_of(request).do_extra_handshake
        try:
            self._value(request, do_extra_handshake(request))
        except handshake.AbortedByUserException:
            self._logger.debug('The handler ends the connection in its handshake', exc_info=True)
            raise
        except Exception as e:
            util.prepend_message_to_exception(
                '%s raised exception for %s: ' % (_DO_EXTRA_HANDSHAKE_HANDLER_NAME, request.ws_resource), e)
            raise handshake.HandshakeException(e, common.HTTP_STATUS_FORBIDDEN) from e

    def transfer_data(self, request):
        """Lets the handler talk to the client, then closes; its exceptions become close codes.

        An ``async`` handler does so on the loop. This waits for its end, or, where the request has an attribute
        ``_conversation``, puts the outcome to come there.
        """
        transfer_data = self._suite_of(request).transfer_data
        outcome, closing = None, ()
        with _Failures(request):
            try:
                conversation = transfer_data(request)
                if isinstance(conversation, Awaitable):
                    outcome = self._move_to_loop(request, conversation)
                elif not request.server_terminated:
                    request.ws_stream.close_connection()
            except Exception as e:
                closing = self._closing(e)
                if closing is None:
                    raise
        if closing:
            request.ws_stream.close_connection(*closing)
        if outcome is None:
            return
        if hasattr(request, '_conversation'):
            # Our own server does not need the thread for it.
            request._conversation = outcome
        else:
            outcome.result()

    def _move_to_loop(self, request, conversation):
        """Goes on with an ``async`` handler on the loop: the outcome to come."""
        from mod_pywebsocket._async_stream import AsyncStream
        loop = self._get_loop()
        try:
            request.ws_stream = AsyncStream(request.ws_stream, loop)
        except TypeError:
            conversation.close()
            raise
        return loop.start(self._converse(request, conversation), '%s from %s' % (
            request.ws_resource, request.connection.remote_addr))

    async def _converse(self, request, conversation):
        """What :meth:`transfer_data` does, on the loop."""
        ws_stream, closing = request.ws_stream, ()
        try:
            with _Failures(request):
                try:
                    await conversation
                    if not request.server_terminated:
                        await ws_stream.close_connection()
                except Exception as e:
                    closing = self._closing(e)
                    if closing is None:
                        raise
            if closing:
                await ws_stream.close_connection(*closing)
        finally:
            await ws_stream.end()

    def _closing(self, error):
        """How to close after what a handler raised: arguments, none for no close frame; ``None`` if it is no
        matter of the protocol's."""
        if isinstance(error, handshake.AbortedByUserException):
            self._logger.debug('The handler ends the connection', exc_info=True)
            return None
        for kind, closing in _CLOSINGS:
            if isinstance(error, kind):
                self._logger.debug('%s', error)
                return closing
        return None

    def passive_closing_handshake(self, request):
        """What the handler answers to the client's close: ``(code, reason)``.

        On the loop, what an ``async`` hook gives is to be awaited by the caller.
        """
        suite = self._handler_suite_map.get(_path_of(request.ws_resource))
        if suite is None:
            return _default_passive_closing_handshake_handler(request)
        return self._value(request, suite.passive_closing_handshake(request))

    def _value(self, request, result):
        """What a hook gave. One that is ``async`` runs on the loop meanwhile; on the loop, it is awaited."""
        if not isinstance(result, Awaitable) or self._get_loop().is_current():
            return result
        return self._get_loop().run(result, 'hook of %s' % request.ws_resource)

    def _get_loop(self):
        """The loop of the ``async`` handlers; it runs from the first one on."""
        from mod_pywebsocket._loop import Loop
        with _LOOP_LOCK:
            if self._loop is None or self._loop.is_retired:
                self._loop = Loop()
            return self._loop

    def _retire_loop(self):
        """The server has ended: the loop ends with the last connection."""
        with _LOOP_LOCK:
            if self._loop is not None:
                self._loop.retire()

    def _suite_of(self, request):
        suite = self.get_handler_suite(request.ws_resource)
        if suite is None:
            raise DispatchException('No handler for: %r' % request.ws_resource)
        return suite

    def _source_handler_files_in_dir(self, root_dir, scan_dir, allow_handlers_outside_root_dir, handler_encoding):
        to_resource = _create_path_to_resource_converter(root_dir)
        real_scan_dir = _normalize_path(scan_dir)
        for path in _enumerate_handler_file_paths(real_scan_dir):
            real_path = _normalize_path(path)
            if not allow_handlers_outside_root_dir and not _is_inside(real_path, real_scan_dir):
                self._logger.debug('%s is skipped: it is outside of %s', path, real_scan_dir)
                continue
            try:
                with open(path, encoding=handler_encoding) as source:
                    suite = _source_handler_file(source.read(), real_path)
            except DispatchException as e:
                self._source_warnings.append('%s: %s' % (real_path, e))
                continue
            except UnicodeDecodeError as e:
                # Nothing is served then, as with the original; the sentence says where to look.
                e.reason += ', in line %d of %s; --handler-encoding names the encoding of the handlers' % (
                    e.object.count(b'\n', 0, e.start) + 1, real_path)
                raise
            self._source_warnings.extend('%s: %s' % (real_path, complaint) for complaint in _complaints(suite))
            resource = to_resource(path)
            if resource is None:
                self._logger.debug('%s is skipped: no resource has its name', path)
                continue
            self._handler_suite_map[resource] = suite


def _path_of(resource):
    return resource.partition('#')[0].partition('?')[0]
