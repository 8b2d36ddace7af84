//! The command line of the quickstart.

use std::net::{Ipv4Addr, SocketAddr};

use cache_examples::args::{ArgError, Args};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A campaign service with slow statistics.

usage: quickstart [--listen ADDR]

  --listen ADDR   address and port to serve on [127.0.0.1:3000]
  --help          print this

  CACHE_ADMIN_TOKEN   the token of the admin API and its page; unset: there is none
  REDIS_URL           where to cache; unset: in memory";

/// The settings of one run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where to serve.
    pub(crate) listen: SocketAddr,
}

impl Settings {
    /// Reads the command line; `None` if it asks for help.
    pub(crate) fn from_env() -> Result<Option<Self>, ArgError> {
        Self::parse(Args::from_env())
    }

    fn parse(mut args: Args) -> Result<Option<Self>, ArgError> {
        let mut settings = Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)) };
        while let Some(flag) = args.next_flag()? {
            match flag.as_str() {
                "--listen" => settings.listen = args.parsed()?,
                "--help" | "-h" => return Ok(None),
                _ => return Err(args.unknown()),
            }
        }
        Ok(Some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Settings>, String> {
        let words = words.iter().map(|word| (*word).to_owned());
        Settings::parse(Args::new(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn listens_locally_unless_told_otherwise() {
        let listen = |address: &str| Ok(Some(Settings { listen: address.parse().expect("valid") }));
        assert_eq!(parse(&[]), listen("127.0.0.1:3000"));
        assert_eq!(parse(&["--listen", "[::1]:80"]), listen("[::1]:80"));
        assert_eq!(parse(&["--help", "--nonsense"]), Ok(None));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert_eq!(parse(&["--port", "80"]), Err("unknown option `--port`".into()));
        let error = parse(&["--listen", "localhost"]).expect_err("no port");
        assert!(error.starts_with("--listen doesn't accept `localhost`: "), "{error}");
    }
}
