//! The native half of the Python wheel: `linkspan._linkspan`. This file is the module's table of contents.

mod ahead;
mod arrival;
mod arrivals;
mod baton;
mod buffers;
mod channel;
mod connect_options;
mod deadline;
mod dial;
mod errors;
mod frame;
mod front;
mod gil;
mod inbox;
mod native_thread;
mod raw_stream;
mod sources;
mod tls;
mod traffic;
mod utf8;
mod waiter;
mod watchdog;
mod websocket;
mod wire;

/// Native code under `linkspan` and `mod_pywebsocket`; the names may change with each release.
#[pyo3::pymodule(gil_used = false)]
mod _linkspan {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::arrival::Arrival;
    #[pymodule_export]
    use super::arrivals::Arrivals;
    #[pymodule_export]
    use super::buffers::mask;
    #[pymodule_export]
    use super::channel::Channel;
    #[pymodule_export]
    use super::connect_options::opening_request;
    #[pymodule_export]
    use super::dial::Dial;
    #[pymodule_export]
    use super::frame::frame_bytes;
    #[pymodule_export]
    use super::front::Front;
    #[pymodule_export]
    use super::gil::{gil_wait, measure_gil_wait};
    #[pymodule_export]
    use super::raw_stream::RawStream;
    #[pymodule_export]
    use super::tls::ServerTls;
    #[pymodule_export]
    use super::utf8::Utf8;
    #[pymodule_export]
    use super::websocket::WebSocket;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn watch_interpreter(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::gil::watch_interpreter(module.py())
    }
}
