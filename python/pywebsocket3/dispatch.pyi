from mod_pywebsocket.dispatch import *
from mod_pywebsocket.dispatch import (
    _DO_EXTRA_HANDSHAKE_HANDLER_NAME as _DO_EXTRA_HANDSHAKE_HANDLER_NAME,
    _HandlerSuite as _HandlerSuite,
    _PASSIVE_CLOSING_HANDSHAKE_HANDLER_NAME as _PASSIVE_CLOSING_HANDSHAKE_HANDLER_NAME,
    _SOURCE_PATH_PATTERN as _SOURCE_PATH_PATTERN,
    _SOURCE_SUFFIX as _SOURCE_SUFFIX,
    _TRANSFER_DATA_HANDLER_NAME as _TRANSFER_DATA_HANDLER_NAME,
    _create_path_to_resource_converter as _create_path_to_resource_converter,
    _default_passive_closing_handshake_handler as _default_passive_closing_handshake_handler,
    _enumerate_handler_file_paths as _enumerate_handler_file_paths,
    _extract_handler as _extract_handler,
    _normalize_path as _normalize_path,
    _source_handler_file as _source_handler_file,
)
