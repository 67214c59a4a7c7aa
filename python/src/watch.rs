//! [`Watch`]: a connection's descriptor, for a loop of events.

use pyo3::prelude::*;

use crate::wire::Watched;

/// The descriptor of a connection, to be watched by a loop; it stays open as long as this object lives. A
/// connection that is closed meanwhile becomes readable.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Watch {
    watched: Watched,
}

impl Watch {
    pub(crate) fn new(watched: Watched) -> Watch {
        Watch { watched }
    }
}

#[pymethods]
impl Watch {
    /// The number of the descriptor.
    fn fileno(&self) -> i32 {
        self.watched.fileno()
    }
}
