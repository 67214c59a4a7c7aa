from mod_pywebsocket.standalone import *
from mod_pywebsocket.standalone import (
    _DEFAULT_LOG_BACKUP_COUNT as _DEFAULT_LOG_BACKUP_COUNT,
    _DEFAULT_LOG_MAX_BYTES as _DEFAULT_LOG_MAX_BYTES,
    _DEFAULT_REQUEST_QUEUE_SIZE as _DEFAULT_REQUEST_QUEUE_SIZE,
    _build_option_parser as _build_option_parser,
    _main as _main,
    _parse_args_and_config as _parse_args_and_config,
)
