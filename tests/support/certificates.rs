//! Certificates made on the fly, as PEM files in a directory of their own.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// A CA and what it has signed; another CA that nobody trusts.
///
/// | files | for |
/// |---|---|
/// | `ca.pem` | the CA |
/// | `server.pem`, `server.key` | `localhost` and `127.0.0.1` |
/// | `named.pem`, `named.key` | `redis.test` only |
/// | `expired.pem`, `expired.key` | `localhost` and `127.0.0.1`, some years ago |
/// | `client.pem`, `client.key` | a client |
/// | `other-ca.pem`, `other-client.pem`, `other-client.key` | another CA, and its client |
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// Makes them all; that takes milliseconds.
    pub fn generate() -> Self {
        let dir = tempfile::Builder::new().prefix("cache-tls-").tempdir().expect("a directory");
        let made = Self { dir };
        let here = ["localhost", "127.0.0.1"];
        let ca = made.authority("ca");
        made.server("server", &here, &ca, |_| {});
        made.server("named", &["redis.test"], &ca, |_| {});
        made.server("expired", &here, &ca, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 1);
        });
        made.client("client", &ca);
        let other = made.authority("other-ca");
        made.client("other-client", &other);
        made
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// One of the files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn authority(&self, name: &str) -> Issuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        self.write(&format!("{name}.pem"), &certificate.pem());
        Issuer::new(params, key)
    }

    fn server(
        &self,
        name: &str,
        names: &[&str],
        ca: &Issuer<'static, KeyPair>,
        change: impl FnOnce(&mut CertificateParams),
    ) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        // Servers are one another's clients: replicas, and Sentinels.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        self.sign(name, &params, ca);
    }

    fn client(&self, name: &str, ca: &Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(name, &params, ca);
    }

    fn sign(&self, name: &str, params: &CertificateParams, ca: &Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, ca).expect("a certificate");
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the file is written");
    }
}
