//! `ttl = "5m"`: durations as text, read at compile time.

use syn::LitStr;

/// What one of each unit is, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The milliseconds that a text such as `5m` stands for.
pub(crate) fn milliseconds(text: &LitStr) -> syn::Result<u64> {
    parse(&text.value()).map_err(|why| syn::Error::new(text.span(), why))
}

fn parse(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "a TTL is a number and a unit (ms, s, m, h, d), as in `5m`";
    let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or(FORM)?;
    let (number, unit) = text.split_at(unit);
    let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(FORM)?;
    if number.is_empty() {
        return Err(FORM);
    }
    let number: u64 = number.parse().map_err(|_| "a TTL that is too large")?;
    match number.checked_mul(unit) {
        Some(0) => Err("a TTL of zero caches nothing"),
        Some(milliseconds) => Ok(milliseconds),
        None => Err("a TTL that is too large"),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_ttl_is_a_number_and_a_unit() {
        for (text, milliseconds) in
            [("1ms", 1), ("90s", 90_000), ("5m", 300_000), ("2h", 7_200_000), ("007d", 604_800_000)]
        {
            assert_eq!(parse(text), Ok(milliseconds), "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "5 m",
            " 5m",
            "5m ",
            "-5m",
            "+5m",
            "5.5m",
            "5M",
            "5min",
            "1h30m",
            "0s",
            "99999999999999999999s",
            "18446744073709551615d",
            "٥m",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
