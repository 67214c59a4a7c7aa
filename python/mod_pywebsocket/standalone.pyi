import argparse
from collections.abc import Sequence
from typing import Final

from mod_pywebsocket import common as common
from mod_pywebsocket import server_util as server_util
from mod_pywebsocket import util as util
from mod_pywebsocket.websocket_server import WebSocketServer as WebSocketServer

_DEFAULT_LOG_MAX_BYTES: Final = 262144
_DEFAULT_LOG_BACKUP_COUNT: Final = 5
_DEFAULT_REQUEST_QUEUE_SIZE: Final = 128

def _build_option_parser() -> argparse.ArgumentParser: ...
def _parse_args_and_config(args: Sequence[str]) -> tuple[argparse.Namespace, list[str]]: ...
def _main(args: Sequence[str] | None = None) -> None: ...
