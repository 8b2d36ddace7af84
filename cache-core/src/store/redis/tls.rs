//! TLS on the way to Redis: rustls, with a provider of cryptography that is named here.
//!
//! (The process' default provider is the application's business; and redis-rs' own TLS uses that one,
//! panics if there are two to choose from, and reads the system's certificates for each connection.)

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use bb8_redis::redis::ConnectionAddr;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dial::find;
use crate::error::{Error, ErrorKind};

/// Whom to trust, and who we are, on connections with TLS. `Debug` shows no key.
///
/// ```
/// use cache_core::{RedisOptions, TlsOptions};
///
/// // What the system trusts; the certificate has to be for the host in the URL.
/// let redis = RedisOptions::url("rediss://redis.internal:6380")?;
///
/// // A name of its own for servers that are reached by address, as Sentinel gives them.
/// let tls = TlsOptions::new().server_name("redis.internal")?;
/// let redis = RedisOptions::url("redis://10.0.0.7:6380")?.tls(tls);
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// `None`: what the system trusts.
    roots: Option<Vec<CertificateDer<'static>>>,
    client: Option<Arc<ClientCertificate>>,
    server_name: Option<ServerName<'static>>,
    /// Made once for all clones; whatever changes a setting begins anew.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Makes streams with TLS out of sockets.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
    has_client_certificate: bool,
}

impl TlsOptions {
    /// Trusts the certificate authorities that the system trusts (`SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name others), and has no client certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// What `rediss://` asks for.
    #[allow(clippy::unnecessary_wraps, reason = "as without the feature")]
    pub(super) fn asked_for() -> Result<Self, Error> {
        Ok(Self::default())
    }

    /// Trusts the certificates in this PEM text, and no others. Several may stand behind one another.
    pub fn ca_pem(mut self, pem: &[u8]) -> Result<Self, Error> {
        let roots = certificates(pem, "the CA")?;
        for root in &roots {
            let added = RootCertStore::empty().add(root.clone());
            added.map_err(|_| Error::config("the CA: not a certificate that can be trusted"))?;
        }
        self.roots = Some(roots);
        self.config = Arc::default();
        Ok(self)
    }

    /// [`ca_pem`](Self::ca_pem) from a file, which is read now.
    pub fn ca_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let pem = read(path.as_ref(), "the CA")?;
        self.ca_pem(&pem)
    }

    /// Shows the server this certificate (PEM; intermediate ones behind it) and proves it with the
    /// key (PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted).
    pub fn client_certificate_pem(mut self, certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain = certificates(certificate, "the client certificate")?;
        // The library's error might quote the text.
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            Error::config("the client key: no private key in PEM (or it is encrypted)")
        })?;
        self.client = Some(Arc::new(ClientCertificate { chain, key }));
        self.config = Arc::default();
        Ok(self)
    }

    /// [`client_certificate_pem`](Self::client_certificate_pem) from files, which are read now.
    pub fn client_certificate_files(
        self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, Error> {
        let certificate = read(certificate.as_ref(), "the client certificate")?;
        let key = read(key.as_ref(), "the client key")?;
        self.client_certificate_pem(&certificate, &key)
    }

    /// The name (or IP address) that the server's certificate has to be for, and that the server is
    /// asked for. Default: the host that is connected to.
    pub fn server_name(mut self, name: &str) -> Result<Self, Error> {
        let name = ServerName::try_from(name.to_owned());
        self.server_name = Some(name.map_err(|_| Error::config("not a name of a server"))?);
        Ok(self)
    }

    pub(super) fn connector(&self) -> Result<Tls, Error> {
        let config = if let Some(config) = self.config.get() {
            Arc::clone(config)
        } else {
            let config = Arc::new(self.client_config()?);
            Arc::clone(self.config.get_or_init(|| config))
        };
        Ok(Tls {
            connector: TlsConnector::from(config),
            server_name: self.server_name.clone(),
            has_client_certificate: self.client.is_some(),
        })
    }

    fn client_config(&self) -> Result<ClientConfig, Error> {
        let roots = match &self.roots {
            Some(roots) => trusted(roots.iter().cloned()),
            None => trusted(rustls_native_certs::load_native_certs().certs),
        };
        if roots.is_empty() {
            return Err(Error::config("TLS: the system has no CA certificates; name a CA"));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::config(format!("TLS: {error}")))?
            .with_root_certificates(roots);
        match &self.client {
            None => Ok(builder.with_no_client_auth()),
            Some(client) => {
                builder.with_client_auth_cert(client.chain.clone(), client.key.clone_key()).map_err(
                    |_| Error::config("TLS: the client certificate and its key don't go together"),
                )
            }
        }
    }
}

fn trusted(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Among the system's there may be some that rustls does not understand.
    roots.add_parsable_certificates(certificates);
    roots
}

fn certificates(pem: &[u8], whose: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Error::config(format!("{whose}: no certificate in PEM"))),
    }
}

/// The path is not in the error: somebody may have put the key itself in its place.
fn read(path: &Path, whose: &str) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| {
        Error::config(format!("{whose}: the file can't be read: {}", error.kind()))
    })
}

impl Tls {
    /// A stream with TLS to this host.
    pub(super) async fn handshake(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> Result<Pin<Box<TlsStream<TcpStream>>>, Error> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(|_| {
                Error::config("TLS: the host is no name that a certificate can have")
            })?,
        };
        match self.connector.connect(name.clone(), socket).await {
            Ok(stream) => Ok(Box::pin(stream)),
            Err(error) => {
                let text = find(&error, |cause| cause.downcast_ref().map(|e| words(e, &name)));
                let text = text.unwrap_or_else(|| format!("TLS: the handshake failed: {error}"));
                Err(Error::new(ErrorKind::Unavailable, text))
            }
        }
    }

    /// What TLS has to do with an error after the handshake.
    pub(super) fn explain(
        &self,
        error: &(dyn StdError + 'static),
        address: &ConnectionAddr,
    ) -> Option<String> {
        let host = match address {
            ConnectionAddr::Tcp(host, _) => host.clone(),
            _ => String::new(),
        };
        let name = self.server_name.clone().or_else(|| ServerName::try_from(host).ok())?;
        find(error, |cause| cause.downcast_ref().map(|error| words(error, &name)))
    }

    pub(super) fn has_client_certificate(&self) -> bool {
        self.has_client_certificate
    }
}

/// What went wrong, in the words of whoever has to put it right.
fn words(error: &rustls::Error, name: &ServerName<'_>) -> String {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    match error {
        InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => {
                "TLS: the server's certificate is not from a CA that is trusted here".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("TLS: the server's certificate is not for the name {}", name.to_str())
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "TLS: the server's certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "TLS: the server's certificate is not valid yet".to_owned()
            }
            why => format!("TLS: the server's certificate is not valid: {why}"),
        },
        AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => {
                "TLS: the server wants a client certificate".to_owned()
            }
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError => {
                format!("TLS: the server does not accept the client certificate ({alert:?})")
            }
            alert => format!("TLS: the server broke the handshake off: {alert:?}"),
        },
        InvalidMessage(_) => "TLS: the server does not speak TLS on that port".to_owned(),
        error => format!("TLS: {error}"),
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("own_ca", &self.roots.is_some())
            .field("client_certificate", &self.client.is_some())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}
