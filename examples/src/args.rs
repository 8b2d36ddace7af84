//! A command line, read flag by flag.
//!
//! Two flags don't earn a dependency. Both `--name value` and `--name=value`
//! are understood.
//!
//! ```
//! use cache_examples::args::Args;
//!
//! # fn main() -> Result<(), cache_examples::args::ArgError> {
//! let mut args = Args::new(["--listen=127.0.0.1:0", "--limit", "20"].map(String::from));
//! let (mut listen, mut limit) = (String::new(), 10_u32);
//! while let Some(flag) = args.next_flag()? {
//!     match flag.as_str() {
//!         "--listen" => listen = args.value()?,
//!         "--limit" => limit = args.parsed()?,
//!         _ => return Err(args.unknown()),
//!     }
//! }
//! assert_eq!((listen.as_str(), limit), ("127.0.0.1:0", 20));
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::str::FromStr;

/// What is wrong with a command line, in one sentence for its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgError(String);

impl ArgError {
    /// An error that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for ArgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ArgError {}

/// A cursor over the words of a command line, the program's name left out.
#[derive(Debug)]
pub struct Args {
    words: std::vec::IntoIter<String>,
    flag: String,
    /// What stood behind `=` in the current word and was not asked for yet.
    attached: Option<String>,
}

impl Args {
    /// Reads the given words.
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        let words = words.into_iter().collect::<Vec<_>>().into_iter();
        Self { words, flag: String::new(), attached: None }
    }

    /// Reads the words this process was started with.
    ///
    /// A word that isn't UTF-8 becomes one with replacement characters, which
    /// the flag that takes it will refuse.
    pub fn from_env() -> Self {
        Self::new(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()))
    }

    /// The next flag with its dashes, or `None` at the end.
    ///
    /// Fails if the next word isn't a flag, or if the flag before was given a
    /// value (`--flag=value`) that nobody asked for.
    pub fn next_flag(&mut self) -> Result<Option<String>, ArgError> {
        if let Some(value) = self.attached.take() {
            return Err(ArgError(format!("{} takes no value (got `{value}`)", self.flag)));
        }
        let Some(word) = self.words.next() else { return Ok(None) };
        if !word.starts_with('-') || word == "-" {
            return Err(ArgError(format!("unexpected argument `{word}`")));
        }
        match word.split_once('=') {
            Some((flag, value)) => {
                flag.clone_into(&mut self.flag);
                self.attached = Some(value.to_owned());
            }
            None => self.flag = word,
        }
        Ok(Some(self.flag.clone()))
    }

    /// The value of the current flag; fails if there is none or it is empty.
    pub fn value(&mut self) -> Result<String, ArgError> {
        let value = match self.attached.take() {
            Some(value) => Some(value),
            // `--listen --limit 3`: a value is missing, `--limit` isn't one.
            None if self.words.as_slice().first().is_some_and(|w| w.starts_with("--")) => None,
            None => self.words.next(),
        };
        value
            .filter(|value| !value.is_empty())
            .ok_or_else(|| ArgError(format!("{} needs a value", self.flag)))
    }

    /// The value of the current flag, as a `T`.
    pub fn parsed<T>(&mut self) -> Result<T, ArgError>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let value = self.value()?;
        value.parse().map_err(|error| self.invalid(&value, error))
    }

    /// The error for a value of the current flag that is refused for `reason`.
    pub fn invalid(&self, value: &str, reason: impl fmt::Display) -> ArgError {
        ArgError(format!("{} doesn't accept `{value}`: {reason}", self.flag))
    }

    /// The error for a current flag that nobody knows.
    pub fn unknown(&self) -> ArgError {
        ArgError(format!("unknown option `{}`", self.flag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::new(words.iter().map(|word| (*word).to_owned()))
    }

    fn error<T: fmt::Debug>(result: Result<T, ArgError>) -> String {
        result.expect_err("an error").to_string()
    }

    #[test]
    fn both_spellings_of_a_value() {
        let mut args = args(&["--a", "1", "--b=x=y"]);
        assert_eq!(args.next_flag(), Ok(Some("--a".into())));
        assert_eq!(args.parsed::<u8>(), Ok(1));
        assert_eq!(args.next_flag(), Ok(Some("--b".into())));
        assert_eq!(args.value(), Ok("x=y".into()));
        assert_eq!(args.next_flag(), Ok(None));
    }

    #[test]
    fn a_missing_value_is_not_the_next_flag() {
        for words in [&["--a", "--b"][..], &["--a"], &["--a="]] {
            let mut args = args(words);
            args.next_flag().expect("a flag");
            assert_eq!(error(args.value()), "--a needs a value");
        }
    }

    #[test]
    fn refusals_name_the_flag() {
        let mut args = args(&["--a=b", "--n", "many", "stray"]);
        args.next_flag().expect("a flag");
        assert_eq!(error(args.next_flag()), "--a takes no value (got `b`)");
        args.next_flag().expect("a flag");
        assert!(error(args.parsed::<u8>()).starts_with("--n doesn't accept `many`: "));
        assert_eq!(error(args.next_flag()), "unexpected argument `stray`");
    }
}
