import re
from collections.abc import Callable, Iterator
from logging import Logger
from typing import Any, Final, Protocol

_SOURCE_PATH_PATTERN: Final[re.Pattern[str]]
_SOURCE_SUFFIX: Final = '_wsh.py'
_DO_EXTRA_HANDSHAKE_HANDLER_NAME: Final = 'web_socket_do_extra_handshake'
_TRANSFER_DATA_HANDLER_NAME: Final = 'web_socket_transfer_data'
_PASSIVE_CLOSING_HANDSHAKE_HANDLER_NAME: Final = 'web_socket_passive_closing_handshake'

# What the map of a `Dispatcher` holds: any object with these three will do.
class _Suite(Protocol):
    @property
    def do_extra_handshake(self) -> Callable[[Any], Any]: ...
    @property
    def transfer_data(self) -> Callable[[Any], Any]: ...
    @property
    def passive_closing_handshake(self) -> Callable[[Any], Any]: ...

class DispatchException(Exception):
    status: int

    def __init__(self, name: object, status: int = 404) -> None: ...

def _default_passive_closing_handshake_handler(request: object) -> tuple[int, str]: ...
def _normalize_path(path: str) -> str: ...
def _create_path_to_resource_converter(base_dir: str) -> Callable[[str], str | None]: ...
def _enumerate_handler_file_paths(directory: str) -> Iterator[str]: ...

class _HandlerSuite:
    do_extra_handshake: Callable[[Any], Any]
    transfer_data: Callable[[Any], Any]
    passive_closing_handshake: Callable[[Any], Any]

    def __init__(
        self,
        do_extra_handshake: Callable[[Any], Any],
        transfer_data: Callable[[Any], Any],
        passive_closing_handshake: Callable[[Any], Any],
    ) -> None: ...

def _source_handler_file(handler_definition: str, path: str | None = None) -> _HandlerSuite: ...
def _extract_handler(dic: dict[str, Any], name: str) -> Callable[[Any], Any]: ...

class Dispatcher:
    _logger: Logger
    _handler_suite_map: dict[str, _Suite]
    _source_warnings: list[str]

    def __init__(
        self,
        root_dir: str,
        scan_dir: str | None = None,
        allow_handlers_outside_root_dir: bool = True,
        handler_encoding: str | None = None,
    ) -> None: ...
    def add_resource_path_alias(self, alias_resource_path: str, existing_resource_path: str) -> None: ...
    def source_warnings(self) -> list[str]: ...
    def get_handler_suite(self, resource: str) -> _Suite | None: ...
    # The request is one of this server, or what another server has for one.
    def do_extra_handshake(self, request: Any) -> None: ...
    def transfer_data(self, request: Any) -> None: ...
    def passive_closing_handshake(self, request: Any) -> tuple[int | None, str | None]: ...
