//! The nodes of a cluster to begin with.

use bb8_redis::redis::ConnectionAddr;

use super::Address;
use crate::error::Error;
use crate::store::RedisOptions;

const NO_NODE: &str = "not a node of a cluster: host:port, or a redis:// URL";

impl RedisOptions {
    /// A Redis Cluster, known by some of its nodes: `host:port` each, or a URL as [`url`](Self::url)
    /// takes it. The others are learnt from them. What a URL says of user, password and TLS holds for
    /// all nodes; of several URLs the first counts, and all have to say the same of TLS.
    ///
    /// ```
    /// use cache_core::{Cache, RedisOptions};
    ///
    /// let nodes = RedisOptions::cluster(["10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"])?;
    /// let cache = Cache::builder().redis(nodes).build()?;
    /// # Ok::<(), cache_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no node, or one is neither; when a URL names a database other than 0, or some have
    /// TLS and some don't.
    pub fn cluster<N: AsRef<str>>(nodes: impl IntoIterator<Item = N>) -> Result<Self, Error> {
        let (mut first, mut first_url, mut addresses) = (None, None, Vec::new());
        for node in nodes {
            let node = node.as_ref().trim();
            let is_url = node.contains("://");
            let one = if is_url { Self::url(node) } else { Self::url(&format!("redis://{node}")) };
            let one = one.map_err(|_| Error::config(NO_NODE))?;
            addresses.push(one.address().ok_or_else(|| Error::config(NO_NODE))?);
            if is_url && first_url.as_ref().is_some_and(|url: &Self| url.is_tls() != one.is_tls()) {
                return Err(Error::config("of the nodes of a cluster all have TLS, or none"));
            }
            let kept = if is_url { &mut first_url } else { &mut first };
            kept.get_or_insert(one);
        }
        let one = first_url.or(first).ok_or_else(|| Error::config("a cluster without nodes"))?;
        let options = Self { cluster: addresses, ..one };
        options.check_cluster()?;
        Ok(options)
    }

    /// Whether these name a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        !self.cluster.is_empty()
    }

    pub(super) fn check_cluster(&self) -> Result<(), Error> {
        if self.cluster.is_empty() {
            return Err(Error::config("these options name no cluster"));
        }
        if self.sentinels.is_some() {
            return Err(Error::config("a cluster has no Sentinels: it is one or the other"));
        }
        if self.connection.redis_settings().db() != 0 {
            return Err(Error::config("a cluster has one database, 0"));
        }
        Ok(())
    }

    /// The same, for the server at this address alone.
    pub(super) fn at(&self, address: &Address) -> Self {
        let Address { host, port } = address.clone();
        let connection = self.connection.clone().set_addr(ConnectionAddr::Tcp(host, port));
        Self { connection, cluster: Vec::new(), ..self.clone() }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    fn address(&self) -> Option<Address> {
        match self.connection.addr() {
            ConnectionAddr::Tcp(host, port) => Some(Address { host: host.clone(), port: *port }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(options: &RedisOptions) -> Vec<String> {
        options.cluster.iter().map(Address::to_string).collect()
    }

    #[test]
    fn nodes_are_names_with_ports_or_urls() {
        let options = RedisOptions::cluster(["a:7000", " b", "redis://u:s3cret@c:7001"]).unwrap();
        assert_eq!(addresses(&options), ["a:7000", "b:6379", "c:7001"]);
        let one = options.at(&Address { host: "x".to_owned(), port: 1 });
        assert_eq!(one.connection.redis_settings().username(), Some("u"));
        assert_eq!(one.connection.addr().to_string(), "x:1");
        assert!(!one.is_cluster() && options.is_cluster());
        let shown = format!("{options:?}");
        assert!(!shown.contains("s3cret") && shown.contains("a:7000"), "{shown}");
    }

    /// Pinned: what the second URL said of TLS was passed over.
    #[cfg(feature = "tls")]
    #[test]
    fn nodes_have_tls_or_have_none() {
        for nodes in [["rediss://a", "redis://b"], ["redis://a", "rediss://b"]] {
            let error = RedisOptions::cluster(nodes).unwrap_err().to_string();
            assert!(error.contains("TLS"), "{error}");
        }
        assert!(RedisOptions::cluster(["rediss://a", "rediss://b", "c:1"]).unwrap().is_tls());
    }

    #[test]
    fn what_is_no_cluster_is_an_error_without_secrets() {
        for nodes in [&[][..], &["redis://:s3cret@h/3"], &["a:s3cret"], &["unix:///s3cret"]] {
            let error = RedisOptions::cluster(nodes).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
