//! TLS
//!
//! Who we are and whom we trust, for wss://. One linkspan_tls serves any number of servers, connections and
//! threads, and may be freed as soon as it was given to them. A library without LINKSPAN_FEATURE_TLS answers
//! LINKSPAN_UNSUPPORTED.

use std::ffi::c_char;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use linkspan::tls::{ClientTls, ClientTlsOptions, Identity, Pem, Roots, ServerTls, ServerTlsOptions};

use crate::guard::{self, Out, Outcome, guard};
use crate::result::{Failure, LINKSPAN_INVALID_ARGUMENT, LINKSPAN_OK, LINKSPAN_UNSUPPORTED, linkspan_status};

/// Certificates and trust. Owned: free it with linkspan_tls_free.
pub struct linkspan_tls(Mutex<Side>);

enum Side {
    Server { options: ServerTlsOptions, made: Arc<ServerTls> },
    Client(Option<Arc<ClientTls>>),
}

/// A server's side: the certificate chain and its private key, two PEM files. The files are read at once;
/// LINKSPAN_TLS with a sentence that names the file when one is missing, wrong, or they do not belong
/// together.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_server_new(
    certificate_file: *const c_char,
    key_file: *const c_char,
    tls: *mut *mut linkspan_tls,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (out, identity) = unsafe { (Out::new(tls)?, identity(certificate_file, key_file)?) };
        is_built_in()?;
        let options = ServerTlsOptions::new(identity);
        let made = Arc::new(ServerTls::with_options(options.clone())?);
        hand_out(Side::Server { options, made }, out)
    })
}

/// One more certificate of a server. The first whose names fit what the client asks for (SNI) is shown, or
/// else the first of all. Servers that were made before keep what they were given.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_add_certificate(
    tls: *mut linkspan_tls,
    certificate_file: *const c_char,
    key_file: *const c_char,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (tls, identity) = unsafe { (guard::reference(tls)?, identity(certificate_file, key_file)?) };
        let Side::Server { options, made } = &mut *lock(tls) else { return Err(not_a_servers()) };
        let mut more = options.clone();
        more.identities.push(identity);
        *made = Arc::new(ServerTls::with_options(more.clone())?);
        *options = more;
        Ok(LINKSPAN_OK)
    })
}

/// Reads the files of a server's certificates again: connections made from now on see the new ones. When
/// anything is wrong with them the old ones stay, and the status and linkspan_last_error say why.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_reload(tls: *mut linkspan_tls) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle.
        let tls = unsafe { guard::reference(tls) }?;
        let Side::Server { made, .. } = &*lock(tls) else { return Err(not_a_servers()) };
        made.reload()?;
        Ok(LINKSPAN_OK)
    })
}

/// A client's side: trusts the system's certificate store, which is read when it is first needed. A client
/// without a linkspan_tls has the same.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_client_new(tls: *mut *mut linkspan_tls) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointer is as the comment says.
        let out = unsafe { Out::new(tls) }?;
        is_built_in()?;
        hand_out(Side::Client(None), out)
    })
}

/// Trusts the certificates in this PEM file, and no longer the system's store or the file of an earlier call.
/// The file is read at once; on failure nothing has changed.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_client_ca(tls: *mut linkspan_tls, file: *const c_char) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (tls, file) = unsafe { (guard::reference(tls)?, guard::string(file)?) };
        let Side::Client(made) = &mut *lock(tls) else { return Err(not_a_clients()) };
        let options = ClientTlsOptions { roots: Roots::Only(Pem::file(file)), ..ClientTlsOptions::default() };
        *made = Some(Arc::new(ClientTls::with_options(options)?));
        Ok(LINKSPAN_OK)
    })
}

/// Frees it; servers and clients that were given it go on. NULL is fine.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_free(tls: *mut linkspan_tls) {
    guard(|| {
        // SAFETY: the caller's own handle, given up here.
        drop(unsafe { guard::release(tls) });
        Ok(LINKSPAN_OK)
    });
}

/// The server's side of what C gave, if it gave something.
///
/// # Safety
/// NULL, or a handle that was not freed.
pub(crate) unsafe fn server(tls: *const linkspan_tls) -> Result<Option<Arc<ServerTls>>, Failure> {
    if tls.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's duty.
    match &*lock(unsafe { guard::reference(tls) }?) {
        Side::Server { made, .. } => Ok(Some(made.clone())),
        Side::Client(_) => Err(not_a_servers()),
    }
}

/// The client's side of what C gave, if it gave something.
///
/// # Safety
/// NULL, or a handle that was not freed.
pub(crate) unsafe fn client(tls: *const linkspan_tls) -> Result<Option<Arc<ClientTls>>, Failure> {
    if tls.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's duty.
    match &mut *lock(unsafe { guard::reference(tls) }?) {
        Side::Client(Some(made)) => Ok(Some(made.clone())),
        Side::Client(made) => Ok(Some(made.insert(ClientTls::system()?).clone())),
        Side::Server { .. } => Err(not_a_clients()),
    }
}

/// # Safety
/// Both are NULL or end with a NUL.
unsafe fn identity(certificate_file: *const c_char, key_file: *const c_char) -> Result<Identity, Failure> {
    // SAFETY: the caller's duty.
    unsafe { Ok(Identity::files(guard::string(certificate_file)?, guard::string(key_file)?)) }
}

fn hand_out(side: Side, out: Out<*mut linkspan_tls>) -> Outcome {
    guard::prepare();
    out.write(guard::handle(Arc::new(linkspan_tls(Mutex::new(side)))));
    Ok(LINKSPAN_OK)
}

fn lock(tls: &linkspan_tls) -> MutexGuard<'_, Side> {
    tls.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_built_in() -> Result<(), Failure> {
    if cfg!(feature = "tls") {
        return Ok(());
    }
    Err(Failure::new(LINKSPAN_UNSUPPORTED, "this build of linkspan is without TLS"))
}

fn not_a_servers() -> Failure {
    Failure::new(LINKSPAN_INVALID_ARGUMENT, "this linkspan_tls is a client's, and a server's is needed")
}

fn not_a_clients() -> Failure {
    Failure::new(LINKSPAN_INVALID_ARGUMENT, "this linkspan_tls is a server's, and a client's is needed")
}
