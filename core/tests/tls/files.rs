//! Certificates in files: what is wrong with them, reloading, several of them.

use std::path::PathBuf;

use linkspan::tls::{ClientTls, ClientTlsOptions, Identity, Pem, Roots, ServerTls, ServerTlsOptions};

use crate::certificates::{Authority, Issued};
use crate::{Pair, client, server};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("linkspan-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let folder = Folder::new("wrong");
    let authority = Authority::new("root");
    let (one, other) = (authority.server(&["localhost"]), authority.server(&["localhost"]));
    let chain = folder.write("chain.pem", &one.chain);
    let key = folder.write("key.pem", &one.key);
    let other = folder.write("other.pem", &other.key);
    let empty = folder.write("empty.pem", "");
    let broken = folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\nMIIB");
    let encrypted = folder
        .write("encrypted.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let weak = folder.write("weak.pem", WEAK_KEY);
    let missing = folder.0.join("missing.pem");
    let new = |chain: &PathBuf, key: &PathBuf| match ServerTls::new(Pem::file(chain), Pem::file(key)) {
        Ok(_) => String::new(),
        Err(error) => error.to_string().replace(&folder.0.display().to_string(), ""),
    };
    assert_eq!(new(&chain, &key), "");
    assert_eq!(new(&missing, &key), "TLS: cannot read /missing.pem: No such file or directory (os error 2)");
    assert_eq!(new(&empty, &key), "TLS: no certificate in /empty.pem");
    assert_eq!(new(&key, &key), "TLS: no certificate in /key.pem");
    assert_eq!(new(&broken, &key), "TLS: /broken.pem is not PEM: a section has no end");
    assert_eq!(new(&chain, &chain), "TLS: no private key in /chain.pem");
    assert_eq!(new(&chain, &other), "TLS: the key in /other.pem does not fit the certificate in /chain.pem");
    assert_eq!(new(&chain, &encrypted), "TLS: the key in /encrypted.pem is encrypted; decrypt it first (openssl pkey)");
    assert_eq!(
        new(&chain, &weak),
        "TLS: the key in /weak.pem cannot be used; make one of a kind that is: RSA of 2048 bits or more, ECDSA on P-256 \
         or P-384, Ed25519"
    );
    let roots = ClientTlsOptions { roots: Roots::Only(Pem::file(&empty)), ..ClientTlsOptions::default() };
    let error = ClientTls::with_options(roots).unwrap_err().to_string();
    assert_eq!(error, format!("TLS: no certificate in {}", empty.display()));
}

/// ECDSA on P-224.
const WEAK_KEY: &str = "-----BEGIN PRIVATE KEY-----
MHgCAQAwEAYHKoZIzj0CAQYFK4EEACEEYTBfAgEBBByENLxkNHzjRzrpmkzrv6Y1
dkjrLKeg0YjYixi7oTwDOgAE7n85gnBVd7SDE2HBtl+lJRNBM4CoI9fQCYdFMK0N
fSVnWCPpPVm0UXhr/CxZ1qWq/ZaMHii4Yzk=
-----END PRIVATE KEY-----
";

#[test]
fn reloading_shows_new_certificates_and_keeps_the_old_ones_when_it_fails() {
    let folder = Folder::new("reload");
    let authority = Authority::new("root");
    let show = |issued: &Issued| {
        Identity::files(folder.write("chain.pem", &issued.chain), folder.write("key.pem", &issued.key))
    };
    let server = ServerTls::with_options(ServerTlsOptions::new(show(&authority.server(&["old.example"])))).unwrap();
    Pair::open(&server, &client(&authority), "old.example");

    folder.write("chain.pem", &authority.server(&["new.example"]).chain);
    let error = server.reload().unwrap_err().to_string();
    assert!(error.contains("does not fit"), "{error}");
    Pair::open(&server, &client(&authority), "old.example");

    show(&authority.server(&["new.example"]));
    server.reload().unwrap();
    Pair::open(&server, &client(&authority), "new.example");
}

#[test]
fn an_identity_may_be_added_while_the_server_serves() {
    let folder = Folder::new("added");
    let authority = Authority::new("root");
    let show = |name: &str, issued: &Issued| {
        let (chain, key) = (format!("{name}.pem"), format!("{name}.key"));
        Identity::files(folder.write(&chain, &issued.chain), folder.write(&key, &issued.key))
    };
    let first = show("first", &authority.server(&["first.example"]));
    let server = ServerTls::with_options(ServerTlsOptions::new(first)).unwrap();
    server.add(Identity::files("missing.pem", "missing.key")).unwrap_err();
    server.add(show("second", &authority.server(&["second.example"]))).unwrap();
    Pair::open(&server, &client(&authority), "first.example");
    Pair::open(&server, &client(&authority), "second.example");
    // A reload is of both, or of none.
    show("first", &authority.server(&["third.example"]));
    let second = folder.write("second.pem", "nothing");
    let error = server.reload().unwrap_err().to_string();
    assert!(error.contains(&second.display().to_string()), "{error}");
    Pair::open(&server, &client(&authority), "first.example");
    show("second", &authority.server(&["fourth.example"]));
    server.reload().unwrap();
    Pair::open(&server, &client(&authority), "third.example");
    Pair::open(&server, &client(&authority), "fourth.example");
}

#[test]
fn a_server_knows_that_its_certificate_is_out_of_date() {
    let authority = Authority::new("root.example");
    let warnings = |years| server(&authority.server_between("localhost", years)).warnings();
    assert_eq!(warnings((2020, 4096)), Vec::<String>::new());
    let [expired] = &warnings((2020, 2021))[..] else { panic!("one warning") };
    assert!(expired.starts_with("the certificate in the given PEM text expired "), "{expired}");
    let [early] = &warnings((4000, 4096))[..] else { panic!("one warning") };
    assert!(early.starts_with("the certificate in the given PEM text is not valid for another "), "{early}");
    // An issuer behind it, or its own issuer, is looked at too.
    assert_eq!(server(&authority.itself()).warnings(), Vec::<String>::new());
    let (own, old) = (authority.server(&["localhost"]), authority.server_between("localhost", (2020, 2021)));
    let chain = Issued { chain: own.chain + &old.chain, key: own.key };
    assert_eq!(server(&chain).warnings().len(), 1);
}

#[test]
fn a_server_needs_a_certificate() {
    let mut options = ServerTlsOptions::new(Authority::new("root").server(&["localhost"]).identity());
    options.identities.clear();
    assert_eq!(ServerTls::with_options(options).unwrap_err().to_string(), "TLS: a server needs a certificate");
}
