//! TLS
//!
//! Who we are and whom we trust, for wss://. One linkspan_tls serves any number of servers, connections and
//! threads, and may be freed as soon as it was given to them. A library without LINKSPAN_FEATURE_TLS answers
//! LINKSPAN_UNSUPPORTED.

use std::ffi::c_char;
use std::sync::{Arc, Mutex};

use linkspan::tls::{
    ClientCertificates, ClientTls, ClientTlsOptions, Identity, Pem, Pin, Roots, ServerTls, ServerTlsOptions,
};

use crate::guard::{self, Locked, Out, Outcome, guard};
use crate::result::{Failure, LINKSPAN_INVALID_ARGUMENT, LINKSPAN_OK, LINKSPAN_UNSUPPORTED, linkspan_status};

/// Certificates and trust. Owned: free it with linkspan_tls_free.
pub struct linkspan_tls(Mutex<Side>);

enum Side {
    Server(Arc<ServerTls>),
    /// Made when it is first needed: until then the system's store is not.
    Client {
        options: ClientTlsOptions,
        made: Option<Arc<ClientTls>>,
    },
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
        let made = Arc::new(ServerTls::with_options(ServerTlsOptions::new(identity))?);
        hand_out(Side::Server(made), out)
    })
}

/// One more certificate of a server. The first whose names fit what the client asks for (SNI) is shown, or
/// else the first of all. It counts at once, for servers that were given this linkspan_tls before too. On failure
/// nothing has changed.
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
        let Side::Server(made) = &*lock(tls) else { return Err(not_a_servers()) };
        made.add(identity)?;
        Ok(LINKSPAN_OK)
    })
}

/// Reads the files of a server's certificates again, added ones too, while it serves: connections made from now
/// on see the new ones (clients that resume a session see none), and those that are there go on. When anything is
/// wrong with one of them all old ones stay, and the status and linkspan_last_error say why.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_reload(tls: *mut linkspan_tls) -> linkspan_status {
    guard(|| {
        // SAFETY: the caller's own handle.
        let tls = unsafe { guard::reference(tls) }?;
        let Side::Server(made) = &*lock(tls) else { return Err(not_a_servers()) };
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
        hand_out(Side::Client { options: ClientTlsOptions::default(), made: None }, out)
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
        change_client(tls, |options| options.roots = Roots::Only(Pem::file(file)))
    })
}

/// Trusts the certificates in this PEM file beside the system's store. Else as linkspan_tls_client_ca, which it
/// replaces as that replaces this.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_client_add_ca(tls: *mut linkspan_tls, file: *const c_char) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (tls, file) = unsafe { (guard::reference(tls)?, guard::string(file)?) };
        change_client(tls, |options| options.roots = Roots::SystemAnd(Pem::file(file)))
    })
}

/// Who we are to servers that ask: a certificate chain and its private key, two PEM files, read at once.
/// LINKSPAN_TLS with a sentence that names the file when something is wrong with them; then nothing has changed.
/// Connections that were begun before keep what they were given, here and in the functions below.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_client_certificate(
    tls: *mut linkspan_tls,
    certificate_file: *const c_char,
    key_file: *const c_char,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (tls, identity) = unsafe { (guard::reference(tls)?, identity(certificate_file, key_file)?) };
        change_client(tls, |options| options.identity = Some(identity))
    })
}

/// Pins a key: the server's own certificate must have it, or another that was pinned, beside being trusted.
/// `pin` is the SHA-256 of the certificate's SubjectPublicKeyInfo as browsers and curl write it, "sha256/" and
/// 44 characters of base64, ended by a NUL; LINKSPAN_TLS where it is not. Pin a second key that is kept in a safe:
/// without it a lost key cannot be replaced. on_error tells the pin of a server whose key is another.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_client_pin(tls: *mut linkspan_tls, pin: *const c_char) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (tls, pin) = unsafe { (guard::reference(tls)?, Pin::parse(guard::string(pin)?)?) };
        change_client(tls, |options| options.pins.push(pin))
    })
}

/// The name that is asked for (SNI) and that the server's certificate must bear, instead of the host in the URL: a
/// DNS name or an address, ended by a NUL. NULL: the host again.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_client_server_name(
    tls: *mut linkspan_tls,
    name: *const c_char,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (tls, name) = unsafe { (guard::reference(tls)?, guard::optional_string(name)?) };
        change_client(tls, |options| options.server_name = name.map(str::to_owned))
    })
}

/// The application protocols (ALPN) that are offered, best first, `count` texts ended by a NUL; none with 0.
/// "http/1.1" otherwise, which is what a WebSocket's opening handshake speaks.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_client_alpn(
    tls: *mut linkspan_tls,
    protocols: *const *const c_char,
    count: usize,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (tls, protocols) = unsafe { (guard::reference(tls)?, guard::strings(protocols, count)?) };
        change_client(tls, |options| {
            options.alpn = protocols.into_iter().map(|name| name.as_bytes().to_vec()).collect()
        })
    })
}

/// Asks clients for a certificate by one of the issuers in this PEM file. With `is_required` those that show none
/// are refused; else they are let in, and linkspan_connection_peer_certificate tells. The file is read at once; on
/// failure nothing has changed. Servers that were made before ask what they did; certificates that are added or
/// reloaded later are theirs too.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_tls_server_client_ca(
    tls: *mut linkspan_tls,
    file: *const c_char,
    is_required: bool,
) -> linkspan_status {
    guard(|| {
        // SAFETY: the pointers are as the comment says.
        let (tls, file) = unsafe { (guard::reference(tls)?, guard::string(file)?) };
        let issuers = Pem::file(file);
        let Side::Server(made) = &mut *lock(tls) else { return Err(not_a_servers()) };
        let ask = if is_required { ClientCertificates::Required } else { ClientCertificates::Optional };
        *made = Arc::new(made.asking(&ask(issuers))?);
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
        Side::Server(made) => Ok(Some(made.clone())),
        Side::Client { .. } => Err(not_a_servers()),
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
        Side::Client { made: Some(made), .. } => Ok(Some(made.clone())),
        Side::Client { options, made } => {
            Ok(Some(made.insert(Arc::new(ClientTls::with_options(options.clone())?)).clone()))
        }
        Side::Server(_) => Err(not_a_clients()),
    }
}

/// # Safety
/// Both are NULL or end with a NUL.
unsafe fn identity(certificate_file: *const c_char, key_file: *const c_char) -> Result<Identity, Failure> {
    // SAFETY: the caller's duty.
    unsafe { Ok(Identity::files(guard::string(certificate_file)?, guard::string(key_file)?)) }
}

/// Changes a client's options, where the new ones can be used.
fn change_client(tls: &linkspan_tls, change: impl FnOnce(&mut ClientTlsOptions)) -> Outcome {
    let Side::Client { options, made } = &mut *lock(tls) else { return Err(not_a_clients()) };
    let mut changed = options.clone();
    change(&mut changed);
    ClientTls::check(&changed)?;
    (*options, *made) = (changed, None);
    Ok(LINKSPAN_OK)
}

fn hand_out(side: Side, out: Out<*mut linkspan_tls>) -> Outcome {
    guard::prepare();
    out.write(guard::handle(Arc::new(linkspan_tls(Mutex::new(side)))));
    Ok(LINKSPAN_OK)
}

fn lock(tls: &linkspan_tls) -> Locked<'_, Side> {
    guard::lock(&tls.0)
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
