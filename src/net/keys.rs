//! Certificates: an authority that signs one certificate per role, and is then thrown away.

use super::NetError;
use crate::link::Party;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// Where the files of `longhaul keys` are.
#[derive(Clone, Debug)]
pub struct Keys {
    folder: PathBuf,
}

impl Keys {
    /// The files in `folder`.
    pub fn new(folder: &Path) -> Keys {
        Keys { folder: folder.to_owned() }
    }

    /// What everybody needs: whose signature counts.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A party's certificate.
    pub fn certificate(&self, party: Party) -> PathBuf {
        self.folder.join(format!("{party}.pem"))
    }

    /// A party's private key.
    pub fn private_key(&self, party: Party) -> PathBuf {
        self.folder.join(format!("{party}.key"))
    }
}

/// The name in a party's certificate, which says its role.
pub(super) fn role_name(party: Party) -> String {
    format!("{party}.longhaul")
}

/// Writes `ca.pem` and, for server, client and dealer, a certificate and a private key that only its owner can read. The
/// authority's key is not kept: nobody can add a party later.
///
/// # Errors
/// [`NetError::Exists`] if there are such files, [`NetError::Write`].
pub fn make_keys(folder: &Path, days: u32) -> Result<Keys, NetError> {
    let keys = Keys::new(folder);
    let made = |path: PathBuf| if path.exists() { Err(NetError::Exists { path }) } else { Ok(()) };
    made(keys.authority())?;
    for party in Party::ALL {
        made(keys.certificate(party))?;
        made(keys.private_key(party))?;
    }
    let failed = |path: &Path, source| NetError::Write { path: path.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let write = |path: PathBuf, text: String, private: bool| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if private { 0o600 } else { 0o644 });
        options.open(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(|source| failed(&path, source))
    };
    let from = OffsetDateTime::now_utc() - Duration::DAY;
    let parameters = |name: &str, names: Vec<String>| {
        let mut parameters = CertificateParams::new(names).expect("the names are plain ASCII");
        parameters.distinguished_name.push(DnType::CommonName, name);
        (parameters.not_before, parameters.not_after) = (from, from + Duration::days(i64::from(days) + 1));
        parameters
    };
    let pair = || KeyPair::generate().expect("the system has randomness");
    let mut authority = parameters("longhaul authority", Vec::new());
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = pair();
    let certificate = authority.self_signed(&authority_key).expect("an authority can sign itself");
    write(keys.authority(), certificate.pem(), false)?;
    let issuer = Issuer::new(authority, authority_key);
    for party in Party::ALL {
        let mut own = parameters(&format!("longhaul {party}"), vec![role_name(party)]);
        own.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = pair();
        let certificate = own.signed_by(&key, &issuer).expect("the authority can sign");
        write(keys.certificate(party), certificate.pem(), false)?;
        write(keys.private_key(party), key.serialize_pem(), true)?;
    }
    Ok(keys)
}
