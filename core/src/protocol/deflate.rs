//! permessage-deflate (RFC 7692): offer, agree, compress, inflate.
//!
//! This is the only place that knows flate2. Without the cargo feature `deflate` nothing is offered or
//! agreed to, so that no [`Deflate`] is ever made.

#[cfg(not(feature = "deflate"))]
mod absent;
#[cfg(feature = "deflate")]
mod codec;
mod parameters;

#[cfg(not(feature = "deflate"))]
pub use self::absent::{Deflate, SETS};
#[cfg(feature = "deflate")]
pub use self::codec::{Deflate, SETS};
pub use self::parameters::{EXTENSION_NAME, Parameters};
