from mod_pywebsocket.stream import *
from mod_pywebsocket.stream import (
    _build_frame as _build_frame,
    _create_control_frame as _create_control_frame,
    _filter_and_format_frame_object as _filter_and_format_frame_object,
)
