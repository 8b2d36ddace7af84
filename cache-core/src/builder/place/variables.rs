//! The server that the environment names.

use crate::config::Environment;
use crate::error::Error;
use crate::store::{RedisOptions, SentinelOptions};

/// `None`: none is named.
pub(super) fn server(environment: &Environment) -> Result<Option<RedisOptions>, Error> {
    let of = |name: &'static str| move |error: Error| Error::config(format!("{name}: {error}"));
    let sentinels = sentinels(environment)?;
    let options = match (&environment.cluster_nodes, &environment.redis_url, sentinels) {
        (None, None, None) => return Ok(None),
        (Some(_), _, Some(_)) => {
            let both = "REDIS_USE_SENTINEL and REDIS_CLUSTER_NODES: it is one or the other";
            return Err(Error::config(both));
        }
        (Some(nodes), _, None) => {
            let nodes = nodes.split([',', ' ']).filter(|node| !node.is_empty());
            RedisOptions::cluster(nodes).map_err(of("REDIS_CLUSTER_NODES"))?
        }
        (None, Some(url), None) => RedisOptions::url(url).map_err(of("REDIS_URL"))?,
        (None, Some(url), Some(sentinels)) => {
            RedisOptions::url(url).map_err(of("REDIS_URL"))?.sentinels(sentinels)
        }
        (None, None, Some(sentinels)) => RedisOptions::sentinel(sentinels)?,
    };
    with_tls(options, environment).map(Some)
}

fn sentinels(environment: &Environment) -> Result<Option<SentinelOptions>, Error> {
    let Some(variables) = &environment.sentinels else { return Ok(None) };
    let hosts = variables.hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
    let sentinels = SentinelOptions::new(&variables.master, hosts).map_err(|error| {
        Error::config(format!("REDIS_SENTINEL_HOSTS, REDIS_SENTINEL_MASTER: {error}"))
    })?;
    let (username, password) = (variables.username.as_deref(), variables.password.as_deref());
    Ok(Some(sentinels.credentials(username, password)))
}

#[cfg(not(feature = "tls"))]
#[allow(clippy::unnecessary_wraps, reason = "as with the feature")]
fn with_tls(options: RedisOptions, _: &Environment) -> Result<RedisOptions, Error> {
    Ok(options)
}

#[cfg(feature = "tls")]
fn with_tls(options: RedisOptions, environment: &Environment) -> Result<RedisOptions, Error> {
    let of = |name: &'static str| move |error: Error| Error::config(format!("{name}: {error}"));
    let Some(variables) = &environment.tls else { return Ok(options) };
    let mut tls = crate::store::TlsOptions::new();
    if let Some(file) = &variables.ca_certs {
        tls = tls.ca_file(file).map_err(of("REDIS_SSL_CA_CERTS"))?;
    }
    if let Some((certificate, key)) = &variables.client {
        let names = "REDIS_SSL_CERTFILE, REDIS_SSL_KEYFILE";
        tls = tls.client_certificate_files(certificate, key).map_err(of(names))?;
    }
    if let Some(name) = &variables.server_name {
        tls = tls.server_name(name).map_err(of("REDIS_SSL_SERVER_NAME"))?;
    }
    Ok(options.tls(tls))
}
