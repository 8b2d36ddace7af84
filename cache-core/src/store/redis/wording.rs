//! Errors that are told in words: where a script of ours fails, Redis before 7 answers `ERR`, and what
//! happened inside comes after it.

use bb8_redis::redis::RedisError;

/// The codes that mean something to us.
const CODES: [&str; 7] =
    ["OOM", "READONLY", "MISCONF", "NOREPLICAS", "NOPERM", "WRONGTYPE", "LOADING"];

/// By which code an error is to be known.
pub(super) fn code(error: &RedisError) -> Option<&str> {
    let code = error.code()?;
    let within = error.detail().filter(|_| code == "ERR").and_then(within_script);
    Some(within.unwrap_or(code))
}

fn within_script(words: &str) -> Option<&'static str> {
    // What comes before was not said by the command that failed.
    let (_, said) = words.rsplit_once("@user_script:")?;
    let mut words = said.split(|c: char| !c.is_ascii_alphanumeric());
    words.find_map(|word| CODES.into_iter().find(|code| *code == word))
}

#[cfg(test)]
mod tests {
    use bb8_redis::redis::{Value, parse_redis_value};

    use super::*;

    fn code_of(reply: &str) -> String {
        let reply = parse_redis_value(format!("{reply}\r\n").as_bytes()).unwrap();
        let Value::ServerError(error) = reply else { panic!("no error: {reply:?}") };
        code(&RedisError::from(error)).unwrap().to_owned()
    }

    #[test]
    fn what_failed_inside_a_script_is_known_by_its_own_code() {
        let failed =
            "-ERR Error running script (call to f_0123abcd): @user_script:3: @user_script: 3: ";
        for (said, code) in [
            ("-OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
            ("-READONLY You can't write against a read only replica.", "READONLY"),
            ("-MISCONF Redis is configured to save RDB snapshots, but can't.", "MISCONF"),
            ("-NOPERM this user has no permissions to run the 'set' command", "NOPERM"),
            ("attempt to compare nil with number", "ERR"),
        ] {
            assert_eq!(code_of(&format!("{failed}{said}")), code);
        }
    }

    #[test]
    fn what_says_its_code_is_known_by_that() {
        assert_eq!(code_of("-OOM command not allowed"), "OOM");
        assert_eq!(code_of("-ERR unknown command 'OOM'"), "ERR");
        assert_eq!(code_of("-NOSCRIPT No matching script. Please use EVAL."), "NOSCRIPT");
    }
}
