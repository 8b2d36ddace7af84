//! The variables that say which server it is, beside `REDIS_URL`: Sentinels and TLS.

use std::collections::HashMap;

use super::boolean;
use crate::error::Error;

/// Present if `REDIS_USE_SENTINEL` says so.
#[derive(Clone)]
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "read, and checked, all the same"))]
pub(crate) struct SentinelVariables {
    pub(crate) hosts: String,
    pub(crate) master: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
}

/// Present if TLS is asked for, by `REDIS_SSL_ENABLED` or by `rediss://`.
#[derive(Clone)]
#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "read, and checked, all the same"))]
pub(crate) struct TlsVariables {
    pub(crate) ca_certs: Option<String>,
    /// Certificate and key.
    pub(crate) client: Option<(String, String)>,
    pub(crate) server_name: Option<String>,
}

type Variables = HashMap<String, String>;

fn get(variables: &Variables, name: &str) -> Option<String> {
    variables.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn truth(variables: &Variables, name: &str) -> Result<Option<bool>, Error> {
    get(variables, name).map(|value| boolean(name, &value)).transpose()
}

impl SentinelVariables {
    pub(super) fn read(variables: &Variables) -> Result<Option<Self>, Error> {
        if truth(variables, "REDIS_USE_SENTINEL")? != Some(true) {
            return Ok(None);
        }
        let hosts = get(variables, "REDIS_SENTINEL_HOSTS").ok_or_else(|| {
            Error::config("REDIS_USE_SENTINEL is true, but REDIS_SENTINEL_HOSTS is not set")
        })?;
        let master = get(variables, "REDIS_SENTINEL_MASTER");
        Ok(Some(Self {
            hosts,
            master: master.unwrap_or_else(|| "mymaster".to_owned()),
            username: get(variables, "REDIS_SENTINEL_USERNAME"),
            password: variables.get("REDIS_SENTINEL_PASSWORD").cloned(),
        }))
    }
}

impl TlsVariables {
    /// `server` is a URL, or several nodes, which may be URLs.
    pub(super) fn read(variables: &Variables, server: Option<&str>) -> Result<Option<Self>, Error> {
        let enabled = truth(variables, "REDIS_SSL_ENABLED")?;
        let in_url = server.into_iter().flat_map(|server| server.split([',', ' '])).any(|url| {
            let scheme = url.split("://").next().unwrap_or_default();
            ["rediss", "valkeys"].iter().any(|tls| scheme.eq_ignore_ascii_case(tls))
        });
        if enabled != Some(true) && !in_url {
            // Whoever names a CA and forgets the switch would talk in the clear.
            let of_no_use = ["REDIS_SSL_CA_CERTS", "REDIS_SSL_CERTFILE", "REDIS_SSL_KEYFILE"];
            let named = of_no_use.into_iter().find(|name| get(variables, name).is_some());
            return match named {
                Some(name) if enabled.is_none() => Err(Error::config(format!(
                    "{name} is set, but nothing asks for TLS: set REDIS_SSL_ENABLED, or use rediss://"
                ))),
                _ => Ok(None),
            };
        }
        if cfg!(not(feature = "tls")) {
            let what = if in_url { "rediss:// is asked for" } else { "REDIS_SSL_ENABLED is true" };
            return Err(Error::config(format!("{what}, but the feature `tls` is off")));
        }
        let certificate = get(variables, "REDIS_SSL_CERTFILE");
        let client = match (certificate, get(variables, "REDIS_SSL_KEYFILE")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(_), None) => {
                let what = "REDIS_SSL_CERTFILE is set, but REDIS_SSL_KEYFILE is not";
                return Err(Error::config(what));
            }
            (None, Some(_)) => {
                let what = "REDIS_SSL_KEYFILE is set, but REDIS_SSL_CERTFILE is not";
                return Err(Error::config(what));
            }
        };
        Ok(Some(Self {
            ca_certs: get(variables, "REDIS_SSL_CA_CERTS"),
            client,
            server_name: get(variables, "REDIS_SSL_SERVER_NAME"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn sentinels_are_asked_only_if_that_is_said() {
        let hosts = ("REDIS_SENTINEL_HOSTS", "a:1,b:2");
        assert!(SentinelVariables::read(&variables(&[hosts])).unwrap().is_none());
        let off = [hosts, ("REDIS_USE_SENTINEL", "false")];
        assert!(SentinelVariables::read(&variables(&off)).unwrap().is_none());
        let on = [hosts, ("REDIS_USE_SENTINEL", "1"), ("REDIS_SENTINEL_PASSWORD", " pw ")];
        let read = SentinelVariables::read(&variables(&on)).unwrap().unwrap();
        assert_eq!((&*read.hosts, &*read.master), ("a:1,b:2", "mymaster"));
        assert_eq!(read.password.as_deref(), Some(" pw "));
    }

    #[test]
    fn tls_is_asked_for_by_the_switch_or_the_url() {
        let read = |pairs: &[(&str, &str)], url: Option<&str>| {
            TlsVariables::read(&variables(pairs), url).map(|tls| tls.is_some())
        };
        let files = ("REDIS_SSL_CA_CERTS", "/s3cret");
        assert!(!read(&[], Some("redis://h")).unwrap());
        assert!(!read(&[files, ("REDIS_SSL_ENABLED", "0")], Some("redis://h")).unwrap());
        for (pairs, url) in [
            (&[("REDIS_SSL_ENABLED", "true")][..], "redis://h"),
            (&[files][..], "rediss://h"),
            // The URL says it.
            (&[("REDIS_SSL_ENABLED", "false")][..], "rediss://h"),
        ] {
            let asked = read(pairs, Some(url));
            if cfg!(feature = "tls") {
                assert!(asked.unwrap(), "{pairs:?}");
            } else {
                assert!(asked.unwrap_err().to_string().contains("`tls` is off"));
            }
        }
    }

    #[test]
    fn what_does_not_go_together_is_an_error_that_names_the_variable() {
        let on = ("REDIS_SSL_ENABLED", "true");
        for (name, pairs) in [
            ("REDIS_SSL_CA_CERTS", &[("REDIS_SSL_CA_CERTS", "s3cret")][..]),
            ("REDIS_SSL_KEYFILE", &[("REDIS_SSL_KEYFILE", "s3cret")][..]),
            ("REDIS_SSL_ENABLED", &[("REDIS_SSL_ENABLED", "s3cret")][..]),
            #[cfg(feature = "tls")]
            ("REDIS_SSL_KEYFILE", &[on, ("REDIS_SSL_CERTFILE", "s3cret")][..]),
            #[cfg(feature = "tls")]
            ("REDIS_SSL_CERTFILE", &[on, ("REDIS_SSL_KEYFILE", "s3cret")][..]),
            #[cfg(not(feature = "tls"))]
            ("REDIS_SSL_ENABLED", &[on][..]),
        ] {
            let error = TlsVariables::read(&variables(pairs), None).err().unwrap().to_string();
            assert!(error.contains(name) && !error.contains("s3cret"), "{error}");
        }
    }
}
